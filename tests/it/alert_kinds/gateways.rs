//! What gateways say of themselves: clock, spool, certificate, analysers that refuse or contradict.

use cems::clock;
use cems::mqtt::connection::Delivery;
use cems::mqtt::status::GatewayStatus;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::alert_kinds::{alerts, rule, words};
use crate::support::wait::wait_until;
use crate::support::world::{LIMIT, Sender, World, kiln, whole_second, world};

const QUICK: &str = "[silence]\nafter_s = 4\ncheck_ms = 200\n";

/// A gateway that is well, but for its clock.
fn status(offset_ms: i64) -> GatewayStatus {
    let at = clock::now() + SignedDuration::from_millis(offset_ms);
    GatewayStatus {
        online: true,
        version: "1".to_owned(),
        spool_hours_left: Some(70.0),
        at: Some(at.to_string()),
        certificate_until: Some((clock::now() + SignedDuration::from_hours(90 * 24)).to_string()),
        clock_offset_ms: Some(offset_ms),
        clock_offset_error_ms: Some(300),
        ..GatewayStatus::offline("gw-demo")
    }
}

async fn say(sender: &Sender, status: &GatewayStatus) {
    let payload = serde_json::to_vec(status).unwrap();
    let topic = format!("cems/v1/{}/status", sender.gateway);
    sender.outbox.publish(&topic, Delivery::AtLeastOnceRetained, payload, Vec::new()).await.unwrap();
}

/// Says it again and again, as a gateway does, until so many were told of a kind.
async fn until_told(
    (world, sender): (&World, &Sender),
    of: impl Fn() -> GatewayStatus,
    (kind, times): (&str, usize),
) -> Value {
    wait_until(LIMIT, kind, || async {
        say(sender, &of()).await;
        let told = world.webhook.of_kind(kind);
        told.get(times - 1).cloned().ok_or(told)
    })
    .await
}

/// The same until no episode of a kind is open.
async fn until_over((world, sender): (&World, &Sender), kind: &str) {
    wait_until(LIMIT, kind, || async {
        say(sender, &status(10)).await;
        let sql = format!("SELECT count(*) FROM episode WHERE kind = '{kind}' AND state = 'open'");
        let open = world.count(&sql).await;
        if open == 0 { Ok(()) } else { Err(open) }
    })
    .await;
}

fn level(alert: &Value) -> (u64, &str) {
    (alert["level"].as_u64().unwrap(), alert["phase"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn clock_spool_and_certificate_worsen_by_their_lines_and_end_when_all_is_well() {
    let world = world(QUICK).await;
    for kind in ["gateway-clock", "gateway-spool"] {
        rule(&world, kind, r#"{"hold_s": 1, "clear_s": 1}"#).await;
    }
    let sender = Sender::connect(world.broker.port()).await;
    let of = (&world, &sender);
    // Its clock is 2.2 s off, give or take 0.3: nobody is told, or the next would not be the first.
    until_over(of, "gateway-clock").await;
    say(&sender, &status(2200)).await;
    let off = until_told(of, || status(5000), ("gateway-clock", 1)).await;
    assert_eq!(
        (level(&off), off["measured"].as_f64(), off["limit"].as_f64()),
        ((1, "begun"), Some(4.7), Some(2.0))
    );
    assert_eq!((off["gateway"].as_str(), off["subjects_total"].as_u64()), (Some("gw-demo"), Some(3)));
    insta::assert_snapshot!("gateway_clock", words(&world, "gateway-clock", "begun").await);
    // So far off that its statuses look old.
    let far = until_told(of, || status(-400_000), ("gateway-clock", 2)).await;
    assert_eq!((level(&far), far["episode"].clone()), ((2, "worsened"), off["episode"].clone()));
    insta::assert_snapshot!("gateway_clock_far", words(&world, "gateway-clock", "worsened").await);
    until_over(of, "gateway-clock").await;

    let filled = |level, left| {
        move || GatewayStatus {
            spool_level: level,
            spool_records: 4711,
            spool_hours_left: Some(left),
            ..status(10)
        }
    };
    let fills = until_told(of, filled(80, 14.0), ("gateway-spool", 1)).await;
    assert_eq!((level(&fills), fills["share_percent"].as_f64()), ((1, "begun"), Some(80.0)));
    insta::assert_snapshot!("gateway_spool", words(&world, "gateway-spool", "begun").await);
    let full = until_told(of, filled(95, 3.5), ("gateway-spool", 2)).await;
    assert_eq!((level(&full), full["severity"].as_str()), ((3, "worsened"), Some("serious")));
    insta::assert_snapshot!("gateway_spool_95", words(&world, "gateway-spool", "worsened").await);
    until_over(of, "gateway-spool").await;

    let until = |hours| {
        move || GatewayStatus {
            certificate_until: Some((clock::now() + SignedDuration::from_hours(hours)).to_string()),
            ..status(10)
        }
    };
    let month = until_told(of, until(29 * 24 + 12), ("gateway-certificate", 1)).await;
    assert_eq!((level(&month), month["measured"].as_f64()), ((1, "begun"), Some(29.0)));
    insta::assert_snapshot!("gateway_certificate", words(&world, "gateway-certificate", "begun").await);
    let week = until_told(of, until(6 * 24 + 12), ("gateway-certificate", 2)).await;
    let day = until_told(of, until(12), ("gateway-certificate", 3)).await;
    assert_eq!((level(&week), level(&day)), ((2, "worsened"), (3, "worsened")));
    until_over(of, "gateway-certificate").await;
    assert_eq!(
        world.count("SELECT count(*) FROM episode WHERE kind LIKE 'gateway-%'").await,
        3,
        "one of each"
    );
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_gateway_that_falls_silent_nothing_else_is_told() {
    let world = world(QUICK).await;
    rule(&world, "gateway-clock", r#"{"hold_s": 1, "clear_s": 1}"#).await;
    let mut sender = Sender::connect(world.broker.port()).await;
    let lines = [sender.record(whole_second(), &kiln(5.0, 10.0))];
    sender.publish("live", 0, &lines).await;
    sender.receipted(0..1).await;
    until_told((&world, &sender), || status(5000), ("gateway-clock", 1)).await;
    // It says once more that its spool is full and its certificate ends; and then nothing.
    let last = GatewayStatus { online: false, spool_level: 95, ..status(50_000) };
    say(&sender, &last).await;
    let told = alerts(&world, "silent-gateway", 1).await;
    assert_eq!(told[0]["subjects_total"].as_u64(), Some(3));
    let from = clock::now().as_second();
    wait_until(LIMIT, "twice the limit", || async {
        let now = clock::now().as_second();
        if now >= from + 8 { Ok(()) } else { Err(now) }
    })
    .await;
    let mut kinds: Vec<String> =
        world.webhook.alerts().iter().map(|(_, body)| body["kind"].as_str().unwrap().to_owned()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["gateway-clock", "silent-gateway"]);
    insta::assert_snapshot!("silent_gateway", words(&world, "silent-gateway", "begun").await);
    world.centre.stop().await;
}

/// Sends an event and waits for its receipt.
async fn event(sender: &mut Sender, at: Timestamp, name: &str, detail: &[(&str, &str)]) {
    let first = sender.seq;
    let line = sender.event(at, name, detail);
    sender.publish("live", first, &[line]).await;
    sender.receipted(first..first + 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn analysers_that_refuse_or_contradict_are_told_once_however_they_flap() {
    let world = world("[silence]\ncheck_ms = 200\n").await;
    let mut sender = Sender::connect(world.broker.port()).await;
    let old = whole_second() - SignedDuration::from_hours(2);
    event(&mut sender, old, "registers-refused", &[("analyser", "kiln.old"), ("registers", "0-3")]).await;
    let now = whole_second();
    event(&mut sender, now, "registers-refused", &[("analyser", "kiln.gas"), ("registers", "input 100-103")])
        .await;
    let told = alerts(&world, "analyser-fault", 1).await;
    assert_eq!(
        (told[0]["analyser"].as_str(), told[0]["gateway"].as_str()),
        (Some("kiln.gas"), Some("gw-demo"))
    );
    insta::assert_snapshot!("registers_refused", words(&world, "analyser-fault", "begun").await);
    for round in 0..10 {
        let agrees = if round % 2 == 0 { "false" } else { "true" };
        let detail = [
            ("analyser", "kiln.dust"),
            ("check", "serial number"),
            ("expected", "4711"),
            ("found", "0815"),
            ("agrees", agrees),
        ];
        event(&mut sender, whole_second(), "analyser-check", &detail).await;
    }
    let told = alerts(&world, "analyser-fault", 2).await;
    assert_eq!(told[1]["reason"].as_str(), Some("check serial number: 4711 expected, 0815 found"));
    insta::assert_snapshot!("analyser_check", words(&world, "analyser-fault", "begun").await);
    // A clock that was set back by two hours is news, whatever the date that it gives itself.
    let (expected, found) = (whole_second(), whole_second() - SignedDuration::from_hours(2));
    let detail = [("expected", &*expected.to_string()), ("found", &*found.to_string())];
    event(&mut sender, found, "clock-step", &detail).await;
    let told = alerts(&world, "gateway-clock", 1).await;
    assert_eq!((level(&told[0]), told[0]["measured"].as_f64()), ((2, "begun"), Some(-7200.0)));
    insta::assert_snapshot!("clock_step", words(&world, "gateway-clock", "begun").await);
    // Of what happened before nobody is told, and nothing is told twice.
    let subjects =
        "SELECT string_agg(subject, ' ' ORDER BY subject) FROM episode_row WHERE kind = 'analyser-fault'";
    let subjects: String = world.client.query_one(subjects, &[]).await.unwrap().get(0);
    assert_eq!(subjects, "gw-demo/kiln.dust gw-demo/kiln.gas");
    assert_eq!(world.webhook.of_kind("analyser-fault").len(), 2);
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_rule_does_not_watch_is_not_told() {
    let world = world(QUICK).await;
    rule(&world, "gateway-clock", r#"{"enabled": false}"#).await;
    // This one is saved after it, so whoever knows it knows the other.
    rule(&world, "gateway-spool", r#"{"levels": [60, 90, 95], "severity": "critical"}"#).await;
    let sender = Sender::connect(world.broker.port()).await;
    let full = || GatewayStatus { spool_level: 60, ..status(10) };
    let told = until_told((&world, &sender), full, ("gateway-spool", 1)).await;
    assert_eq!(told["severity"].as_str(), Some("critical"));
    // The clock is off by far more than its default rule allows, for longer than that asks.
    let both = || GatewayStatus { spool_level: 95, ..status(50_000) };
    until_told((&world, &sender), both, ("gateway-spool", 2)).await;
    assert_eq!(world.count("SELECT count(*) FROM episode_state WHERE kind = 'gateway-clock'").await, 0);
    world.centre.stop().await;
}
