//! Ten thousand episodes at once: to a webhook each by itself, to the bot of a group folded under its limit.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::State;
use cems::clock;
use cems::domain::alert::{Alert, AlertKind};
use cems::domain::episode::{Observation, WINDOW};
use cems::store::episode::{Key, Sighting, observe};
use jiff::SignedDuration;

use crate::support::figures::{Goal, tell};
use crate::world::World;

const EPISODES: usize = 10_000;
const TOGETHER: usize = 1000;
const KIND: AlertKind = AlertKind::Conflict;

type Times = Arc<Mutex<Vec<Instant>>>;

async fn take(State(times): State<Times>) -> &'static str {
    times.lock().unwrap().push(clock::monotonic());
    r#"{"errcode": 0}"#
}

/// A bot, known to the centre.
async fn bot(world: &World) -> Times {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/robot", listener.local_addr().unwrap());
    let times = Times::default();
    let routes = axum::Router::new().route("/robot", axum::routing::post(take)).with_state(times.clone());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let make = "INSERT INTO notify_channel (name, kind, url, enabled, broadcast) VALUES ('bot', 'dingtalk', $1, true, true)";
    world.client.execute(make, &[&url]).await.unwrap();
    times
}

async fn begin(world: &World, first: usize) {
    let now = clock::now();
    let seen = (first..first + TOGETHER).map(|number| {
        let key =
            Key { outlet_id: 0, position: -1, rule_id: 0, kind: KIND, subject: format!("storm-{number}") };
        let observation = Observation { at: now, value: 0.0, above: true, level: 1 };
        let alert = Alert::new(KIND, now, now);
        Sighting { key, observation, limit: None, hold: SignedDuration::ZERO, clear: WINDOW, alert }
    });
    world.client.batch_execute("BEGIN").await.unwrap();
    observe(&world.client, seen.collect(), now).await.unwrap();
    world.client.batch_execute("COMMIT").await.unwrap();
}

/// The storm.
pub async fn alerts(world: &World) {
    let times = bot(world).await;
    world.settle().await;
    // The centre has read its channels again.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let _before = world.webhook.take(KIND.name());
    let started = clock::monotonic();
    begin(world, 0).await;
    let committed = clock::monotonic();
    for first in (TOGETHER..EPISODES).step_by(TOGETHER) {
        begin(world, first).await;
    }
    let written = started.elapsed();
    let (mut posted, mut undelivered) = (0, f64::INFINITY);
    let open = "SELECT count(*)::float8 FROM alert a WHERE a.kind = 'conflict' AND (a.routed_at IS NULL OR EXISTS \
         (SELECT 1 FROM delivery d WHERE d.alert_id = a.id AND d.state <> 'delivered'))";
    while (posted < EPISODES || undelivered > 0.0) && started.elapsed() < Duration::from_mins(3) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        posted += world.webhook.take(KIND.name()).len();
        undelivered = world.number(open).await;
    }
    let all = started.elapsed();
    let sent = times.lock().unwrap().clone();
    let within = |at: &Instant| {
        sent.iter()
            .filter(|other| **other >= *at && other.duration_since(*at) < Duration::from_mins(1))
            .count()
    };
    let most = sent.iter().map(within).max().unwrap_or_default();
    let first =
        sent.first().map_or(f64::INFINITY, |first| first.saturating_duration_since(committed).as_secs_f64());
    tell("storm_10k_written_s", written.as_secs_f64(), "s", Goal::None);
    tell(
        "storm_10k_lost",
        (EPISODES.saturating_sub(posted)) as f64 + undelivered,
        "alerts",
        Goal::AtMost(0.0),
    );
    tell("storm_10k_first_to_bot_s", first, "s", Goal::AtMost(2.0));
    tell("storm_10k_bot_per_minute", most as f64, "messages", Goal::AtMost(20.0));
    tell("storm_10k_all_told_s", all.as_secs_f64(), "s", Goal::None);
}
