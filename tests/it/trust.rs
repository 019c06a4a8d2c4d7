//! Whether the way to people can be trusted: a dead platform is noticed from outside, tests go the whole way, and an emergency is told
//! that cannot be written down.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cems::domain::alert::Alert;

use crate::support::centre::{Centre, Webhook, notify, seed};
use crate::support::database::{connect, database};
use crate::support::servers::{broker, own_postgres};
use crate::support::told::said;
use crate::support::wait::wait_until;
use crate::support::world::LIMIT;

/// `cems watch` in a process of its own.
struct Watch {
    child: Child,
    /// Where it hears heartbeats.
    url: String,
}

impl Watch {
    fn start(after_s: u32, to: &str) -> Watch {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cems"))
            .args(["watch", "--listen", "127.0.0.1:0", "--after-s", &after_s.to_string(), "--to", to])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = lines.next().unwrap().unwrap();
        let url = line.split_whitespace().last().unwrap().to_owned();
        // It must not be held up by a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Watch { child, url }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _ended_already = self.child.wait();
    }
}

async fn heard(webhook: &Webhook, kind: &str, state: &str, times: usize) {
    wait_until(LIMIT, "the watch to tell", || async {
        let told = webhook.of_kind(kind).into_iter().filter(|body| body["state"] == state).count();
        if told == times { Ok(()) } else { Err(webhook.alerts()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_platform_is_noticed_from_outside_and_so_is_its_return() {
    let (database, broker, webhook) = (database().await, broker().await, Webhook::listen().await);
    let watch = Watch::start(4, &webhook.url);
    seed(&mut database.client().await, &[]).await;
    let more = format!("[heartbeat]\nurl = \"{}\"\nevery_s = 1\n", watch.url);
    let centre = Centre::start(database.url(), broker.port(), &more).await;
    wait_until(LIMIT, "the centre to be ready", || async {
        if centre.reporting.readiness.all_ready() { Ok(()) } else { Err(centre.reporting.readiness.parts()) }
    })
    .await;
    // Twice as long as the watch has patience: nothing is told while the platform lives.
    let lives = cems::clock::monotonic();
    wait_until(LIMIT, "a while", || async {
        if lives.elapsed() > Duration::from_secs(8) { Ok(()) } else { Err(()) }
    })
    .await;
    assert_eq!(webhook.alerts().len(), 0);
    drop(centre);
    let dead = cems::clock::monotonic();
    heard(&webhook, "platform-silent", "open", 1).await;
    println!("noticed {:.1} s after its death, with a patience of 4 s", dead.elapsed().as_secs_f64());
    assert!(dead.elapsed() < Duration::from_secs(8));
    let _centre = Centre::start(database.url(), broker.port(), &more).await;
    heard(&webhook, "platform-silent", "closed", 1).await;
    assert_eq!(webhook.alerts().len(), 2);
    assert_eq!(webhook.alerts()[0].1["id"], webhook.alerts()[1].1["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_told_to_the_emergency_address_and_stops_the_heartbeat() {
    let (mut postgres, broker) = (own_postgres().await, broker().await);
    let (emergency, watched) = (Webhook::listen().await, Webhook::listen().await);
    let watch = Watch::start(6, &watched.url);
    let url = postgres.create_database("cems").await.unwrap();
    seed(&mut connect(&url).await, &[]).await;
    let more = format!(
        "[heartbeat]\nurl = \"{}\"\nevery_s = 1\npatience_s = 2\nemergency_url = \"{}\"\n",
        watch.url, emergency.url
    );
    let centre = Centre::start(&url, broker.port(), &more).await;
    wait_until(LIMIT, "the centre to be ready", || async {
        if centre.reporting.readiness.all_ready() { Ok(()) } else { Err(centre.reporting.readiness.parts()) }
    })
    .await;
    postgres.kill().await;
    let told = wait_until(LIMIT, "the emergency", || async {
        emergency.of_kind("database").first().cloned().ok_or(emergency.alerts())
    })
    .await;
    assert_eq!((&told["phase"], &told["severity"]), (&"begun".into(), &"serious".into()));
    assert!(told["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{told}");
    let mut alert: Alert = serde_json::from_value(told.clone()).unwrap();
    // What the operating system says of it is not ours.
    alert.reason = Some("the database does not answer".to_owned());
    let (zh, en) = said(&alert);
    insta::assert_snapshot!("database", format!("{zh}\n\n{en}"));
    heard(&watched, "platform-silent", "open", 1).await;
    postgres.restart().await.unwrap();
    let back = wait_until(LIMIT, "its end", || async {
        emergency.of_kind("database").get(1).cloned().ok_or(emergency.alerts())
    })
    .await;
    assert_eq!((&back["id"], &back["phase"]), (&told["id"], &"revised".into()));
    heard(&watched, "platform-silent", "closed", 1).await;
    centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tests_go_the_whole_way_to_whom_they_are_sent_and_to_nobody_else() {
    let (database, broker) = (database().await, broker().await);
    let (webhook, other) = (Webhook::listen().await, Webhook::listen().await);
    let second = format!(
        "schema = \"plant/1\"\n[[notify]]\nname = \"other\"\nkind = \"webhook\"\nurl = \"{}\"\n",
        other.url
    );
    let mut client = database.client().await;
    seed(&mut client, &[notify(&webhook), ("other.toml", second)]).await;
    let more = "[self_test]\nevery_s = 86400\nto = [\"other\"]\n";
    let centre = Centre::start(database.url(), broker.port(), more).await;
    // The periodic one comes by itself, once.
    wait_until(LIMIT, "the periodic test", || async {
        let tests = other.of_kind("self-test");
        if tests.len() == 1 && tests[0]["test"] == true { Ok(()) } else { Err(other.alerts()) }
    })
    .await;
    let send = |to: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_cems"))
            .args(["alert", "test", "--to", to, "--json", "--wait-s", "20", "--database", database.url()])
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, shown) = tokio::task::block_in_place(|| send("test"));
    assert_eq!(code, Some(0), "{shown}");
    let told: serde_json::Value = serde_json::from_str(&shown).unwrap();
    println!("cems alert test: {} ms", told[0]["took_ms"]);
    assert!(told[0]["took_ms"].as_i64().is_some_and(|ms| (0..5000).contains(&ms)), "{shown}");
    assert_eq!((webhook.of_kind("self-test").len(), other.of_kind("self-test").len()), (1, 1));
    let (code, _) = tokio::task::block_in_place(|| send("nobody"));
    assert_eq!(code, Some(2));
    // It is told as a test, and it opens nothing.
    let (zh, en) = crate::support::told::told(&client, "self-test", "begun").await;
    insta::assert_snapshot!("self_test", format!("{zh}\n\n{en}"));
    let open: i64 =
        client.query_one("SELECT count(*) FROM episode WHERE state = 'open'", &[]).await.unwrap().get(0);
    assert_eq!(open, 0);
    let metrics = reqwest::get(centre.url("/metrics")).await.unwrap().text().await.unwrap();
    assert!(metrics.contains("cems_central_delivery_seconds_count{channel=\"test\"} 1"), "{metrics}");
    centre.stop().await;
}
