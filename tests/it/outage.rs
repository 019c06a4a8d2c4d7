//! Parts of the chain fail under a running plant. Afterwards the analysers' own ledger decides: none lost, none twice, none
//! altered. Each test has a broker and, where it fails, a PostgreSQL of its own.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cems::embedded::{Mosquitto, Postgres};
use tokio_postgres::Client;

use crate::support::centre::{Centre, Webhook, notify, seed};
use crate::support::chain::{LIMIT, all_ready, flows, minutes_agree, nothing_lost};
use crate::support::database::{connect, database};
use crate::support::plant::Plant;
use crate::support::servers::{Own, broker, folder, own_postgres};
use crate::support::wait::wait_until;

/// How long PostgreSQL may be back before readings flow again.
const INGEST_AGAIN: Duration = Duration::from_secs(10);

struct World {
    plant: Plant,
    centre: Centre,
    postgres: Own<Postgres>,
    broker: Own<Mosquitto>,
    url: String,
    _webhook: Webhook,
}

async fn world() -> World {
    let (postgres, broker, webhook) = (own_postgres().await, broker().await, Webhook::listen().await);
    let url = postgres.create_database("cems").await.unwrap();
    let mut client = connect(&url).await;
    seed(&mut client, &[notify(&webhook)]).await;
    let centre = Centre::start(&url, broker.port(), "").await;
    all_ready(&centre).await;
    let plant = Plant::start(broker.port()).await;
    flows(&client, second(), LIMIT).await;
    World { plant, centre, postgres, broker, url, _webhook: webhook }
}

fn second() -> i64 {
    cems::clock::now().as_second()
}

impl World {
    /// What the centre says at this address.
    async fn get(&self, path: &str) -> (u16, String) {
        let http = cems::central::notify::webhook::client().unwrap();
        let answer = http.get(self.centre.url(path)).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// What people and Prometheus get while a part is missing, or is not.
    async fn shows(&self, part: &str, ready: bool) {
        let (status, text) = self.get("/readyz").await;
        let body: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(body["parts"][part]["ready"], ready, "{text}");
        assert!(ready || status == 503, "{status}");
        let detail = body["parts"][part]["detail"].as_str().unwrap();
        assert_eq!(detail == "ok", ready, "what is wrong is said: {text}");
        let (_, text) = self.get("/metrics").await;
        let figure = format!("cems_ready{{part=\"{part}\"}} {}\n", u8::from(ready));
        assert!(text.contains(&figure), "{figure}: {text}");
    }

    /// Waits until the centre says that this part is missing, and only this one.
    async fn says_missing(&self, part: &str) {
        wait_until(LIMIT, "the centre to say what is missing", || async {
            let parts = self.centre.reporting.readiness.parts();
            let missing: Vec<&str> =
                parts.iter().filter(|(_, part)| !part.ready).map(|(name, _)| *name).collect();
            if missing == [part] { Ok(()) } else { Err(parts) }
        })
        .await;
        self.shows(part, false).await;
    }

    /// Waits for readings of this second or later; says how long that took.
    async fn ingests_again(&self, what: &str, limit: Duration) -> Client {
        let (back, from) = (cems::clock::monotonic(), second());
        let client = connect(&self.url).await;
        flows(&client, from, limit).await;
        println!(
            "{what}: readings of after its return in the table after {:.1} s",
            back.elapsed().as_secs_f64()
        );
        all_ready(&self.centre).await;
        self.shows("broker", true).await;
        self.shows("database", true).await;
        self.plant.all_receipted(limit).await;
        println!("{what}: all receipted after {:.1} s", back.elapsed().as_secs_f64());
        client
    }
}

/// The gateway is stopped cleanly and what it still held is sent by its next start: then all must be there.
async fn account(plant: &mut Plant, client: &Client) {
    plant.stop_gateway().await;
    let end = second() + 1;
    plant.start_gateway().await;
    plant.all_receipted(LIMIT).await;
    let account = nothing_lost(plant, client, end).await;
    println!("served {}, stored {}, explained {}", account.served, account.stored, account.explained);
}

#[tokio::test(flavor = "multi_thread")]
async fn broker_and_database_killed_for_half_a_minute_each_lose_nothing() {
    let mut world = world().await;
    world.broker.kill().await;
    world.says_missing("broker").await;
    world.plant.runs_for(30).await;
    assert!(world.plant.spooled() > 80, "what was read meanwhile is in the spool");
    world.broker.restart().await.unwrap();
    world.ingests_again("broker", LIMIT).await;

    world.postgres.kill().await;
    world.says_missing("database").await;
    world.plant.runs_for(30).await;
    assert!(world.plant.spooled() > 80, "nothing is receipted that is not stored");
    world.postgres.restart().await.unwrap();
    let client = world.ingests_again("PostgreSQL", INGEST_AGAIN).await;
    account(&mut world.plant, &client).await;
    // Three pollutants of three outlets, a minute at least.
    minutes_agree(&world.plant, &client, 9).await;
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_hangs_loses_nothing() {
    let mut world = world().await;
    let from = second();
    world.postgres.pause();
    world.says_missing("database").await;
    let seen = second() - from;
    println!("the hang was seen after {seen} s");
    // Within 15 s of the first statement that meets it, which is that of the next scan.
    assert!(seen <= 17, "{seen} s");
    world.plant.runs_for(20 - seen).await;
    world.postgres.resume();
    let client = world.ingests_again("hung PostgreSQL", INGEST_AGAIN).await;
    account(&mut world.plant, &client).await;
    minutes_agree(&world.plant, &client, 0).await;
    world.centre.stop().await;
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
async fn a_killed_centre_loses_nothing() {
    let (database, broker, webhook, folder) =
        (database().await, broker().await, Webhook::listen().await, folder());
    let mut client = database.client().await;
    seed(&mut client, &[notify(&webhook)]).await;
    let config = folder.path().join("central.toml");
    let text = format!(
        "schema = \"central/1\"\n[central]\n[database]\nurl = \"{}\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\n\
         [http]\nlisten = \"127.0.0.1:0\"\n[alerting]\nallow_private = true\n",
        database.url(),
        broker.port()
    );
    std::fs::write(&config, text).unwrap();
    let mut plant = Plant::start(broker.port()).await;
    for round in 0..4 {
        let (started, from) = (cems::clock::monotonic(), second());
        let centre = Process::start(&config);
        flows(&client, from, LIMIT).await;
        println!("centre, start {round}: readings after {:.1} s", started.elapsed().as_secs_f64());
        plant.runs_for(round).await;
        drop(centre);
        plant.runs_for(3).await;
        assert!(plant.spooled() >= 6, "nobody receipts");
    }
    let _centre = Process::start(&config);
    plant.all_receipted(LIMIT).await;
    account(&mut plant, &client).await;
    minutes_agree(&plant, &client, 0).await;
}
