//! What values show: scans near and above a limit, running hours, exceedances, and what becomes of them. A test chooses the
//! jurisdiction's zone so that its hour is as far as the test needs, whenever it runs.

/// Early warnings, dilution, faults.
mod scans;
/// Hours that are not over.
mod hours;
/// Windows above a limit, and what becomes of them.
mod windows;

use cems::clock;
use cems::config::seeds;
use cems::domain::scan::Reading;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::support::centre::{Centre, Webhook, notify, seed_with};
use crate::support::database::database;
use crate::support::servers::broker;
use crate::support::told::told;
use crate::support::wait::wait_until;
use crate::support::world::{self, LIMIT, Sender, World, normal};

const KILN: &str = "demo-cement-kiln";
/// The first of the two rules of 35 mg/m3.
const ULTRA_LOW: &str = "hdq-2024-5-cement-kiln-so2";

/// What is known before the centre starts.
#[derive(Default)]
struct Before {
    /// Documents of `plant/1` or of rules.
    documents: Vec<(&'static str, String)>,
    /// Rules of alerting: kind, and the columns that differ from the default.
    rules: Vec<(&'static str, &'static str)>,
}

/// A world in whose zone it is `hour:minute` now, and when that hour began.
async fn world_at((hour, minute): (i64, i64), before: Before) -> (World, Timestamp) {
    let now = clock::now().as_second().div_euclid(60);
    let shift = (hour * 60 + minute - now).rem_euclid(1440);
    let shift = if shift > 720 { shift - 1440 } else { shift };
    let zone = TimeZone::fixed(Offset::from_seconds(i32::try_from(shift * 60).unwrap()).unwrap());
    let (database, broker, webhook) = (database().await, broker().await, Webhook::listen().await);
    let mut client = database.client().await;
    let documents: Vec<(&str, String)> =
        before.documents.iter().map(|(name, text)| (*name, text.clone())).chain([notify(&webhook)]).collect();
    seed_with(&mut client, seeds::demonstration(), &documents).await;
    for (kind, other) in before.rules {
        let sql = format!(
            "INSERT INTO law_entry (list, subject, valid_from, body, revision, stored_at) \
             SELECT 'alert_rule', 'test-{kind}', '1971-01-01T00:00:00Z', body || '{{\"code\": \"test-{kind}\"}}' || '{other}'::jsonb, \
             0, now() FROM law_entry WHERE list = 'alert_rule' AND subject = '{kind}'"
        );
        assert_eq!(client.execute(&sql, &[]).await.unwrap(), 1);
    }
    let (url, port) = (database.url(), broker.port());
    let text = format!(
        "schema = \"central/1\"\n[central]\n[database]\nurl = \"{url}\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:{port}\"\n\
         [http]\nlisten = \"127.0.0.1:0\"\n[alerting]\nallow_private = true\n[windows]\ndebounce_ms = 300\nsettle_ms = 300\n"
    );
    let config = cems::config::central::parse("central.toml", &text);
    let mut config = config.unwrap_or_else(|problems| panic!("{problems}"));
    config.zone = zone;
    cems::telemetry::start_logging(cems::telemetry::LogFormat::Text);
    let centre = Centre::start_on(url, ("127.0.0.1".to_owned(), port), config).await;
    let world = World { database, client, broker, webhook, centre };
    wait_until(LIMIT, "the centre to be ready", || async {
        let parts = world.centre.reporting.readiness.parts();
        if world.centre.reporting.readiness.all_ready() { Ok(()) } else { Err(parts) }
    })
    .await;
    (world, Timestamp::from_second((now - minute) * 60).unwrap())
}

/// A scan of the kiln of which only SO2 is near any limit.
fn kiln(so2: f64, oxygen: f64) -> Vec<(&'static str, Reading)> {
    let mut readings = world::kiln(so2, oxygen);
    readings[1] = ("a21002", normal(10.0));
    readings
}

fn minute(start: Timestamp, minute: i64) -> Timestamp {
    start + SignedDuration::from_mins(minute)
}

/// Sends minutes after `start`, twelve scans each, with one SO2 value at the reference of 10 % oxygen.
async fn send(sender: &mut Sender, start: Timestamp, minutes: std::ops::Range<i64>, so2: f64) {
    let first = sender.seq;
    let seconds = (minutes.start * 60..minutes.end * 60).step_by(5);
    let lines: Vec<Vec<u8>> = seconds
        .map(|second| sender.record(start + SignedDuration::from_secs(second), &kiln(so2, 10.0)))
        .collect();
    for (index, chunk) in lines.chunks(60).enumerate() {
        sender.publish("backfill", first + index as u64 * 60, chunk).await;
    }
    sender.receipted(first..sender.seq).await;
}

/// Sends scans as they are just made.
async fn live(sender: &mut Sender, scans: &[(Timestamp, Vec<(&'static str, Reading)>)]) {
    let first = sender.seq;
    let lines: Vec<Vec<u8>> = scans.iter().map(|(at, readings)| sender.record(*at, readings)).collect();
    for (index, chunk) in lines.chunks(60).enumerate() {
        sender.publish("live", first + index as u64 * 60, chunk).await;
    }
    sender.receipted(first..sender.seq).await;
}

/// What was told of a kind in a phase by one rule, once there are so many.
async fn alerts(world: &World, (kind, phase): (&str, &str), rule: Option<&str>, times: usize) -> Vec<Value> {
    wait_until(LIMIT, kind, || async {
        let mut told = world.webhook.of_kind(kind);
        told.retain(|alert| alert["phase"] == phase && rule.is_none_or(|rule| alert["rule"] == rule));
        if told.len() >= times { Ok(told) } else { Err(world.webhook.alerts()) }
    })
    .await
}

/// Waits until every window that is over is computed.
async fn settled(world: &World) {
    wait_until(LIMIT * 4, "all windows", || async {
        let waiting = world.count("SELECT count(*) FROM due WHERE due_at <= now() + interval '2 s'").await;
        if waiting == 0 { Ok(()) } else { Err(waiting) }
    })
    .await;
}

/// Waits until a query counts so many.
async fn until(world: &World, sql: &str, times: i64) {
    wait_until(LIMIT, sql, || async {
        let found = world.count(sql).await;
        if found == times { Ok(()) } else { Err(found) }
    })
    .await;
}

/// The newest alert of a kind and phase in both languages.
async fn words(world: &World, kind: &str, phase: &str) -> String {
    let (zh, en) = told(&world.client, kind, phase).await;
    format!("{zh}\n\n{en}")
}
