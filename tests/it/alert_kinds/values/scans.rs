//! Early warnings, dilution, analysers that say that they are faulty.

use cems::clock;
use cems::domain::flag::Flag;
use cems::domain::scan::Reading;
use jiff::Timestamp;

use super::{Before, ULTRA_LOW, alerts, kiln, live, settled, until, words, world_at};
use crate::support::world::Sender;

/// Ticks that began so many seconds ago, one a second.
fn ticks(ago: i64, count: i64) -> impl Iterator<Item = Timestamp> {
    let first = clock::now().as_second() - ago;
    (0..count).map(move |second| Timestamp::from_second(first + second).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn flapping_at_one_hertz_for_ten_minutes_is_one_episode() {
    let (world, _) = world_at((11, 30), Before::default()).await;
    let mut sender = Sender::connect(world.broker.port()).await;
    let scans: Vec<_> = ticks(700, 600)
        .enumerate()
        .map(|(index, at)| (at, kiln(if index % 2 == 0 { 60.0 } else { 5.0 }, 13.5)))
        .collect();
    live(&mut sender, &scans).await;
    settled(&world).await;
    alerts(&world, ("early-warning", "begun"), None, 2).await;
    let episodes = "SELECT count(*) FROM episode WHERE kind = 'early-warning'";
    assert_eq!(world.count(episodes).await, 2, "of each of the two rules of 35 mg/m3 one");
    let most = "SELECT max(n) FROM (SELECT count(*) AS n FROM alert WHERE kind = 'early-warning' GROUP BY episode_id) x";
    assert!(world.count(most).await <= 3);
    insta::assert_snapshot!(words(&world, "early-warning", "begun").await);
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_warning_has_the_lines_and_times_of_its_rule() {
    let before = Before {
        rules: vec![(
            "early-warning",
            r#"{"levels": [0.8, 1.0], "hold_s": 10, "clear_s": 30, "severity": "warning"}"#,
        )],
        ..Before::default()
    };
    let (world, _) = world_at((11, 30), before).await;
    let mut sender = Sender::connect(world.broker.port()).await;
    let so2 = |at: Timestamp, value: f64| (at, kiln(value, 10.0));
    let at: Vec<Timestamp> = ticks(200, 100).collect();
    // Nine seconds above 28 mg/m3, and below again: nobody is told.
    let short: Vec<_> = (0..9).map(|second| so2(at[second], 30.0)).chain([so2(at[9], 5.0)]).collect();
    live(&mut sender, &short).await;
    assert_eq!(world.count("SELECT count(*) FROM alert WHERE kind = 'early-warning'").await, 0);
    let long: Vec<_> = (20..31).map(|second| so2(at[second], 30.0)).collect();
    live(&mut sender, &long).await;
    let told = alerts(&world, ("early-warning", "begun"), Some(ULTRA_LOW), 1).await.remove(0);
    assert_eq!((&told["level"], &told["severity"]), (&1.into(), &"warning".into()));
    live(&mut sender, &[so2(at[31], 36.0)]).await;
    let told = alerts(&world, ("early-warning", "worsened"), Some(ULTRA_LOW), 1).await.remove(0);
    assert_eq!(told["level"], 2);
    // It ends after thirty seconds below.
    live(&mut sender, &[so2(at[40], 5.0), so2(at[60], 5.0)]).await;
    let open = "SELECT count(*) FROM episode WHERE kind = 'early-warning' AND state = 'open'";
    assert_eq!(world.count(open).await, 2);
    live(&mut sender, &[so2(at[62], 5.0)]).await;
    until(&world, open, 0).await;
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_where_nothing_is_watched() {
    let before = Before {
        rules: vec![(
            "early-warning",
            r#"{"enabled": false, "scope": {"outlet": "demo-cement-kiln", "enterprise": null, "division": ""}}"#,
        )],
        ..Before::default()
    };
    let (world, _) = world_at((11, 30), before).await;
    let mut sender = Sender::connect(world.broker.port()).await;
    let at: Vec<Timestamp> = ticks(60, 3).collect();
    live(&mut sender, &[(at[0], kiln(60.0, 13.5)), (at[1], kiln(60.0, 20.0))]).await;
    alerts(&world, ("not-convertible", "begun"), None, 1).await;
    assert_eq!(world.count("SELECT count(*) FROM episode WHERE kind = 'early-warning'").await, 0);
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn air_in_the_duct_is_not_convertible() {
    let (world, _) = world_at((11, 30), Before::default()).await;
    let mut sender = Sender::connect(world.broker.port()).await;
    let at: Vec<Timestamp> = ticks(200, 100).collect();
    live(&mut sender, &[(at[0], kiln(60.0, 20.0)), (at[1], kiln(60.0, 20.1))]).await;
    alerts(&world, ("not-convertible", "begun"), None, 1).await;
    insta::assert_snapshot!(words(&world, "not-convertible", "begun").await);
    live(&mut sender, &[(at[62], kiln(5.0, 10.0))]).await;
    until(&world, "SELECT count(*) FROM episode WHERE kind = 'not-convertible' AND state = 'closed'", 1)
        .await;
    assert_eq!(world.count("SELECT count(*) FROM alert WHERE kind = 'not-convertible'").await, 1);
    world.centre.stop().await;
}

/// The kiln's scan with the gas analyser's channels under a flag.
fn gas(flag: Flag) -> Vec<(&'static str, Reading)> {
    let mut readings = kiln(10.0, 10.0);
    for (code, reading) in &mut readings {
        if ["a21026", "a21002", "a19001"].contains(code) {
            reading.flag = flag;
        }
    }
    readings
}

#[tokio::test(flavor = "multi_thread")]
async fn an_analyser_that_says_it_is_faulty_for_two_minutes_is_told_once() {
    let (world, _) = world_at((11, 30), Before::default()).await;
    let mut sender = Sender::connect(world.broker.port()).await;
    let at: Vec<Timestamp> = ticks(600, 590).collect();
    let faulty = |range: std::ops::Range<usize>, flag| -> Vec<(Timestamp, Vec<(&'static str, Reading)>)> {
        range.step_by(5).map(|second| (at[second], gas(flag))).collect()
    };
    // A minute and a half is not told; one channel alone is not the analyser.
    live(&mut sender, &faulty(0..90, Flag::Fault)).await;
    let mut one = kiln(10.0, 10.0);
    one[0].1.flag = Flag::Fault;
    live(&mut sender, &[(at[95], one)]).await;
    assert_eq!(world.count("SELECT count(*) FROM episode WHERE kind = 'analyser-fault'").await, 0);
    // No answer says nothing of the analyser: the wait goes on.
    live(&mut sender, &faulty(100..160, Flag::Fault)).await;
    live(&mut sender, &faulty(160..200, Flag::Communication)).await;
    live(&mut sender, &faulty(200..230, Flag::Fault)).await;
    let told = alerts(&world, ("analyser-fault", "begun"), None, 1).await;
    assert_eq!((told.len(), &told[0]["analyser"]), (1, &"gas".into()));
    insta::assert_snapshot!(words(&world, "analyser-fault", "begun").await);
    // Two minutes without a fault end it.
    live(&mut sender, &faulty(230..340, Flag::Normal)).await;
    let open = "SELECT count(*) FROM episode WHERE kind = 'analyser-fault' AND state = 'open'";
    assert_eq!(world.count(open).await, 1);
    live(&mut sender, &faulty(340..360, Flag::Normal)).await;
    until(&world, open, 0).await;
    assert_eq!(world.count("SELECT count(*) FROM alert WHERE kind = 'analyser-fault'").await, 1);
    // And it may begin again.
    let again: Vec<_> = (400..530).step_by(10).map(|second| (at[second], gas(Flag::Fault))).collect();
    live(&mut sender, &again).await;
    alerts(&world, ("analyser-fault", "begun"), None, 2).await;
    world.centre.stop().await;
}
