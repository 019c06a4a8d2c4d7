//! Silences that are one, links, work that piles up, records that are refused or lost.

use std::fmt::Write as _;

use cems::clock;
use cems::config::kind::Source;
use cems::config::seeds;
use cems::domain::limit::AveragingPeriod;
use cems::store::due::{self, Due};
use jiff::SignedDuration;

use crate::alert_kinds::{alerts, over, rule, words};
use crate::support::wait::wait_until;
use crate::support::world::{LIMIT, Sender, kiln, two_gateways, whole_second, world, world_of};

const QUICK: &str = "[silence]\nafter_s = 4\ncheck_ms = 200\n";
const GLASS: &str = "demo-glass-furnace";

/// The kiln twenty-two times over, all behind one gateway.
fn many_outlets() -> Source {
    let Source { file, text } = seeds::demonstration();
    let (enterprises, rest) = text.split_once("[[outlet]]").unwrap();
    let kiln = rest.split("\n[[outlet]]\n").next().unwrap();
    let mut plant = enterprises.to_owned();
    let mut serves = "[[gateway]]\nname = \"gw-demo\"\n".to_owned();
    for number in 1..=22 {
        let code = format!("kiln-{number:02}");
        writeln!(plant, "[[outlet]]{}", kiln.replace("demo-cement-kiln", &code)).unwrap();
        write!(serves, "[[gateway.serves]]\noutlet = \"{code}\"\nfrom = \"2020-01-01T00:00:00+08:00\"\n")
            .unwrap();
    }
    Source { file, text: plant + &serves }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_with_many_outlets_falls_silent_in_one_alert() {
    let world = world_of(many_outlets(), QUICK).await;
    let mut sender = Sender::connect(world.broker.port()).await;
    let mut lines = Vec::new();
    for outlet in ["kiln-01", "kiln-07", "kiln-22"] {
        sender.outlet = outlet;
        lines.push(sender.record(whole_second(), &kiln(5.0, 10.0)));
    }
    sender.publish("live", 0, &lines).await;
    sender.receipted(0..3).await;
    let told = alerts(&world, "silent-gateway", 1).await;
    let from = clock::now().as_second();
    wait_until(LIMIT, "twice the limit", || async {
        let now = clock::now().as_second();
        if now >= from + 8 { Ok(()) } else { Err(now) }
    })
    .await;
    assert_eq!(world.webhook.alerts().len(), 1, "{:?}", world.webhook.alerts());
    let subjects: Vec<&str> =
        told[0]["subjects"].as_array().unwrap().iter().map(|code| code.as_str().unwrap()).collect();
    assert_eq!((subjects.len(), subjects[0], subjects[19]), (20, "kiln-01", "kiln-20"));
    assert_eq!(told[0]["subjects_total"].as_u64(), Some(22));
    // All of them are of one enterprise: its people are told.
    assert_eq!(told[0]["concerns"]["enterprise_code"].as_str(), Some("91410811DEM000001F"));
    assert!(told[0]["outlet"].is_null());
    insta::assert_snapshot!("silent_gateway_of_many", words(&world, "silent-gateway", "begun").await);
    // It speaks again.
    sender.outlet = "kiln-01";
    let line = sender.record(whole_second(), &kiln(5.0, 10.0));
    sender.publish("live", 3, &[line]).await;
    over(&world, "silent-gateway").await;
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_that_fall_silent_together_are_one_alert_and_so_is_the_link() {
    let mut world = world_of(two_gateways(), &format!("{QUICK}together = 2\n")).await;
    let port = world.broker.port();
    let (mut one, mut two) = (Sender::connect(port).await, Sender::connect_as(port, "gw-two", GLASS).await);
    for sender in [&mut one, &mut two] {
        let line = sender.event(whole_second(), "start", &[("version", "1")]);
        sender.publish("live", 0, &[line]).await;
        sender.receipted(0..1).await;
    }
    let told = alerts(&world, "silent-gateways", 1).await;
    assert_eq!(told[0]["subjects"], serde_json::json!(["gw-demo", "gw-two"]));
    insta::assert_snapshot!("silent_gateways", words(&world, "silent-gateways", "begun").await);
    assert_eq!(world.webhook.alerts().len(), 1, "{:?}", world.webhook.alerts());
    // The broker is gone: that explains all further silence.
    world.broker.kill().await;
    alerts(&world, "link-down", 1).await;
    insta::assert_snapshot!("link_down", words(&world, "link-down", "begun").await);
    assert_eq!(world.webhook.alerts().len(), 2, "{:?}", world.webhook.alerts());
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_that_wait_are_a_backlog_that_worsens_and_ends() {
    let world = world("[silence]\ncheck_ms = 200\n").await;
    rule(&world, "backlog", r#"{"levels": [300, 1800], "clear_s": 1}"#).await;
    let outlet: i32 = world
        .client
        .query_one("SELECT id FROM outlet WHERE code = 'demo-cement-kiln'", &[])
        .await
        .unwrap()
        .get(0);
    // Somebody else computes on the outlet's lane, and does not come to an end.
    let slow = world.database.client().await;
    let now = clock::now();
    let due = |minutes: i64| Due {
        outlet_id: outlet,
        source_id: 1,
        period: AveragingPeriod::Minute,
        start: whole_second() - SignedDuration::from_hours(3),
        due_at: now - SignedDuration::from_mins(minutes),
    };
    let wait_for_lane = || async {
        slow.batch_execute("BEGIN").await.unwrap();
        let span = (clock::now(), SignedDuration::ZERO);
        let claim = due::claim(&slow, due::lane(outlet), span, 100).await.unwrap();
        if claim.is_some() {
            return Ok(());
        }
        slow.batch_execute("ROLLBACK").await.unwrap();
        Err("the centre has the lane")
    };
    wait_until(LIMIT, "the lane", wait_for_lane).await;
    due::append_all(&world.client, &[due(6)]).await.unwrap();
    let told = alerts(&world, "backlog", 1).await;
    assert_eq!((told[0]["level"].as_u64(), told[0]["limit"].as_f64()), (Some(1), Some(300.0)));
    assert!(told[0]["measured"].as_f64().unwrap() >= 360.0);
    due::append_all(&world.client, &[due(31)]).await.unwrap();
    let told = alerts(&world, "backlog", 2).await;
    assert_eq!((told[1]["level"].as_u64(), told[1]["phase"].as_str()), (Some(2), Some("worsened")));
    let text = words(&world, "backlog", "begun").await;
    let measured = format!("{:.1}", told[0]["measured"].as_f64().unwrap());
    insta::assert_snapshot!("backlog", text.replace(&measured, "<late>").replace(&measured[..3], "<late>"));
    slow.batch_execute("ROLLBACK").await.unwrap();
    over(&world, "backlog").await;
    assert_eq!(world.count("SELECT count(*) FROM episode WHERE kind = 'backlog'").await, 1);
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_are_refused_contradict_or_are_lost_are_told_with_whom_they_concern() {
    let world = world_of(two_gateways(), "[quarantine]\ncap_per_gateway = 4\n").await;
    let mut sender = Sender::connect_as(world.broker.port(), "gw-two", GLASS).await;
    // Of an outlet that nobody knows.
    sender.outlet = "nowhere";
    let at = whole_second() - SignedDuration::from_mins(10);
    let lines = [sender.record(at, &kiln(5.0, 10.0))];
    sender.publish("live", 0, &lines).await;
    assert_eq!(sender.receipted(0..1).await, [0]);
    let told = alerts(&world, "quarantine", 1).await;
    assert_eq!(told[0]["concerns"]["enterprise_code"].as_str(), Some("91410882DEM000002D"));
    insta::assert_snapshot!("quarantine", words(&world, "quarantine", "begun").await);
    // Two records for one scan.
    sender.outlet = GLASS;
    let glass = |so2: f64| vec![("a21026", crate::support::world::normal(so2))];
    let lines = [sender.record(at, &glass(5.0)), sender.record(at, &glass(6.0))];
    sender.publish("live", 1, &lines).await;
    assert_eq!(sender.receipted(1..3).await, [2]);
    let told = alerts(&world, "conflict", 1).await;
    assert_eq!((told[0]["subjects"][0].as_str(), told[0]["subjects_total"].as_u64()), (Some(GLASS), Some(1)));
    insta::assert_snapshot!("conflict", words(&world, "conflict", "begun").await);
    // Its spool was lost.
    let detail =
        [("epoch", "unknown"), ("next", "unknown"), ("file", ""), ("reason", "the spool's file is gone")];
    let line = sender.event(whole_second(), "lost-range", &detail);
    sender.publish("live", 3, &[line]).await;
    sender.receipted(3..4).await;
    alerts(&world, "lost-range", 1).await;
    insta::assert_snapshot!("lost_range", words(&world, "lost-range", "begun").await);
    // Two more fit into its quarantine, the third does not.
    sender.outlet = "nowhere";
    let mut lines = Vec::new();
    for second in 1..4 {
        lines.push(sender.record(at + SignedDuration::from_secs(second), &kiln(5.0, 10.0)));
    }
    sender.publish("live", 4, &lines).await;
    alerts(&world, "quarantine-full", 1).await;
    insta::assert_snapshot!("quarantine_full", words(&world, "quarantine-full", "begun").await);
    let mut kinds: Vec<String> =
        world.webhook.alerts().iter().map(|(_, body)| body["kind"].as_str().unwrap().to_owned()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["conflict", "lost-range", "quarantine", "quarantine-full"], "each once");
    world.centre.stop().await;
}
