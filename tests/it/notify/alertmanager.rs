//! Debian's Alertmanager: it is told what is active, forgets it when it is killed, is told again, and hears of the end.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cems::clock;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::stub::Stub;
use crate::support::centre::seed;
use crate::support::servers::{folder, lasting_port};
use crate::support::wait::wait_until;
use crate::support::world::{LIMIT, Sender, World, kiln, whole_second, world};

/// A private Alertmanager; killed when it is dropped.
struct Alertmanager {
    port: u16,
    process: Child,
}

impl Alertmanager {
    /// Starts with nothing in memory, whatever was there before.
    fn start(folder: &Path, port: u16) -> Alertmanager {
        let config = folder.join("alertmanager.yml");
        std::fs::write(&config, "route:\n  receiver: nobody\nreceivers:\n  - name: nobody\n").unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        let process = Command::new("prometheus-alertmanager")
            .env("PATH", format!("{path}:/usr/bin:/usr/sbin:/usr/local/bin"))
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--cluster.listen-address=")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let process = process.unwrap_or_else(|error| {
            panic!("prometheus-alertmanager cannot be started ({error}): `make setup` installs it, or apt-get install prometheus-alertmanager")
        });
        Alertmanager { port, process }
    }

    fn kill(&mut self) {
        let _ended_before = self.process.kill();
        let _reaped = self.process.wait();
    }

    /// What it says is active.
    async fn active(&self) -> Result<Vec<Value>, String> {
        let http = cems::central::notify::webhook::client().unwrap();
        let url = format!("http://127.0.0.1:{}/api/v2/alerts?active=true", self.port);
        let response = http.get(url).send().await.map_err(|error| error.to_string())?;
        let text = response.text().await.map_err(|error| error.to_string())?;
        serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))
    }

    /// Waits until so many alerts of a kind are active, and gives them.
    async fn has(&self, kind: &str, count: usize, limit: Duration) -> Vec<Value> {
        wait_until(limit, &format!("{count} of {kind} at the Alertmanager"), || async {
            let mut active = self.active().await?;
            active.retain(|alert| alert["labels"]["alertname"] == kind);
            if active.len() == count { Ok(active) } else { Err(format!("{active:?}")) }
        })
        .await
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn tell_it(world: &World, url: &str, more: &str) {
    let text = format!(
        "schema = \"plant/1\"\n[[notify]]\nname = \"am\"\nkind = \"alertmanager\"\nurl = \"{url}\"\n{more}\n"
    );
    seed(&mut world.database.client().await, &[("am.toml", text)]).await;
}

/// What is noted about the channel.
async fn failure(world: &World) -> Option<String> {
    let sql = "SELECT s.failure FROM channel_state s JOIN notify_channel n ON n.id = s.channel_id WHERE n.name = 'am'";
    let row = world.client.query_opt(sql, &[]).await.unwrap();
    row.and_then(|row| row.get(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alertmanager_that_is_killed_has_everything_back_within_a_minute() {
    let (world, folder) = (world("").await, folder());
    let mut real = Alertmanager::start(folder.path(), lasting_port());
    real.has("early-warning", 0, LIMIT).await;
    tell_it(&world, &format!("http://127.0.0.1:{}", real.port), "").await;
    let mut sender = Sender::connect(world.broker.port()).await;
    let at = whole_second() - SignedDuration::from_secs(70);
    let line = sender.record(at, &kiln(60.0, 13.5));
    let started = clock::monotonic();
    sender.publish("live", 0, &[line]).await;
    let told = wait_until(LIMIT, "the alerts at the webhook", || async {
        let told = world.webhook.of_kind("early-warning");
        if told.is_empty() { Err(()) } else { Ok(told) }
    })
    .await;
    let count = world
        .count("SELECT count(*) FROM episode_row WHERE closed_at IS NULL AND kind = 'early-warning'")
        .await;
    let count = usize::try_from(count).unwrap();
    let active = real.has("early-warning", count, LIMIT).await;
    println!("{count} alerts, at the Alertmanager {:?} after the scan was sent", started.elapsed());
    let first = &told[0];
    let episode = first["episode"].to_string();
    let same = active.iter().find(|alert| alert["labels"]["episode"] == episode.as_str()).unwrap();
    let labels = json!({"alertname": "early-warning", "outlet": first["outlet"]["code"], "enterprise": first["outlet"]["enterprise"],
        "channel": first["channel"], "pollutant": first["pollutant"], "rule": first["rule"], "severity": first["severity"],
        "episode": episode});
    assert_eq!(same["labels"], labels);
    assert_eq!(same["annotations"]["summary"], first["summary"]);
    assert_eq!(same["annotations"]["what_to_do"], first["what_to_do"]);
    let time = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert_eq!(time(&same["startsAt"]), at);
    let left = time(&same["endsAt"]).duration_since(clock::now()).as_secs();
    assert!((60..=90).contains(&left), "{left}");

    real.kill();
    let mut real = Alertmanager::start(folder.path(), real.port);
    let restarted = clock::monotonic();
    real.has("early-warning", count, Duration::from_mins(1)).await;
    println!("killed and restarted: all back after {:?}", restarted.elapsed());

    // Below the line for more than a minute: it hears of the end at once, not when it would have forgotten.
    let line = sender.record(whole_second(), &kiln(5.0, 10.0));
    sender.publish("live", 1, &[line]).await;
    let below = clock::monotonic();
    real.has("early-warning", 0, Duration::from_secs(20)).await;
    println!("over: resolved after {:?}", below.elapsed());
    real.kill();
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_away_is_noted_and_has_everything_soon_after_it_is_back() {
    let (world, folder) = (world("").await, folder());
    let port = lasting_port();
    tell_it(&world, &format!("http://127.0.0.1:{port}"), "").await;
    let mut sender = Sender::connect(world.broker.port()).await;
    let line = sender.record(whole_second() - SignedDuration::from_secs(2), &kiln(60.0, 13.5));
    sender.publish("live", 0, &[line]).await;
    let why =
        wait_until(LIMIT, "the failure to be noted", || async { failure(&world).await.ok_or(()) }).await;
    assert!(why.contains("cannot be reached"), "{why}");
    let real = Alertmanager::start(folder.path(), port);
    let started = clock::monotonic();
    let sql = "SELECT count(*) FROM episode_row WHERE closed_at IS NULL AND kind = 'early-warning'";
    let count = usize::try_from(world.count(sql).await).unwrap();
    assert!(count > 0);
    real.has("early-warning", count, Duration::from_secs(20)).await;
    println!("back: everything there after {:?}", started.elapsed());
    wait_until(LIMIT, "the failure to be over", || async { failure(&world).await.map_or(Ok(()), Err) }).await;
    // It gets no messages: what is active is all that it is told.
    assert_eq!(world.count("SELECT count(*) FROM delivery d JOIN notify_channel n ON n.id = d.channel_id WHERE n.name = 'am'").await, 0);
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_changed_is_told_at_its_new_place_with_its_login() {
    let folder = super::secrets(&[("am", "pass")]);
    let more = format!("[alerting]\nallow_private = true\nsecrets_dir = \"{}\"\n", folder.path().display());
    let world = world(&more).await;
    let (old, new) = (Stub::saying("{}").await, Stub::saying("{}").await);
    tell_it(&world, &old.url("/prefix/"), "every_s = 5").await;
    let mut sender = Sender::connect(world.broker.port()).await;
    let line = sender.record(whole_second() - SignedDuration::from_secs(2), &kiln(60.0, 13.5));
    sender.publish("live", 0, &[line]).await;
    let posted = async |stub: &Stub| {
        wait_until(LIMIT, "a post", || async {
            stub.asked().into_iter().find(|asked| asked.body.contains("early-warning")).ok_or(())
        })
        .await
    };
    let asked = posted(&old).await;
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", "/prefix/api/v2/alerts"));
    assert_eq!(asked.header("authorization"), "");
    tell_it(&world, &new.url("/"), "every_s = 5\nuser = \"cems\"\nsecret = \"am\"").await;
    let asked = posted(&new).await;
    assert_eq!(asked.header("authorization"), "Basic Y2VtczpwYXNz");
    let before = old.asked().len();
    let seen = new.asked().len();
    wait_until(LIMIT, "the next post to the new place", || async {
        if new.asked().len() > seen { Ok(()) } else { Err(new.asked().len()) }
    })
    .await;
    assert_eq!(old.asked().len(), before);
    world.centre.stop().await;
}
