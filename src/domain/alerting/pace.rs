//! How fast a channel with a limit may send, and when many alerts become one message. Nothing is dropped: what may not go alone is folded.

use jiff::{SignedDuration, Timestamp};

/// So many messages in so long a time, at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    pub messages: u32,
    pub per: SignedDuration,
}

/// What to do with what waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Nothing waits, or nothing may be sent before then.
    Wait(Option<Timestamp>),
    /// Each by itself, so many.
    Single(usize),
    /// All of it in one message.
    Fold,
}

/// So many go each by itself; more are folded.
const SINGLE: usize = 3;
/// Between two folded messages more is gathered.
const GATHER: SignedDuration = SignedDuration::from_secs(3);

/// What to do, when these were sent lately (rising) and so many wait.
pub fn pace(limit: Limit, sent: &[Timestamp], waiting: usize, now: Timestamp) -> Pace {
    if waiting == 0 {
        return Pace::Wait(None);
    }
    let recent: Vec<Timestamp> = recent(limit, sent, now).collect();
    let most = usize::try_from(limit.messages).unwrap_or(usize::MAX);
    let room = most.saturating_sub(recent.len());
    if room == 0 {
        return Pace::Wait(recent.first().map(|first| *first + limit.per));
    }
    // A quarter is kept for what comes next.
    if waiting <= SINGLE.min(room.saturating_sub(most / 4)) {
        return Pace::Single(waiting);
    }
    match recent.last().map(|last| *last + GATHER).filter(|earliest| *earliest > now) {
        Some(earliest) => Pace::Wait(Some(earliest)),
        None => Pace::Fold,
    }
}

/// Those of `sent` that still count.
pub fn recent(limit: Limit, sent: &[Timestamp], now: Timestamp) -> impl Iterator<Item = Timestamp> {
    sent.iter().copied().filter(move |at| now.duration_since(*at) < limit.per)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TWENTY: Limit = Limit { messages: 20, per: SignedDuration::from_secs(60) };

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + ms).unwrap()
    }

    #[test]
    fn a_few_go_alone_and_many_together_and_the_first_at_once() {
        assert_eq!(pace(TWENTY, &[], 0, at(0)), Pace::Wait(None));
        assert_eq!(pace(TWENTY, &[], 3, at(0)), Pace::Single(3));
        assert_eq!(pace(TWENTY, &[], 10_000, at(0)), Pace::Fold);
        assert_eq!(pace(TWENTY, &[at(0)], 9_000, at(100)), Pace::Wait(Some(at(3000))));
        let full: Vec<Timestamp> = (0..20).map(|second| at(second * 1000)).collect();
        assert_eq!(pace(TWENTY, &full, 1, at(30_000)), Pace::Wait(Some(at(60_000))));
    }

    proptest! {
        /// Whatever comes when, no minute has more than the limit, and nothing waits for more than two minutes.
        #[test]
        fn the_limit_holds_and_nothing_is_left(arrivals in prop::collection::vec((0_i64..120_000, 1_usize..400), 1..60)) {
            let mut arrivals = arrivals;
            arrivals.sort_unstable();
            let (mut waiting, mut sent) = (0_usize, Vec::<Timestamp>::new());
            let mut next = arrivals.iter().peekable();
            for step in 0..2400_i64 {
                let now = at(step * 100);
                while let Some((_, count)) = next.next_if(|(ms, _)| at(*ms) <= now) {
                    waiting += count;
                }
                match pace(TWENTY, &sent, waiting, now) {
                    Pace::Wait(until) => prop_assert!(waiting == 0 || until.is_some_and(|until| until > now)),
                    Pace::Single(count) => {
                        sent.extend(std::iter::repeat_n(now, count));
                        waiting -= count;
                    }
                    Pace::Fold => {
                        sent.push(now);
                        waiting = 0;
                    }
                }
                prop_assert!(recent(TWENTY, &sent, now).count() <= 20);
            }
            prop_assert_eq!(waiting, 0);
        }
    }
}
