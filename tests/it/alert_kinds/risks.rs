//! What can still be prevented, told while it can: by scans that come late, and by the lists.

use cems::clock;
use cems::domain::limit::AveragingPeriod;
use cems::domain::window::Window;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde_json::Value;

use crate::alert_kinds::{alerts, over, rule, words, words_of};
use crate::support::centre::seed;
use crate::support::wait::wait_until;
use crate::support::world::{LIMIT, Sender, World, kiln, world, world_at_noon};

const QUICK: &str = "[windows]\ndebounce_ms = 300\nsettle_ms = 300\n[quotas]\ncheck_s = 1\n";
const KILN: &str = "demo-cement-kiln";

/// Saves a document of `plant/1` beside all that is known.
async fn save(world: &World, text: &str) {
    let mut client = world.database.client().await;
    seed(&mut client, &[("more.toml", format!("schema = \"plant/1\"\n{text}"))]).await;
}

/// The scans of an hour, one SO2 value at reference oxygen.
async fn hour(sender: &mut Sender, start: Timestamp, so2: f64) {
    let first = sender.seq;
    let mut lines = Vec::new();
    for second in (0..3600).step_by(5) {
        lines.push(sender.record(start + SignedDuration::from_secs(second), &kiln(so2, 10.0)));
    }
    for (index, chunk) in lines.chunks(60).enumerate() {
        sender.publish("backfill", first + index as u64 * 60, chunk).await;
    }
    sender.receipted(first..sender.seq).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assessment_is_told_while_it_can_be_saved_and_again_when_it_is_lost() {
    let (world, zone) = world_at_noon(QUICK).await;
    let mut sender = Sender::connect(world.broker.port()).await;
    save(
        &world,
        "[[assessment]]\ncode = \"day-80\"\ndocument = \"Test\"\nrule = \"hdq-2024-5-cement-kiln-so2\"\nover = \"day\"\n\
         share_percent = 80\nfrom = \"2020-01-01T00:00:00+08:00\"\n",
    )
    .await;
    let day = Window::containing(AveragingPeriod::Day, clock::now(), &zone);
    let start = |index: i64| day.start + SignedDuration::from_hours(index);
    // One hour of the morning is above. Of the twelve or so to come one more may fail.
    hour(&mut sender, start(1), 60.0).await;
    let told = of_the_day(&world, 1).await;
    let first = &told[0];
    assert_eq!((first["rule"].as_str(), first["channel"].as_str()), (Some("day-80"), Some("a21026")));
    assert_eq!((first["level"].as_u64(), first["phase"].as_str()), (Some(1), Some("begun")));
    assert_eq!((first["share_percent"].as_f64(), first["line_percent"].as_f64()), (Some(0.0), Some(80.0)));
    assert_eq!((first["may_fail"].as_u64(), first["period"].as_str()), (Some(1), Some("day")));
    insta::assert_snapshot!("assessment_at_risk", words_of(first));
    // Three more: the rest of the day cannot bring them back.
    for index in 2..5 {
        hour(&mut sender, start(index), 60.0).await;
    }
    let told = of_the_day(&world, 2).await;
    assert_eq!((told[1]["level"].as_u64(), told[1]["phase"].as_str()), (Some(2), Some("worsened")));
    assert_eq!(
        (told[1]["episode"].clone(), told[1]["may_fail"].as_u64()),
        (told[0]["episode"].clone(), None)
    );
    insta::assert_snapshot!("assessment_lost", words_of(&told[1]));
    // Nobody is told again as the looks go on: another hour is assessed meanwhile.
    hour(&mut sender, start(5), 60.0).await;
    let sql = "SELECT count(*) FROM verdict WHERE period = 'hour' AND rule = 'hdq-2024-5-cement-kiln-so2' AND verdict = 'exceeded'";
    wait_until(LIMIT, "the fifth hour", || async {
        let hours = world.count(sql).await;
        if hours == 5 { Ok(()) } else { Err(hours) }
    })
    .await;
    assert_eq!(of_the_day(&world, 2).await.len(), 2);
    let episodes = "SELECT count(*) FROM episode WHERE kind = 'assessment-at-risk' AND rule = 'day-80'";
    assert_eq!(world.count(episodes).await, 1);
    world.centre.stop().await;
}

/// What was told of the test's own assessment: that of the month has its own, when the month is nearly over.
async fn of_the_day(world: &World, times: usize) -> Vec<Value> {
    wait_until(LIMIT, "the day's assessment", || async {
        let mut told = world.webhook.of_kind("assessment-at-risk");
        told.retain(|alert| alert["rule"] == "day-80");
        if told.len() >= times { Ok(told) } else { Err(told) }
    })
    .await
}

/// A line, in per cent with two decimals, that so many of a total may miss and not many more.
fn line(allowed: i64, total: i64) -> f64 {
    ((1.0 - allowed as f64 / total as f64) * 10_000.0).floor() / 100.0
}

#[tokio::test(flavor = "multi_thread")]
async fn hours_that_came_late_or_not_at_all_put_efficiency_and_capture_rate_at_risk() {
    let (world, zone) = world_at_noon(QUICK).await;
    let today = Window::containing(AveragingPeriod::Day, clock::now(), &zone);
    let quarter = Window::containing(AveragingPeriod::Quarter, clock::now(), &zone);
    if quarter.start == today.start {
        // Of a quarter that has just begun nothing is reckoned yet.
        return;
    }
    let hours = (quarter.end.as_second() - today.start.as_second()) / 3600;
    // Of the last four hours of yesterday two are measured, and they come late.
    let mut sender = Sender::connect(world.broker.port()).await;
    rule(&world, "capture-forecast", &format!(r#"{{"levels": [{}, {}]}}"#, line(6, hours), line(40, hours)))
        .await;
    save(
        &world,
        &format!(
            "[[efficiency]]\ncode = \"transmission\"\ndocument = \"Test\"\ndeadline_hours = 1\npass_percent = {}\n\
             from = \"2020-01-01T00:00:00+08:00\"\n",
            line(40, hours * 3)
        ),
    )
    .await;
    for back in [4, 3] {
        hour(&mut sender, today.start - SignedDuration::from_hours(back), 5.0).await;
    }
    let told = alerts(&world, "capture-forecast", 3).await;
    let mut channels: Vec<&str> = told.iter().filter_map(|alert| alert["channel"].as_str()).collect();
    channels.sort_unstable();
    assert_eq!(channels, ["a21002", "a21026", "a34013"]);
    assert!(told.iter().all(|alert| alert["level"] == 1 && alert["share_percent"] == 50.0), "{told:?}");
    let so2: Vec<_> = told.iter().filter(|alert| alert["channel"] == "a21026").collect();
    insta::assert_snapshot!("capture_forecast", words_of(so2[0]));
    let of_quarter = wait_until(LIMIT, "the quarter's efficiency", || async {
        let told = world.webhook.of_kind("efficiency-at-risk");
        let of_quarter = told.iter().find(|alert| alert["period"] == "quarter");
        of_quarter.cloned().ok_or(told)
    })
    .await;
    assert_eq!(
        (of_quarter["share_percent"].as_f64(), of_quarter["rule"].as_str(), of_quarter["level"].as_u64()),
        (Some(0.0), Some("transmission"), Some(1))
    );
    insta::assert_snapshot!("efficiency_at_risk", words_of(&of_quarter));
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_analyser_out_of_control_is_told_until_its_good_check() {
    let world = world(QUICK).await;
    let ago = |hours: i64| Timestamp::from_second(clock::now().as_second() - hours * 3600).unwrap();
    let check = |hours: i64, result: &str| {
        format!(
            "[[check]]\noutlet = \"{KILN}\"\nanalyser = \"gas\"\nkind = \"span-drift\"\nat = \"{}\"\nresult = \"{result}\"\nby = \"Contractor\"\n",
            ago(hours)
        )
    };
    let plan = format!(
        "[[check_plan]]\noutlet = \"{KILN}\"\nanalyser = \"gas\"\nkind = \"span-drift\"\nevery_hours = 168\ndocument = \"HJ 75\"\n\
         from = \"2020-01-01T00:00:00+08:00\"\n"
    );
    save(&world, &[plan, check(170, "passed")].concat()).await;
    let told = alerts(&world, "calibration-overdue", 1).await;
    assert_eq!((told[0]["analyser"].as_str(), told[0]["outlet"]["code"].as_str()), (Some("gas"), Some(KILN)));
    let instrument = &told[0]["instrument"];
    assert_eq!(
        (instrument["out_of_control"].as_bool(), instrument["passed"].as_bool()),
        (Some(true), Some(true))
    );
    insta::assert_snapshot!("calibration_overdue", words(&world, "calibration-overdue", "begun").await);
    // The check is made, and good.
    save(&world, &check(1, "passed")).await;
    over(&world, "calibration-overdue").await;
    // The next one fails.
    save(&world, &check(0, "failed")).await;
    let told = alerts(&world, "calibration-overdue", 2).await;
    assert_eq!(told[1]["instrument"]["passed"].as_bool(), Some(false));
    assert_ne!(told[0]["episode"], told[1]["episode"]);
    insta::assert_snapshot!("calibration_failed", words(&world, "calibration-overdue", "begun").await);
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_is_one_episode_that_worsens_with_its_lines() {
    let world = world(QUICK).await;
    let mut sender = Sender::connect(world.broker.port()).await;
    // What an hour emits, by an hour.
    let past = Timestamp::from_second((clock::now().as_second() / 3600 - 30) * 3600).unwrap();
    hour(&mut sender, past, 60.0).await;
    let sql =
        "SELECT (max(mass_kg) * 1000000)::bigint FROM average WHERE channel = 'a21026' AND period = 'hour'";
    let mass = wait_until(LIMIT, "the hour's mass", || async {
        let row = world.client.query_one(sql, &[]).await.unwrap();
        row.get::<_, Option<i64>>(0).ok_or("none yet")
    })
    .await;
    let year = clock::now().to_zoned(jiff::tz::TimeZone::UTC).year();
    // An hour is 85 % of it, as it is written in tonnes.
    let tonnes = mass as f64 / 1e9 / 0.85;
    save(
        &world,
        &format!(
            "[[quota]]\ncode = \"permit-so2\"\ndocument = \"Permit\"\noutlet = \"{KILN}\"\npollutant = \"a21026\"\ntonnes = {tonnes:.9}\n\
             from = \"{}-01-01T00:00:00+08:00\"\nuntil = \"{}-01-01T00:00:00+08:00\"\n",
            year - 1,
            year + 2
        ),
    )
    .await;
    let told = alerts(&world, "quota", 1).await;
    assert_eq!((told[0]["level"].as_u64(), told[0]["line_percent"].as_f64()), (Some(1), Some(80.0)));
    insta::assert_snapshot!("quota_80", words_of(&told[0]));
    // A twelfth more: above 90 %.
    hour(&mut sender, past + 1.hour(), 5.0).await;
    let told = alerts(&world, "quota", 2).await;
    assert_eq!((told[1]["level"].as_u64(), told[1]["line_percent"].as_f64()), (Some(2), Some(90.0)));
    hour(&mut sender, past + 2.hours(), 60.0).await;
    let told = alerts(&world, "quota", 3).await;
    assert_eq!((told[2]["level"].as_u64(), told[2]["line_percent"].as_f64()), (Some(3), Some(100.0)));
    assert_eq!(
        (told[2]["severity"].as_str(), told[2]["phase"].as_str()),
        (Some("serious"), Some("worsened"))
    );
    insta::assert_snapshot!("quota_100", words_of(&told[2]));
    assert_eq!(world.count("SELECT count(*) FROM episode WHERE kind = 'quota'").await, 1);
    world.centre.stop().await;
}
