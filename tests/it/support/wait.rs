//! The one helper that waits: for a condition, with a limit. No other place in tests/ sleeps.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

const POLL: Duration = Duration::from_millis(20);

/// Asks `state` every 20 ms until it is `Ok`, and gives what is in it.
///
/// # Panics
/// After `limit`, with `what` and the last state seen.
pub async fn wait_until<T, S, F>(limit: Duration, what: &str, mut state: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, S>>,
    S: Debug,
{
    let mut last = None;
    let found = async {
        loop {
            match state().await {
                Ok(found) => return found,
                Err(other) => last = Some(other),
            }
            tokio::time::sleep(POLL).await;
        }
    };
    let in_time = tokio::time::timeout(limit, found).await;
    in_time.unwrap_or_else(|_late| panic!("waited {limit:?} for {what}; last seen: {last:?}"))
}

/// The slowness of a stand-in that is slow on purpose. No test waits with it.
pub async fn slowness(of: Duration) {
    tokio::time::sleep(of).await;
}

/// The same, by chance within bounds.
pub async fn slowness_between(shortest: Duration, longest: Duration) {
    let micros = fastrand::u128(shortest.as_micros()..=longest.as_micros());
    slowness(Duration::from_micros(micros as u64)).await;
}

#[tokio::test]
async fn the_last_state_is_told() {
    let waiting =
        tokio::spawn(wait_until(Duration::from_millis(50), "a wonder", || async { Err::<(), _>(7) }));
    let panic = waiting.await.unwrap_err().into_panic();
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(message.ends_with("for a wonder; last seen: Some(7)"), "{message}");
    let mut count = 0;
    let found = wait_until(Duration::from_secs(5), "the third look", || {
        count += 1;
        let seen = if count == 3 { Ok(count) } else { Err(count) };
        async move { seen }
    });
    assert_eq!(found.await, 3);
}
