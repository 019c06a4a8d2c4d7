//! The way from the outbox to channels under load and failure: storms, an endpoint that is down, centres that are killed.

/// A bot of a group that counts what it is sent.
mod bot;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use cems::domain::alert::{Alert, AlertKind};
use cems::domain::episode::{Observation, WINDOW};
use cems::store::episode::{Key, Sighting, observe};
use jiff::SignedDuration;
use tokio_postgres::Client;

use crate::delivery::bot::Bot;
use crate::support::centre::{Centre, seed};
use crate::support::database::database;
use crate::support::servers::broker;
use crate::support::told::told;
use crate::support::wait::wait_until;
use crate::support::world::LIMIT;

/// So many episodes begin at once, each of a subject of its own.
async fn begin(client: &Client, subjects: std::ops::Range<usize>) {
    let now = cems::clock::now();
    let seen = subjects.map(|number| {
        let kind = AlertKind::SilentGateway;
        let mut alert = Alert::new(kind, now, now);
        alert.gateway = Some(format!("gw-{number}"));
        alert.summary = format!("gateway gw-{number}: nothing heard");
        let key = Key { outlet_id: 0, position: -1, rule_id: 0, kind, subject: format!("gw-{number}") };
        let observation = Observation { at: now, value: 0.0, above: true, level: 1 };
        let (limit, hold, clear) = (None, SignedDuration::ZERO, WINDOW);
        Sighting { key, observation, limit, hold, clear, alert }
    });
    client.batch_execute("BEGIN").await.unwrap();
    observe(client, seen.collect(), now).await.unwrap();
    client.batch_execute("COMMIT").await.unwrap();
}

async fn count(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// An endpoint that drops repeats by their id, as the documentation tells receivers to.
#[derive(Clone, Default)]
struct Endpoint {
    down: Arc<AtomicBool>,
    refused: Arc<AtomicUsize>,
    /// When each id came first, and how often it came.
    received: Arc<Mutex<BTreeMap<String, (Instant, usize)>>>,
    url: String,
}

impl Endpoint {
    async fn listen() -> Endpoint {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let endpoint = Endpoint { url, ..Endpoint::default() };
        let routes =
            axum::Router::new().route("/hook", axum::routing::post(take)).with_state(endpoint.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        endpoint
    }

    fn ids(&self) -> usize {
        self.received.lock().unwrap().len()
    }

    /// How often something came a second time.
    fn repeats(&self) -> usize {
        self.received.lock().unwrap().values().map(|(_, times)| times - 1).sum()
    }
}

async fn take(State(endpoint): State<Endpoint>, headers: HeaderMap) -> StatusCode {
    if endpoint.down.load(Ordering::Relaxed) {
        endpoint.refused.fetch_add(1, Ordering::Relaxed);
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let id = headers["x-cems-alert"].to_str().unwrap().to_owned();
    let mut received = endpoint.received.lock().unwrap();
    received.entry(id).or_insert((cems::clock::monotonic(), 0)).1 += 1;
    StatusCode::NO_CONTENT
}

fn channel(name: &str, kind: &str, url: &str) -> (&'static str, String) {
    let text =
        format!("schema = \"plant/1\"\n[[notify]]\nname = \"{name}\"\nkind = \"{kind}\"\nurl = \"{url}\"\n");
    ("notify.toml", text)
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_at_once_are_folded_for_a_bot_and_none_is_lost() {
    let (database, broker, bot) = (database().await, broker().await, Bot::listen().await);
    let endpoint = Endpoint::listen().await;
    let mut client = database.client().await;
    let hook = channel("hook", "webhook", &endpoint.url);
    seed(&mut client, &[channel("group", "dingtalk", &bot.url), ("hook.toml", hook.1)]).await;
    // The demonstration's own channel is not counted.
    client
        .batch_execute("UPDATE notify_channel SET enabled = false WHERE name NOT IN ('group', 'hook')")
        .await
        .unwrap();
    let centre = Centre::start(database.url(), broker.port(), "").await;
    let started = cems::clock::monotonic();
    begin(&client, 0..1000).await;
    let committed = cems::clock::monotonic();
    for thousand in 1..10 {
        begin(&client, thousand * 1000..(thousand + 1) * 1000).await;
    }
    let written = started.elapsed();
    let undelivered = "SELECT count(*) FROM delivery d WHERE d.state <> 'delivered'";
    wait_until(Duration::from_mins(2), "all to be delivered", || async {
        let left = count(&client, undelivered).await;
        let routed = count(&client, "SELECT count(*) FROM alert WHERE routed_at IS NULL").await;
        let both = "SELECT count(*) FROM (SELECT alert_id FROM delivery GROUP BY 1 HAVING count(*) = 2) x";
        let both = count(&client, both).await;
        if (left, routed) == (0, 0) && both >= 10_000 { Ok(()) } else { Err((left, routed, both)) }
    })
    .await;
    let sent = bot.received();
    // From the COMMIT of the first thousand; writing them takes as long as this machine needs.
    let first = sent.first().unwrap().0.saturating_duration_since(committed);
    println!(
        "10,000 episodes written in {:.1} s, all told after {:.1} s; {} messages to the bot, the first after {:.2} s; {} to the webhook",
        written.as_secs_f64(),
        started.elapsed().as_secs_f64(),
        sent.len(),
        first.as_secs_f64(),
        endpoint.ids()
    );
    assert!(first < Duration::from_secs(2), "{first:?}");
    for (index, (at, _)) in sent.iter().enumerate() {
        let within =
            sent[index..].iter().filter(|(other, _)| other.duration_since(*at) < Duration::from_mins(1));
        assert!(within.count() <= 20);
    }
    assert!(endpoint.ids() >= 10_000 && endpoint.repeats() == 0);
    let folded = "SELECT count(*) FROM delivery_attempt WHERE outcome LIKE 'delivered; in digest %'";
    assert!(count(&client, folded).await > 9000);
    centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_was_down_for_six_hours_gets_all_of_it_once_soon_after_its_return() {
    let (database, broker, endpoint) = (database().await, broker().await, Endpoint::listen().await);
    endpoint.down.store(true, Ordering::Relaxed);
    let mut client = database.client().await;
    seed(&mut client, &[channel("hook", "webhook", &endpoint.url)]).await;
    client.batch_execute("UPDATE notify_channel SET enabled = false WHERE name <> 'hook'").await.unwrap();
    let centre = Centre::start(database.url(), broker.port(), "").await;
    begin(&client, 0..500).await;
    // Time is compressed: what waits has waited for six hours, and was tried as often as that takes.
    let tried = || endpoint.refused.load(Ordering::Relaxed);
    wait_until(LIMIT, "some attempts", || async { if tried() >= 3 { Ok(()) } else { Err(tried()) } }).await;
    let back = "UPDATE delivery SET created_at = created_at - interval '6 hours', attempts = 700; \
         UPDATE alert SET created_at = created_at - interval '6 hours'";
    client.batch_execute(back).await.unwrap();
    let before = tried();
    wait_until(Duration::from_mins(1), "more attempts", || async {
        if tried() > before { Ok(()) } else { Err(tried()) }
    })
    .await;
    // One tries for all: ten thousand that wait do not knock together.
    assert!(tried() < 60, "{}", tried());
    endpoint.down.store(false, Ordering::Relaxed);
    let returned = cems::clock::monotonic();
    wait_until(Duration::from_secs(90), "all of it", || async {
        let left = count(&client, "SELECT count(*) FROM delivery WHERE state <> 'delivered'").await;
        if left == 0 { Ok(()) } else { Err(left) }
    })
    .await;
    let first = endpoint.received.lock().unwrap().values().map(|(at, _)| *at).min().unwrap();
    let after = first.duration_since(returned);
    println!(
        "{} refused meanwhile; the first {:.1} s after its return, all after {:.1} s",
        tried(),
        after.as_secs_f64(),
        returned.elapsed().as_secs_f64()
    );
    assert!(after < Duration::from_mins(1));
    assert!(endpoint.ids() >= 500 && endpoint.repeats() <= endpoint.ids());
    centre.stop().await;
}

/// A centre in a process of its own, to be killed.
struct Process(Child);

impl Process {
    fn start(config: &Path) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cems"));
        Process(command.args(["central", "--config"]).arg(config).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _ended_already = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_centres_that_are_killed_at_random_deliver_each_of_a_thousand_episodes() {
    let (database, broker, endpoint, bot) =
        (database().await, broker().await, Endpoint::listen().await, Bot::listen().await);
    let mut client = database.client().await;
    let group = channel("group", "feishu", &bot.url);
    seed(&mut client, &[channel("hook", "webhook", &endpoint.url), ("group.toml", group.1)]).await;
    client
        .batch_execute("UPDATE notify_channel SET enabled = false WHERE name NOT IN ('hook', 'group')")
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "schema = \"central/1\"\n[central]\n[database]\nurl = \"{}\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\nshared = true\n\
         [http]\nlisten = \"127.0.0.1:0\"\n[alerting]\nallow_private = true\n",
        database.url(),
        broker.port()
    );
    let config = folder.path().join("central.toml");
    std::fs::write(&config, text).unwrap();
    let mut centres = [Some(Process::start(&config)), Some(Process::start(&config))];
    let mut kills = 0;
    for round in 0..20 {
        begin(&client, round * 50..(round + 1) * 50).await;
        // Some of them leave before one is killed in the middle of the rest.
        let wanted = fastrand::usize(0..50) + endpoint.ids();
        let _some = tokio::time::timeout(
            Duration::from_secs(2),
            wait_until(LIMIT, "some to leave", || async {
                if endpoint.ids() >= wanted { Ok(()) } else { Err(()) }
            }),
        )
        .await;
        let which = fastrand::usize(0..2);
        centres[which] = None;
        centres[which] = Some(Process::start(&config));
        kills += 1;
    }
    // What a killed centre had claimed comes up again after its lease.
    wait_until(Duration::from_secs(90), "all of them", || async {
        let left = count(&client, "SELECT count(*) FROM delivery WHERE state <> 'delivered'").await;
        let routed = count(&client, "SELECT count(*) FROM alert WHERE routed_at IS NULL").await;
        if (left, routed) == (0, 0) && endpoint.ids() >= 1000 {
            Ok(())
        } else {
            Err((left, routed, endpoint.ids()))
        }
    })
    .await;
    let episodes: Vec<String> = client
        .query("SELECT a.id::text FROM alert a WHERE a.kind = 'silent-gateway'", &[])
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert_eq!(episodes.len(), 1000);
    // An endpoint that goes by the id has each once: no alert has a second id.
    let alerts = count(&client, "SELECT count(*) FROM alert").await;
    let told: HashSet<String> = endpoint.received.lock().unwrap().keys().cloned().collect();
    assert!(episodes.iter().all(|id| told.contains(id)), "every episode is delivered");
    assert_eq!(told.len() as i64, alerts);
    let repeats = endpoint.repeats();
    println!(
        "{kills} kills; {alerts} alerts, each delivered; {repeats} came again with the same id; {} messages to the bot",
        bot.received().len()
    );
    // A kill loses at most the record of what was under way.
    assert!(repeats <= kills * 33, "{repeats}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_fails_for_long_is_told_by_the_others_and_its_recovery_ends_it() {
    let (database, broker) = (database().await, broker().await);
    let (good, bad) = (Endpoint::listen().await, Endpoint::listen().await);
    bad.down.store(true, Ordering::Relaxed);
    let mut client = database.client().await;
    let hook = channel("bad", "webhook", &bad.url);
    seed(&mut client, &[channel("good", "webhook", &good.url), ("bad.toml", hook.1)]).await;
    client
        .batch_execute("UPDATE notify_channel SET enabled = false WHERE name NOT IN ('good', 'bad')")
        .await
        .unwrap();
    let more = "[alerting]\nallow_private = true\nchannel_down_s = 3\n";
    let centre = Centre::start(database.url(), broker.port(), more).await;
    begin(&client, 0..1).await;
    let open =
        "SELECT count(*) FROM episode WHERE kind = 'channel-down' AND subject = 'bad' AND state = 'open'";
    wait_until(LIMIT, "the channel to be told of", || async {
        let (open, told) = (count(&client, open).await, good.ids());
        if (open, told) == (1, 2) { Ok(()) } else { Err((open, told)) }
    })
    .await;
    let (zh, en) = told(&client, "channel-down", "begun").await;
    insta::assert_snapshot!("channel_down", format!("{zh}\n\n{en}"));
    bad.down.store(false, Ordering::Relaxed);
    wait_until(Duration::from_mins(1), "its recovery", || async {
        let (open, told) = (count(&client, open).await, bad.ids());
        if open == 0 && told == 2 { Ok(()) } else { Err((open, told)) }
    })
    .await;
    centre.stop().await;
}

fn person(code: &str, first: &str) -> String {
    format!(
        "[[person]]\ncode = \"{code}\"\nname = \"desk {code}\"\nfrom = \"2020-01-01T00:00:00+08:00\"\n\
         [[person.address]]\nchannel = \"{first}\"\n[[person.address]]\nchannel = \"good\"\nto = \"{code}\"\n"
    )
}

/// People whose first address is bad in a way of its own, and whose second is good.
#[tokio::test(flavor = "multi_thread")]
async fn each_way_of_failing_is_recorded_and_the_next_address_has_it() {
    let (database, broker, good) = (database().await, broker().await, Endpoint::listen().await);
    let failed = Answers::new(500, None, "");
    let busy = Answers::new(429, Some("30"), "");
    let refusing = Answers::new(200, None, r#"{"errcode": 310000, "errmsg": "sign not match"}"#);
    let text = format!(
        "schema = \"plant/1\"\n\
         [[notify]]\nname = \"failed\"\nkind = \"webhook\"\nurl = \"{}\"\nbroadcast = false\n\
         [[notify]]\nname = \"busy\"\nkind = \"webhook\"\nurl = \"{}\"\nbroadcast = false\n\
         [[notify]]\nname = \"refusing\"\nkind = \"dingtalk\"\nurl = \"{}\"\nbroadcast = false\n\
         [[notify]]\nname = \"good\"\nkind = \"webhook\"\nurl = \"{}\"\nbroadcast = false\n\
         [[team]]\ncode = \"ops\"\nname = \"Operations\"\naudience = \"platform\"\ndefault = true\n\
         from = \"2020-01-01T00:00:00+08:00\"\nleads = [\"one\", \"two\", \"three\"]\n{}",
        failed.listen().await,
        busy.listen().await,
        refusing.listen().await,
        good.url,
        person("one", "failed") + &person("two", "busy") + &person("three", "refusing")
    );
    let mut client = database.client().await;
    seed(&mut client, &[("people.toml", text)]).await;
    client.batch_execute("UPDATE notify_channel SET enabled = false WHERE kind = 'log'").await.unwrap();
    let more = "[alerting]\nallow_private = true\nfail_over_s = 2\n";
    let centre = Centre::start(database.url(), broker.port(), more).await;
    // The platform hears of a backlog.
    let now = cems::clock::now();
    let kind = AlertKind::Backlog;
    let key = Key { outlet_id: 0, position: -1, rule_id: 0, kind, subject: String::new() };
    let observation = Observation { at: now, value: 400.0, above: true, level: 1 };
    let (limit, hold, clear) = (None, SignedDuration::ZERO, WINDOW);
    let seen = Sighting { key, observation, limit, hold, clear, alert: Alert::new(kind, now, now) };
    observe(&client, vec![seen], now).await.unwrap();
    let began = cems::clock::monotonic();
    wait_until(LIMIT, "all three by their second address", || async {
        let told = "SELECT count(*) FROM delivery d JOIN notify_channel n ON n.id = d.channel_id \
             WHERE n.name = 'good' AND d.state = 'delivered'";
        let told = count(&client, told).await;
        if told == 3 { Ok(()) } else { Err(told) }
    })
    .await;
    println!("three that fail: told by the next address after {:.1} s", began.elapsed().as_secs_f64());
    let sql = "SELECT n.name, d.state, t.status, t.outcome FROM delivery d JOIN notify_channel n ON n.id = d.channel_id \
         JOIN LATERAL (SELECT status, outcome FROM delivery_attempt t WHERE t.alert_id = d.alert_id AND t.channel_id = d.channel_id \
         AND t.recipient = d.recipient ORDER BY at LIMIT 1) t ON true WHERE n.name <> 'good' ORDER BY 1";
    let rows = client.query(sql, &[]).await.unwrap();
    let found: Vec<(String, String, Option<i32>)> =
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    let one = |name: &str, status: i32| (name.to_owned(), "failed-over".to_owned(), Some(status));
    assert_eq!(found, [one("busy", 429), one("failed", 500), one("refusing", 200)]);
    let said: String = rows[2].get(3);
    assert!(said.contains("310000"), "{said}");
    centre.stop().await;
}

/// An endpoint that always answers the same.
#[derive(Clone)]
struct Answers(Arc<(u16, Option<&'static str>, &'static str)>);

impl Answers {
    fn new(status: u16, retry_after: Option<&'static str>, body: &'static str) -> Answers {
        Answers(Arc::new((status, retry_after, body)))
    }

    /// Its address.
    async fn listen(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let routes = axum::Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        url
    }
}

async fn answer(State(answers): State<Answers>) -> axum::response::Response {
    let (status, retry_after, body) = *answers.0;
    let mut response =
        axum::http::Response::builder().status(status).header("content-type", "application/json");
    if let Some(seconds) = retry_after {
        response = response.header("retry-after", seconds);
    }
    response.body(axum::body::Body::from(body)).unwrap()
}
