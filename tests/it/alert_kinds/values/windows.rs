//! Windows above a limit: their facts, their levels, and what becomes of them.

use cems::clock;
use jiff::Timestamp;

use super::{Before, KILN, ULTRA_LOW, alerts, kiln, live, minute, send, settled, until, words, world_at};
use crate::support::wait::wait_until;
use crate::support::world::{LIMIT, Sender, World};

/// A check of the gas analyser, two hours ago.
fn checked() -> (&'static str, String) {
    let at = Timestamp::from_second(clock::now().as_second() - 3 * 3600).unwrap();
    let text = format!(
        "schema = \"plant/1\"\n[[check]]\noutlet = \"{KILN}\"\nanalyser = \"gas\"\nkind = \"span-drift\"\nat = \"{at}\"\n\
         result = \"passed\"\nby = \"Contractor\"\n"
    );
    ("checked.toml", text)
}

fn rule(code: &str, period: &str) -> (&'static str, String) {
    let text = format!(
        "schema = \"rules/1\"\n[[rule]]\ncode = \"{code}\"\nname = \"test\"\ndocument = \"test\"\nclause = \"1\"\nmark = \"M\"\n\
         kind = \"violation\"\ndivision = \"\"\nprocess = \"cement-kiln\"\npollutant = \"a21026\"\nlimit = 35\nperiod = \"{period}\"\n\
         reference_oxygen_percent = 10\ncomparison = \"full-value\"\nfrom = \"2020-01-01T00:00:00+08:00\"\n"
    );
    ("rule.toml", text)
}

/// Sends an hour that is over but for its last minute: too little of it to be judged, and then at once enough.
async fn nearly(world: &World, sender: &mut Sender, hour: Timestamp, so2: f64) {
    send(sender, hour, 0..44, so2).await;
    settled(world).await;
    send(sender, hour, 56..59, so2).await;
}

/// It was foreseen, it came true, and whoever knows of it is not told by warnings again.
#[tokio::test(flavor = "multi_thread")]
async fn warnings_that_come_true_are_the_history_of_the_exceedance() {
    let before = Before { documents: vec![checked()], ..Before::default() };
    let (world, now) = world_at((12, 0), before).await;
    let hour = minute(now, -60);
    let mut sender = Sender::connect(world.broker.port()).await;
    let late = minute(hour, 59) + jiff::SignedDuration::from_secs(30);
    live(&mut sender, &[(late, kiln(60.0, 13.5))]).await;
    alerts(&world, ("early-warning", "begun"), Some(ULTRA_LOW), 1).await;
    nearly(&world, &mut sender, hour, 60.0).await;
    let told = alerts(&world, ("exceedance", "begun"), Some(ULTRA_LOW), 1).await.remove(0);
    for kind in ["hour-to-date", "hour-forecast"] {
        alerts(&world, (kind, "begun"), Some(ULTRA_LOW), 1).await;
    }
    assert_eq!(told["warned_at"], minute(hour, 58).to_string());
    assert_eq!(
        (&told["valid"], &told["expected"], &told["consecutive"]),
        (&47.into(), &60.into(), &1.into())
    );
    assert_eq!(
        (&told["instrument"]["analyser"], &told["instrument"]["passed"]),
        (&"gas".into(), &true.into())
    );
    // From the figures of the hour to the channel.
    let sql = "SELECT max(extract(epoch FROM d.delivered_at - w.made_at))::float8 FROM alert a JOIN delivery d ON d.alert_id = a.id \
        JOIN average_long w ON w.outlet_id = a.outlet_id AND w.period = 4 AND w.made_at = a.created_at WHERE a.kind = 'exceedance'";
    let took: f64 = world.client.query_one(sql, &[]).await.unwrap().get(0);
    println!("an hour's exceedance is at its channel {took:.3} s after its figures were made");
    assert!(took < 2.0, "{took}");
    insta::assert_snapshot!("exceedance", words(&world, "exceedance", "begun").await);
    let true_ones = "SELECT count(*) FROM episode_row e JOIN episode_change c ON c.outlet_id = e.outlet_id AND c.episode_id = e.id \
        WHERE c.what = 'came-true' AND e.state = 'closed' AND c.reason LIKE '%is above the limit: episode %'";
    until(&world, true_ones, 6).await;
    let follows = "SELECT count(*) FROM episode_row e JOIN episode_row w ON w.outlet_id = e.outlet_id AND w.id = e.follows \
        WHERE e.kind = 'exceedance' AND w.kind IN ('hour-to-date', 'hour-forecast')";
    assert_eq!(world.count(follows).await, 2, "of each of the two rules the earliest");
    // It goes on: the new warnings are recorded, and nobody hears of them.
    let told = world.count("SELECT count(*) FROM alert").await;
    live(&mut sender, &[(crate::support::world::whole_second(), kiln(60.0, 13.5))]).await;
    let silent = "SELECT count(*) FROM episode WHERE kind = 'early-warning' AND state = 'open'";
    until(&world, silent, 2).await;
    assert_eq!(world.count("SELECT count(*) FROM alert").await, told);
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn late_data_withdraw_or_revise_what_was_told_and_whoever_was_told_hears_it() {
    let (world, now) = world_at((12, 10), Before::default()).await;
    let hour = minute(now, -60);
    let mut sender = Sender::connect(world.broker.port()).await;
    send(&mut sender, hour, 0..45, 60.0).await;
    let told = alerts(&world, ("exceedance", "begun"), Some(ULTRA_LOW), 1).await.remove(0);
    settled(&world).await;
    // (45 x 60 + 5 x 5) / 50 = 54.5: less than a tenth off, so nobody is told.
    send(&mut sender, hour, 45..50, 5.0).await;
    settled(&world).await;
    assert_eq!(world.count("SELECT count(*) FROM alert WHERE phase = 'revised'").await, 0);
    // 49.6 is more than a tenth below 54.5 only together with the next five.
    send(&mut sender, hour, 50..58, 5.0).await;
    let revised = alerts(&world, ("exceedance", "revised"), Some(ULTRA_LOW), 1).await.remove(0);
    assert_eq!((&revised["episode"], &revised["started_at"]), (&told["episode"], &told["started_at"]));
    assert!(revised["reason"].as_str().unwrap().contains("after recomputation, not 54.5"), "{revised}");
    assert!(revised["id"] != told["id"], "a message of its own");
    insta::assert_snapshot!("revised", words(&world, "exceedance", "revised").await);
    settled(&world).await;
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_above_is_withdrawn_with_its_reason() {
    let (world, now) = world_at((12, 10), Before::default()).await;
    let hour = minute(now, -60);
    let mut sender = Sender::connect(world.broker.port()).await;
    send(&mut sender, hour, 0..45, 40.0).await;
    let told = alerts(&world, ("exceedance", "begun"), Some(ULTRA_LOW), 1).await.remove(0);
    settled(&world).await;
    send(&mut sender, hour, 45..60, 5.0).await;
    let withdrawn = alerts(&world, ("exceedance", "withdrawn"), Some(ULTRA_LOW), 1).await.remove(0);
    assert_eq!((&withdrawn["episode"], &withdrawn["corrected"]), (&told["episode"], &40.0.into()));
    assert!(withdrawn["reason"].as_str().unwrap().ends_with("is met after recomputation"), "{withdrawn}");
    insta::assert_snapshot!("withdrawn", words(&world, "exceedance", "withdrawn").await);
    assert_eq!(
        world.count("SELECT count(*) FROM alert WHERE kind = 'exceedance'").await,
        4,
        "two rules, twice"
    );
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_windows_in_a_row_and_twice_over_are_worse() {
    let before = Before { documents: vec![rule("test-5-minutes", "5-minute")], ..Before::default() };
    let (world, now) = world_at((12, 50), before).await;
    let mut sender = Sender::connect(world.broker.port()).await;
    let five = |index: i64| minute(now, 10 + 5 * index);
    let rule = Some("test-5-minutes");
    send(&mut sender, five(0), 0..5, 40.0).await;
    let told = alerts(&world, ("exceedance", "begun"), rule, 1).await.remove(0);
    assert_eq!(
        (&told["level"], &told["severity"], &told["consecutive"]),
        (&1.into(), &"serious".into(), &1.into())
    );
    send(&mut sender, five(1), 0..5, 40.0).await;
    settled(&world).await;
    assert_eq!(world.count("SELECT count(*) FROM alert WHERE phase = 'worsened'").await, 0);
    send(&mut sender, five(2), 0..5, 40.0).await;
    let told = alerts(&world, ("exceedance", "worsened"), rule, 1).await.remove(0);
    assert_eq!((&told["level"], &told["consecutive"]), (&2.into(), &3.into()));
    assert_eq!(told["started_at"], five(0).to_string());
    insta::assert_snapshot!("consecutive", words(&world, "exceedance", "worsened").await);
    // 110 is 2.14 times over 35.
    send(&mut sender, five(3), 0..5, 110.0).await;
    let told = alerts(&world, ("exceedance", "worsened"), rule, 2).await.remove(1);
    assert_eq!((&told["level"], &told["severity"]), (&3.into(), &"critical".into()));
    insta::assert_snapshot!("twice-over", words(&world, "exceedance", "worsened").await);
    // A window within the limit ends it; the next one begins at the level of its ratio.
    send(&mut sender, five(4), 0..5, 5.0).await;
    until(&world, "SELECT count(*) FROM episode WHERE rule = 'test-5-minutes' AND state = 'open'", 0).await;
    send(&mut sender, five(5), 0..5, 60.0).await;
    let told = alerts(&world, ("exceedance", "begun"), rule, 2).await.remove(1);
    assert_eq!((&told["level"], &told["consecutive"]), (&2.into(), &1.into()), "0.71 times over");
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_violated_is_an_exceedance_of_the_order() {
    let from = Timestamp::from_second(clock::now().as_second() - 5 * 3600).unwrap();
    let until = Timestamp::from_second(clock::now().as_second() + 5 * 3600).unwrap();
    let order = format!(
        "schema = \"plant/1\"\n[[order]]\ncode = \"orange-1\"\nname = \"Orange alert\"\ndocument = \"Test\"\noutlet = \"{KILN}\"\n\
         from = \"{from}\"\nuntil = \"{until}\"\ndemand = \"limit\"\npollutant = \"a21026\"\nlimit = 20\nreference_oxygen_percent = 10\n"
    );
    let before = Before { documents: vec![("order.toml", order)], ..Before::default() };
    let (world, now) = world_at((12, 0), before).await;
    let hour = minute(now, -60);
    let mut sender = Sender::connect(world.broker.port()).await;
    nearly(&world, &mut sender, hour, 25.0).await;
    let told = alerts(&world, ("exceedance", "begun"), Some("orange-1"), 1).await.remove(0);
    assert_eq!((&told["rule_kind"], &told["limit"]), (&"order".into(), &20.0.into()));
    insta::assert_snapshot!("order", words(&world, "exceedance", "begun").await);
    // The hour to date was watched by the order as well.
    alerts(&world, ("hour-forecast", "begun"), Some("orange-1"), 1).await;
    assert_eq!(told["warned_at"], minute(hour, 58).to_string());
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_above_its_limit_is_told_when_it_is_over() {
    let before = Before { documents: vec![rule("test-day", "day"), checked()], ..Before::default() };
    let (world, now) = world_at((0, 5), before).await;
    let mut sender = Sender::connect(world.broker.port()).await;
    let day = minute(now, -24 * 60);
    for hour in 0..20 {
        send(&mut sender, minute(day, hour * 60), 0..45, 40.0).await;
    }
    let told = wait_until(LIMIT * 6, "the day", || async {
        let mut told = world.webhook.of_kind("exceedance");
        told.retain(|alert| alert["rule"] == "test-day");
        told.pop().ok_or(world.count("SELECT count(*) FROM due").await)
    })
    .await;
    assert_eq!((&told["period"], &told["part"]), (&"day".into(), &"hour".into()));
    assert_eq!((&told["valid"], &told["expected"]), (&20.into(), &24.into()));
    insta::assert_snapshot!("day", words(&world, "exceedance", "begun").await);
    world.centre.stop().await;
}
