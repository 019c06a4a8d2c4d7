//! A broker, a PostgreSQL and a centre of the bench's own, each a process of its own, with a plant.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use cems::clock;
use cems::config::kind::Source;
use cems::config::{catalogue, seeds};
use cems::embedded::{Access, Servers};
use cems::store::{connect, migrate, plant};
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_postgres::Client;

use crate::support::process::{cpu, cpu_of_family};

/// What arrived at the webhook, with its time.
#[derive(Clone, Default)]
pub struct Webhook(Arc<Mutex<Vec<(Timestamp, serde_json::Value)>>>);

impl Webhook {
    async fn listen() -> (Webhook, String) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/alert", listener.local_addr().unwrap());
        let webhook = Webhook::default();
        let routes =
            axum::Router::new().route("/alert", axum::routing::post(remember)).with_state(webhook.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        (webhook, url)
    }

    /// All alerts of a kind since the last call.
    pub fn take(&self, kind: &str) -> Vec<(Timestamp, serde_json::Value)> {
        let all = std::mem::take(&mut *self.0.lock().unwrap());
        all.into_iter().filter(|(_, body)| body["kind"] == kind).collect()
    }
}

async fn remember(State(webhook): State<Webhook>, body: String) -> StatusCode {
    webhook.0.lock().unwrap().push((clock::now(), serde_json::from_str(&body).unwrap()));
    StatusCode::NO_CONTENT
}

/// All of it; the processes end with this.
pub struct World {
    pub servers: Servers,
    pub client: Client,
    pub url: String,
    pub webhook: Webhook,
    centre: Child,
    http: u16,
    pub folder: TempDir,
}

/// Processor seconds of each part so far.
#[derive(Clone, Copy)]
pub struct Cpu {
    pub broker: f64,
    pub centre: f64,
    pub postgres: f64,
    pub generator: f64,
}

impl Cpu {
    pub fn since(self, before: Cpu) -> Cpu {
        Cpu {
            broker: self.broker - before.broker,
            centre: self.centre - before.centre,
            postgres: self.postgres - before.postgres,
            generator: self.generator - before.generator,
        }
    }

    /// Without the generator, which stands for other machines.
    pub fn total(self) -> f64 {
        self.broker + self.centre + self.postgres
    }
}

impl World {
    /// Starts all of it on a plant document.
    pub async fn start(document: String) -> World {
        let folder = tempfile::Builder::new().prefix("cems-bench-").tempdir().unwrap();
        let servers = Servers::start(folder.path(), Access::Open).await.unwrap();
        let url = servers.postgres.create_database("cems").await.unwrap();
        let (webhook, address) = Webhook::listen().await;
        let mut client = connect::connect(&url, "bench").await.unwrap();
        client.batch_execute("SET statement_timeout = 0").await.unwrap();
        migrate::migrate(&mut client).await.unwrap();
        let notify = format!(
            "schema = \"plant/1\"\n[[notify]]\nname = \"bench\"\nkind = \"webhook\"\nurl = \"{address}\"\n"
        );
        let source = |file: &str, text: String| Source { file: file.to_owned(), text };
        let sources = [
            seeds::pollutants(),
            seeds::rules(),
            source("bench.toml", document),
            source("notify.toml", notify),
        ];
        plant::save(&mut client, &catalogue::parse(&sources).unwrap()).await.unwrap();
        client.batch_execute("VACUUM ANALYZE").await.unwrap();
        let (centre, http) = centre(&folder, &url, servers.mosquitto.port());
        World { servers, client, url, webhook, centre, http, folder }
    }

    pub fn broker(&self) -> u16 {
        self.servers.mosquitto.port()
    }

    pub fn centre(&self) -> u32 {
        self.centre.id()
    }

    pub fn cpu(&self) -> Cpu {
        Cpu {
            broker: cpu(self.servers.mosquitto.pid().unwrap()),
            centre: cpu(self.centre.id()),
            postgres: cpu_of_family(self.servers.postgres.pid().unwrap()),
            generator: cpu(std::process::id()),
        }
    }

    /// A counter or gauge of the centre's /metrics.
    pub async fn metric(&self, name: &str) -> f64 {
        let mut stream = TcpStream::connect(("127.0.0.1", self.http)).await.unwrap();
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}"));
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// The next so many alerts of a kind, with the times at which they came.
    pub async fn told(&self, kind: &str, count: usize) -> Vec<(Timestamp, serde_json::Value)> {
        let started = clock::monotonic();
        let mut all = Vec::new();
        while all.len() < count {
            all.extend(self.webhook.take(kind));
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert!(started.elapsed() < Duration::from_mins(1), "{} alerts instead of {count}", all.len());
        }
        all
    }

    pub async fn number(&self, sql: &str) -> f64 {
        self.client.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// Waits until all windows that are due are computed, and PostgreSQL has written down what it holds, so that each measurement
    /// begins on the same ground.
    pub async fn settle(&self) {
        let due = "SELECT count(*)::float8 FROM due WHERE due_at < now() + interval '4 s'";
        while self.number(due).await > 0.0 {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        self.client.batch_execute("CHECKPOINT").await.unwrap();
    }

    /// Ends all of it.
    pub async fn stop(mut self) {
        self.centre.kill().unwrap();
        self.centre.wait().unwrap();
        self.servers.stop().await;
        drop(self.servers);
        cems::embedded::erase(self.folder.path()).unwrap();
    }
}

/// `cems central`, connected to the broker when this returns.
fn centre(folder: &TempDir, database: &str, broker: u16) -> (Child, u16) {
    let http = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let file = folder.path().join("central.toml");
    let text = format!(
        "schema = \"central/1\"\n[central]\n[database]\nurl = \"{database}\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:{broker}\"\n\
         [http]\nlisten = \"127.0.0.1:{http}\"\n[alerting]\nallow_private = true\n{}",
        std::env::var("CEMS_BENCH_CENTRAL").unwrap_or_default()
    );
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cems"));
    command.args(["central", "--config"]).arg(&file).env("NO_COLOR", "1").stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map(Result::unwrap);
    let said = lines.by_ref().find(|line| line.contains("connected to the broker"));
    assert!(said.is_some(), "the centre ended");
    // Read on, or it would wait for us.
    std::thread::spawn(move || {
        for line in lines.filter(|line| line.contains("WARN") || line.contains("ERROR")) {
            println!("  centre: {line}");
        }
    });
    (process, http)
}
