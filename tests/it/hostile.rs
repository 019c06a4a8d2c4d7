//! What a hostile gateway, a dead endpoint or late data must not achieve.

use std::time::Duration;

use cems::clock;
use cems::mqtt::connection::Delivery;
use jiff::{SignedDuration, Timestamp};

use crate::support::centre::{Centre, Webhook, notify, seed};
use crate::support::database::database;
use crate::support::servers::broker;
use crate::support::wait::wait_until;
use crate::support::world::{LIMIT, Sender, kiln, whole_second, world};

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_no_database_takes_silences_no_watch() {
    let world = world("[silence]\nafter_s = 2\ncheck_ms = 100\n").await;
    let sender = Sender::connect(world.broker.port()).await;
    let status = format!(
        r#"{{"v":1,"gateway":"gw-demo","online":true,"version":"\u0000","at":"{}","more":"x"}}"#,
        clock::now()
    );
    sender.outbox.publish("cems/v1/gw-demo/status", Delivery::AtLeastOnce, status, Vec::new()).await.unwrap();
    wait_until(LIMIT, "the gateway's sign of life", || async {
        let heard = world.count("SELECT count(*) FROM gateway_heard").await;
        if heard == 1 { Ok(()) } else { Err(heard) }
    })
    .await;
    wait_until(LIMIT, "its silence", || async {
        let told = world.webhook.of_kind("silent-gateway");
        if told.len() == 1 { Ok(()) } else { Err(told) }
    })
    .await;
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn monstrous_messages_are_kept_whole_and_stop_nobody() {
    let world = world("").await;
    let mut sender = Sender::connect(world.broker.port()).await;
    let endless_name = format!("cems/v1/{}/live", "x".repeat(6000));
    for topic in [endless_name.as_str(), "cems/v1/CAPITAL/backfill"] {
        let payload = format!("{{\"length\":{}}}", topic.len());
        sender.outbox.publish(topic, Delivery::AtLeastOnce, payload, Vec::new()).await.unwrap();
    }
    for _ in 0..3 {
        let lines = vec![b'\n'; 100_000];
        sender
            .outbox
            .publish("cems/v1/gw-demo/live", Delivery::AtLeastOnce, lines, Vec::new())
            .await
            .unwrap();
    }
    let line = sender.record(whole_second(), &kiln(20.0, 10.0));
    let started = clock::monotonic();
    sender.publish("live", 0, &[line]).await;
    assert!(sender.receipted(0..1).await.is_empty());
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    wait_until(LIMIT, "the three monsters, each once, in quarantine", || async {
        let kept = world.count("SELECT count(*) FROM quarantine").await;
        if kept == 3 { Ok(()) } else { Err(kept) }
    })
    .await;
    assert_eq!(world.count("SELECT count(*) FROM quarantine WHERE length(payload) = 100000").await, 1);
    assert_eq!(world.count("SELECT count(*) FROM scan").await, 1);
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_endpoint_delays_no_other() {
    let (database, broker, webhook) = (database().await, broker().await, Webhook::listen().await);
    // It accepts connections and says nothing.
    let dead = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", dead.local_addr().unwrap());
    let document =
        format!("schema = \"plant/1\"\n[[notify]]\nname = \"dead\"\nkind = \"webhook\"\nurl = \"{url}\"\n");
    let mut client = database.client().await;
    seed(&mut client, &[notify(&webhook), ("dead.toml", document)]).await;
    let centre = Centre::start(database.url(), broker.port(), "").await;
    wait_until(LIMIT, "the centre to be ready", || async {
        if centre.reporting.readiness.all_ready() { Ok(()) } else { Err(centre.reporting.readiness.parts()) }
    })
    .await;
    let mut sender = Sender::connect(broker.port()).await;
    let line = sender.record(whole_second() - SignedDuration::from_secs(2), &kiln(60.0, 13.5));
    sender.publish("live", 0, &[line]).await;
    sender.receipted(0..1).await;
    let first = wait_until(LIMIT, "the first alerts", || async {
        let told = webhook.of_kind("early-warning").len();
        if told >= 2 { Ok(told) } else { Err(told) }
    })
    .await;
    // The dead one is being tried; the next alert must not wait for it.
    let line = sender.record(whole_second(), &kiln(90.0, 13.5));
    let sent = clock::monotonic();
    sender.publish("live", 1, &[line]).await;
    wait_until(LIMIT, "the next alert", || async {
        let told = webhook.of_kind("early-warning").len();
        if told > first { Ok(()) } else { Err(told) }
    })
    .await;
    assert!(sent.elapsed() < Duration::from_secs(2), "{:?}", sent.elapsed());
    centre.stop().await;
}

const RULE: &str = "schema = \"rules/1\"\n[[rule]]\ncode = \"test-5-minutes\"\nname = \"test\"\ndocument = \"test\"\nclause = \"1\"\nmark = \"M\"\n\
    kind = \"assessment\"\ndivision = \"\"\nprocess = \"cement-kiln\"\npollutant = \"a21026\"\nlimit = 35\nperiod = \"5-minute\"\n\
    reference_oxygen_percent = 10\ncomparison = \"full-value\"\nfrom = \"2020-01-01T00:00:00+08:00\"\n";

/// A world with a rule on five minutes, and the start of five minutes that ended some minutes ago.
async fn five_minutes() -> (crate::support::world::World, Sender, Timestamp) {
    let world = world("[windows]\ndebounce_ms = 200\nsettle_ms = 200\n").await;
    let mut client = world.database.client().await;
    seed(&mut client, &[("rule.toml", RULE.to_owned())]).await;
    wait_until(LIMIT, "the centre to know the rule", || async {
        let path = world.centre.url("/api/v1/outlets");
        let http = cems::central::notify::webhook::client().unwrap();
        let text = http.get(path).send().await.unwrap().text().await.unwrap();
        if text.contains("test-5-minutes") { Ok(()) } else { Err("not yet") }
    })
    .await;
    let sender = Sender::connect(world.broker.port()).await;
    let start = Timestamp::from_second((clock::now().as_second() / 300 - 5) * 300).unwrap();
    (world, sender, start)
}

async fn send(sender: &mut Sender, start: Timestamp, minutes: std::ops::Range<i64>, so2: f64) {
    let first = sender.seq;
    let seconds = (minutes.start * 60..minutes.end * 60).step_by(5);
    let lines: Vec<Vec<u8>> = seconds
        .map(|second| sender.record(start + SignedDuration::from_secs(second), &kiln(so2, 10.0)))
        .collect();
    sender.publish("backfill", first, &lines).await;
    sender.receipted(first..sender.seq).await;
}

const EPISODES: &str = "SELECT count(*) FROM episode WHERE rule = 'test-5-minutes' AND kind = 'exceedance'";

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_late_scans_raise_is_told_once() {
    let (world, mut sender, start) = five_minutes().await;
    send(&mut sender, start, 0..4, 5.0).await;
    let verdict = "SELECT count(*) FROM verdict WHERE rule = 'test-5-minutes' AND verdict = ";
    wait_until(LIMIT, "met", || async {
        let met = world.count(&format!("{verdict} 'met'")).await;
        if met == 1 { Ok(()) } else { Err(met) }
    })
    .await;
    send(&mut sender, start, 4..5, 300.0).await;
    wait_until(LIMIT, "the alert of the revised window", || async {
        let told = world.webhook.of_kind("exceedance");
        if told.len() == 1 { Ok(()) } else { Err((told, world.count(EPISODES).await)) }
    })
    .await;
    assert_eq!(world.count(EPISODES).await, 1);
    assert_eq!(world.count(&format!("{verdict} 'exceeded'")).await, 1);
    world.centre.stop().await;
    assert_eq!(world.webhook.of_kind("exceedance").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_that_come_newest_first_become_one_episode() {
    let (world, mut sender, start) = five_minutes().await;
    let earlier = start - SignedDuration::from_mins(5);
    let later = start + SignedDuration::from_mins(5);
    let episodes = "SELECT count(*) FROM episode WHERE rule = 'test-5-minutes' AND state <> 'withdrawn'";
    for (index, window) in [later, earlier, start].into_iter().enumerate() {
        send(&mut sender, window, 0..5, 50.0).await;
        let judged = "SELECT count(*) FROM verdict WHERE rule = 'test-5-minutes' AND verdict = 'exceeded'";
        wait_until(LIMIT, "the verdict", || async {
            let count = world.count(judged).await;
            if count == index as i64 + 1 { Ok(()) } else { Err(count) }
        })
        .await;
    }
    // The one in the middle joins the other two.
    assert_eq!(world.count(episodes).await, 1);
    let open = "SELECT count(*) FROM episode_row WHERE (state = 'open') <> (closed_at IS NULL)";
    assert_eq!(world.count(open).await, 0, "a state that contradicts its times");
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_just_registered_is_not_refused() {
    let (database, broker) = (database().await, broker().await);
    let mut client = database.client().await;
    cems::store::migrate::migrate(&mut client).await.unwrap();
    let centre = Centre::start(database.url(), broker.port(), "").await;
    wait_until(LIMIT, "the centre to be ready", || async {
        if centre.reporting.readiness.all_ready() { Ok(()) } else { Err(centre.reporting.readiness.parts()) }
    })
    .await;
    let mut sender = Sender::connect(broker.port()).await;
    let line = sender.record(whole_second(), &kiln(20.0, 10.0));
    seed(&mut client, &[]).await;
    sender.publish("live", 0, &[line]).await;
    assert!(sender.receipted(0..1).await.is_empty(), "not in quarantine");
    let stored: i64 = client.query_one("SELECT count(*) FROM scan", &[]).await.unwrap().get(0);
    assert_eq!(stored, 1);
    centre.stop().await;
}
