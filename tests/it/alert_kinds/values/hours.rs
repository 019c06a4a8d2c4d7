//! Hours that are not over: near the limit, above it as they go on, lost.

use super::{Before, ULTRA_LOW, alerts, minute, send, settled, until, words, world_at};
use crate::support::world::Sender;

#[tokio::test(flavor = "multi_thread")]
async fn the_mean_to_date_is_told_at_eighty_and_at_ninety_percent_and_the_forecast_when_it_will_be_above() {
    let (world, hour) = world_at((11, 20), Before::default()).await;
    let mut sender = Sender::connect(world.broker.port()).await;
    // 29 of 35 are 83 %.
    send(&mut sender, hour, 0..18, 29.0).await;
    let told = alerts(&world, ("hour-to-date", "begun"), Some(ULTRA_LOW), 1).await.remove(0);
    assert_eq!((&told["level"], &told["corrected"]), (&1.into(), &29.0.into()));
    assert_eq!(told["outlook"]["minutes_over"], 18);
    assert_eq!(
        (&told["valid"], &told["expected"], &told["part"]),
        (&18.into(), &18.into(), &"minute".into())
    );
    insta::assert_snapshot!("eighty", words(&world, "hour-to-date", "begun").await);
    assert_eq!(world.count("SELECT count(*) FROM episode WHERE kind = 'hour-forecast'").await, 0);

    // (18 x 29 + 2 x 60) / 20 = 32.1, and the newest five minutes are at 41.4.
    send(&mut sender, hour, 18..20, 60.0).await;
    let told = alerts(&world, ("hour-to-date", "worsened"), Some(ULTRA_LOW), 1).await.remove(0);
    assert_eq!((&told["level"], &told["corrected"]), (&2.into(), &32.1.into()));
    insta::assert_snapshot!("ninety", words(&world, "hour-to-date", "worsened").await);
    let told = alerts(&world, ("hour-forecast", "begun"), Some(ULTRA_LOW), 1).await.remove(0);
    // (35 x 60 - 642) / 40, and after 1458 / 41.4 = 35.2 more minutes.
    assert_eq!((&told["level"], &told["outlook"]["allowed_mg_m3"]), (&1.into(), &36.45.into()));
    assert_eq!(told["outlook"]["lost_at"], minute(hour, 20 + 35).to_string());
    insta::assert_snapshot!("forecast", words(&world, "hour-forecast", "begun").await);
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hour_that_is_lost_is_told_as_worse_than_one_that_will_be_above() {
    let (world, hour) = world_at((11, 20), Before::default()).await;
    let mut sender = Sender::connect(world.broker.port()).await;
    send(&mut sender, hour, 0..18, 100.0).await;
    let told = alerts(&world, ("hour-forecast", "begun"), Some(ULTRA_LOW), 1).await.remove(0);
    assert_eq!((&told["level"], &told["outlook"]["minutes_over"]), (&1.into(), &18.into()));
    send(&mut sender, hour, 18..20, 250.0).await;
    let told = alerts(&world, ("hour-forecast", "worsened"), Some(ULTRA_LOW), 1).await.remove(0);
    assert_eq!((&told["level"], &told["outlook"]["allowed_mg_m3"]), (&2.into(), &serde_json::Value::Null));
    insta::assert_snapshot!(words(&world, "hour-forecast", "worsened").await);
    world.centre.stop().await;
}

/// The hour was kept in the end: its warning ends with it, and tells nobody anything more.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_foreseen_of_an_hour_ends_with_it() {
    let (world, hour) = world_at((12, 0), Before::default()).await;
    let hour = minute(hour, -60);
    let mut sender = Sender::connect(world.broker.port()).await;
    send(&mut sender, hour, 0..59, 29.0).await;
    alerts(&world, ("hour-to-date", "begun"), Some(ULTRA_LOW), 1).await;
    settled(&world).await;
    let closed = "SELECT count(*) FROM episode WHERE kind = 'hour-to-date' AND state = 'closed'";
    until(&world, closed, 2).await;
    assert_eq!(world.count("SELECT count(*) FROM episode_change").await, 0);
    assert_eq!(world.count("SELECT count(*) FROM alert WHERE kind <> 'hour-to-date'").await, 0);
    world.centre.stop().await;
}
