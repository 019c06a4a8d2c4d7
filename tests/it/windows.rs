//! Windows on the real store: late data, recomputation, rules that change for the past, closers side by side.

use cems::central::recompute::recompute;
use cems::clock;
use cems::config::central::Retention;
use cems::domain::limit::AveragingPeriod;
use cems::store::due;
use cems::store::partition::{Partitioned, Partitions, drop_old};
use cems::store::plant;
use cems::store::session::Session;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::support::centre::{Centre, seed};
use crate::support::wait::wait_until;
use crate::support::world::{LIMIT, Sender, World, kiln, world};

const QUICK: &str = "[windows]\ndebounce_ms = 300\nsettle_ms = 300\n";

/// The start of a past hour.
fn past_hour() -> Timestamp {
    Timestamp::from_second((clock::now().as_second() / 3600 - 30) * 3600).unwrap()
}

/// Sends the minutes of an hour, twelve scans each, with one SO2 value at reference oxygen.
async fn send_minutes(sender: &mut Sender, hour: Timestamp, minutes: std::ops::Range<i64>, so2: f64) {
    let first = sender.seq;
    let mut lines = Vec::new();
    for second in (minutes.start * 60..minutes.end * 60).step_by(5) {
        lines.push(sender.record(hour + SignedDuration::from_secs(second), &kiln(so2, 10.0)));
    }
    for (index, chunk) in lines.chunks(60).enumerate() {
        sender.publish("backfill", first + index as u64 * 60, chunk).await;
    }
    sender.receipted(first..sender.seq).await;
}

/// Corrected SO2, valid minutes and revision of the only hour.
async fn hour_of(world: &World) -> Option<(f64, i32, i32)> {
    let sql = "SELECT corrected, n_valid, revision FROM average WHERE channel = 'a21026' AND period = 'hour'";
    let row = world.client.query_opt(sql, &[]).await.unwrap()?;
    Some((row.get::<_, Option<f64>>(0)?, row.get(1), row.get(2)))
}

async fn until_hour(world: &World, n_valid: i32) -> (f64, i32, i32) {
    wait_until(LIMIT, "the hour", || async {
        let found = hour_of(world).await;
        let waiting = world.count("SELECT count(*) FROM due WHERE due_at <= now() + interval '5 s'").await;
        found.filter(|hour| hour.1 == n_valid && waiting == 0).ok_or((found, waiting))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn late_scans_make_revisions_and_withdraw_an_episode_with_its_reason() {
    let world = world(QUICK).await;
    let mut sender = Sender::connect(world.broker.port()).await;
    let hour = past_hour();
    send_minutes(&mut sender, hour, 0..45, 40.0).await;
    let (corrected, _, first) = until_hour(&world, 45).await;
    assert_eq!(corrected, 40.0);
    let exceeded =
        "SELECT count(*) FROM episode WHERE kind = 'exceedance' AND state = 'historical' AND \"limit\" = 35";
    assert_eq!(world.count(exceeded).await, 2, "two rules of 35 mg/m3");

    send_minutes(&mut sender, hour, 45..60, 5.0).await;
    let (corrected, _, second) = until_hour(&world, 60).await;
    assert_eq!((corrected, second > first), (31.25, true));
    // Both versions stand; the episodes are withdrawn, and say why; nobody was paged.
    assert!(world.count("SELECT count(DISTINCT revision) FROM average_long WHERE period = 4").await >= 2);
    assert_eq!(world.count(exceeded).await, 0);
    let withdrawn =
        "SELECT count(*) FROM episode WHERE state = 'withdrawn' AND reason LIKE '%after recomputation'";
    assert_eq!(world.count(withdrawn).await, 2);
    assert_eq!(world.count("SELECT count(*) FROM episode_change WHERE what = 'withdrawn'").await, 2);
    assert_eq!(
        world.count("SELECT count(*) FROM verdict WHERE period = 'hour' AND verdict = 'exceeded'").await,
        0
    );
    assert_eq!(world.count("SELECT count(*) FROM alert").await, 0);
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recomputing_gives_the_past_its_own_rules_and_changes_no_figure() {
    let world = world(QUICK).await;
    let mut sender = Sender::connect(world.broker.port()).await;
    let hour = past_hour();
    send_minutes(&mut sender, hour, 0..50, 30.0).await;
    until_hour(&world, 50).await;
    let figures = "SELECT count(*) FROM average_long";
    let before = world.count(figures).await;
    // A rule is made known later that was in force all the time.
    let rule = "schema = \"rules/1\"\n[[rule]]\ncode = \"test-25\"\nname = \"test\"\ndocument = \"test\"\nclause = \"1\"\nmark = \"M\"\n\
        kind = \"violation\"\ndivision = \"\"\nprocess = \"cement-kiln\"\npollutant = \"a21026\"\nlimit = 25\nperiod = \"hour\"\n\
        reference_oxygen_percent = 10\ncomparison = \"full-value\"\nfrom = \"2020-01-01T00:00:00+08:00\"\n";
    let mut client = world.database.client().await;
    seed(&mut client, &[("rule.toml", rule.to_owned())]).await;
    let plant = plant::load(&client).await.unwrap();
    let outlet = plant.outlet("demo-cement-kiln").unwrap().id;
    let span = (outlet, hour, hour + SignedDuration::from_hours(1));
    let zone = TimeZone::get("Asia/Shanghai").unwrap();
    let done = recompute(world.database.url(), zone.clone(), span).await.unwrap();
    let revised = "SELECT string_agg(format('%s %s %s', period, start, revision), ', ') FROM (SELECT period, start, revision FROM average_long \
        WHERE revision > 1 UNION ALL SELECT period, start, revision FROM average_wide WHERE revision > 1) x";
    let revised: Option<String> = world.client.query_one(revised, &[]).await.unwrap().get(0);
    assert_eq!((done.minutes, done.revisions), (50, 0), "{done:?} {revised:?}");
    let sql =
        "SELECT count(*) FROM verdict WHERE rule = 'test-25' AND verdict = 'exceeded' AND corrected = 30";
    assert_eq!(world.count(sql).await, 1);
    assert_eq!(
        world.count("SELECT count(*) FROM episode WHERE rule = 'test-25' AND state = 'historical'").await,
        1
    );
    assert_eq!(world.count(figures).await, before);
    // The rule turns out to have ended before: its verdict is withdrawn, and so is the episode, with the reason.
    let ended = rule.replace(
        "from = \"2020-01-01T00:00:00+08:00\"\n",
        "from = \"2020-01-01T00:00:00+08:00\"\nuntil = \"2021-01-01T00:00:00+08:00\"\n",
    );
    seed(&mut client, &[("rule.toml", ended)]).await;
    recompute(world.database.url(), zone.clone(), span).await.unwrap();
    let sql = "SELECT count(*) FROM verdict WHERE rule = 'test-25' AND verdict = 'not-judged: not in force'";
    assert!(world.count(sql).await > 0);
    let sql = "SELECT count(*) FROM episode WHERE rule = 'test-25' AND state = 'withdrawn' AND reason LIKE '%no longer in force%'";
    assert_eq!(world.count(sql).await, 1);
    // Again: nothing changes.
    let verdicts = world.count("SELECT count(*) FROM verdict_row").await;
    recompute(world.database.url(), zone, span).await.unwrap();
    assert_eq!(world.count("SELECT count(*) FROM verdict_row").await, verdicts);
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_that_commits_after_a_claim_is_averaged_all_the_same() {
    let world = world(QUICK).await;
    let mut sender = Sender::connect(world.broker.port()).await;
    let hour = past_hour();
    let outlet: i32 = world
        .client
        .query_one("SELECT id FROM outlet WHERE code = 'demo-cement-kiln'", &[])
        .await
        .unwrap()
        .get(0);
    // A closer of our own claims the minute (and with it the lane, so that the centre waits) ...
    let closer = world.database.client().await;
    send_minutes(&mut sender, hour, 0..1, 40.0).await;
    closer.batch_execute("BEGIN").await.unwrap();
    let claim = wait_until(LIMIT, "our own claim of the minute, or the centre's", || async {
        let claim = due::claim(
            &closer,
            due::lane(outlet),
            (clock::now() + SignedDuration::from_mins(1), SignedDuration::ZERO),
            100,
        )
        .await
        .unwrap();
        claim.ok_or("the centre has the lane")
    })
    .await;
    // ... then scans of the same minute commit, and only then the claim is settled, having seen none of them.
    send_minutes(&mut sender, hour, 0..1, 40.0).await;
    let second = sender.seq;
    let more: Vec<Vec<u8>> = (0..12)
        .map(|i| sender.record(hour + SignedDuration::from_secs(i * 5 + 1), &kiln(80.0, 10.0)))
        .collect();
    sender.publish("backfill", second, &more).await;
    sender.receipted(second..second + 12).await;
    assert!(!claim.rows.is_empty(), "our claim took the minute");
    due::settle(&closer, &claim, |_start, _outlet, _source| true).await.unwrap();
    closer.batch_execute("COMMIT").await.unwrap();
    wait_until(LIMIT, "the minute of 24 scans", || async {
        let sql = "SELECT n_valid, corrected FROM average WHERE channel = 'a21026' AND period = 'minute'";
        let row = world.client.query_opt(sql, &[]).await.unwrap();
        let found = row.map(|row| (row.get::<_, i32>(0), row.get::<_, Option<f64>>(1)));
        if found == Some((24, Some(60.0))) { Ok(()) } else { Err(found) }
    })
    .await;
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_centres_make_each_figure_and_each_alert_once() {
    let more = "[windows]\ndebounce_ms = 300\nsettle_ms = 300\n";
    let world = world(more).await;
    let other = Centre::start(world.database.url(), world.broker.port(), more).await;
    wait_until(LIMIT, "both centres to be ready", || async {
        if other.reporting.readiness.all_ready() { Ok(()) } else { Err(other.reporting.readiness.parts()) }
    })
    .await;
    // Both are subscribed to everything: each record reaches both, the hardest case for "once".
    let mut sender = Sender::connect(world.broker.port()).await;
    let hour = past_hour();
    send_minutes(&mut sender, hour, 0..60, 40.0).await;
    let (corrected, _, _) = until_hour(&world, 60).await;
    assert_eq!(corrected, 40.0);
    let at = crate::support::world::whole_second();
    let first = sender.seq;
    let line = sender.record(at, &kiln(60.0, 13.5));
    sender.publish("live", first, &[line]).await;
    sender.receipted(first..first + 1).await;
    let alerts = wait_until(LIMIT, "the early warnings", || async {
        let mut alerts = world.webhook.of_kind("early-warning");
        alerts.retain(|alert| alert["channel"] == "a21026");
        if alerts.len() >= 2 { Ok(alerts) } else { Err(alerts) }
    })
    .await;
    let ids: std::collections::BTreeSet<&str> =
        alerts.iter().filter_map(|alert| alert["id"].as_str()).collect();
    assert_eq!((alerts.len(), ids.len()), (2, 2), "two rules of 35 mg/m3, each told once");
    let scans = world.count("SELECT count(*) FROM scan").await;
    assert_eq!(scans, 721);
    let period = due::period_id(AveragingPeriod::Minute);
    let minutes = format!(
        "SELECT count(*) FROM (SELECT DISTINCT start FROM average_wide WHERE period = {period} AND start < now() - interval '1 hour') x"
    );
    assert_eq!(world.count(&minutes).await, 60);
    let figures = "SELECT count(*) FROM average_wide WHERE period = 0 AND revision > 2";
    assert_eq!(world.count(figures).await, 0, "no figure is made over and over");
    other.stop().await;
    world.centre.stop().await;
    // Nobody told it again before stopping.
    let told = "SELECT count(*) FROM alert WHERE kind = 'early-warning' AND body ->> 'channel' = 'a21026'";
    let told: i64 = world.client.query_one(told, &[]).await.unwrap().get(0);
    assert_eq!(told, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_past_its_retention_goes_a_whole_day_at_a_time() {
    let database = crate::support::database::database().await;
    let mut client = database.client().await;
    cems::store::migrate::migrate(&mut client).await.unwrap();
    let mut session = Session::new(database.url());
    let now: Timestamp = "2026-11-25T12:00:00Z".parse().unwrap();
    let ago = |days: i64| now - SignedDuration::from_hours(24 * days);
    let mut partitions = Partitions::default();
    let days = [ago(0), ago(399), ago(400), ago(401), ago(402), ago(500)];
    partitions.ensure(&mut session, Partitioned::Scan, days.into_iter()).await.unwrap();
    let months = [ago(0), ago(1090), ago(1200)];
    partitions.ensure(&mut session, Partitioned::AverageWide, months.into_iter()).await.unwrap();
    let dropped = drop_old(&mut session, Retention::default(), now).await.unwrap();
    assert_eq!(dropped, ["scan_20250713", "scan_20251019", "average_wide_20230801"]);
    assert_eq!(drop_old(&mut session, Retention::default(), now).await.unwrap(), [""; 0]);
    let left = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'scan'::regclass";
    let left: i64 = client.query_one(left, &[]).await.unwrap().get(0);
    assert_eq!(left, 4);
}
