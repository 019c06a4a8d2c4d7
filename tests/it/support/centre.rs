//! A centre on a database and a broker of the test's own, with the demonstration plant and a webhook that remembers.

use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::StatusCode;
use cems::central::{self, Links};
use cems::config::central::Timescale;
use cems::config::kind::Source;
use cems::config::{catalogue, seeds};
use cems::shutdown::Shutdown;
use cems::store::{migrate, plant as store_plant};
use cems::telemetry::Reporting;
use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::Client;

/// What the webhook received, with its time.
#[derive(Clone, Default)]
pub struct Webhook {
    received: Arc<Mutex<Vec<(Timestamp, Value)>>>,
    pub url: String,
}

impl Webhook {
    /// Listens on a free port until the test ends.
    pub async fn listen() -> Webhook {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/alert", listener.local_addr().unwrap());
        let webhook = Webhook { received: Arc::default(), url };
        let routes =
            axum::Router::new().route("/alert", axum::routing::post(remember)).with_state(webhook.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        webhook
    }

    /// All alerts so far.
    pub fn alerts(&self) -> Vec<(Timestamp, Value)> {
        self.received.lock().unwrap().clone()
    }

    /// The alerts of one kind so far.
    pub fn of_kind(&self, kind: &str) -> Vec<Value> {
        self.alerts().into_iter().map(|(_, body)| body).filter(|body| body["kind"] == kind).collect()
    }
}

async fn remember(State(webhook): State<Webhook>, body: String) -> StatusCode {
    let body = serde_json::from_str(&body).unwrap();
    webhook.received.lock().unwrap().push((cems::clock::now(), body));
    StatusCode::NO_CONTENT
}

/// Tables, pollutants, rules, the demonstration plant and more documents of the test's own.
pub async fn seed(client: &mut Client, more: &[(&str, String)]) {
    seed_with(client, seeds::demonstration(), more).await;
}

/// The same with another plant.
pub async fn seed_with(client: &mut Client, plant: Source, more: &[(&str, String)]) {
    match storage_of_tests() {
        Some(wish) => migrate::migrate_to(client, wish).await.unwrap(),
        None => migrate::migrate(client).await.unwrap(),
    };
    let mut sources = vec![seeds::pollutants(), seeds::rules(), plant];
    sources.extend(more.iter().map(|(file, text)| Source { file: (*file).to_owned(), text: text.clone() }));
    let catalogue = catalogue::parse(&sources).unwrap_or_else(|problems| panic!("{problems}"));
    store_plant::save(client, &catalogue).await.unwrap();
}

/// `CEMS_TEST_TIMESCALE=auto` runs all tests on hypertables where the server has TimescaleDB; without it tables stay as a test has made them: partitions, usually.
fn storage_of_tests() -> Option<Timescale> {
    let wish = std::env::var("CEMS_TEST_TIMESCALE").ok()?;
    let found = Timescale::WORDS.iter().find(|(word, _)| *word == wish);
    Some(found.unwrap_or_else(|| panic!("CEMS_TEST_TIMESCALE is {wish:?}; write auto, on or off")).1)
}

/// A plant document that sends alerts to a webhook.
pub fn notify(webhook: &Webhook) -> (&'static str, String) {
    let text = format!(
        "schema = \"plant/1\"\n[[notify]]\nname = \"test\"\nkind = \"webhook\"\nurl = \"{}\"\n",
        webhook.url
    );
    ("notify.toml", text)
}

/// A running centre; it ends when this is dropped.
pub struct Centre {
    pub running: Option<central::Running>,
    pub reporting: Reporting,
    shutdown: Shutdown,
}

impl Centre {
    /// Starts one. `more` is appended to its configuration.
    pub async fn start(database: &str, broker: u16, more: &str) -> Centre {
        Centre::start_with(database, broker, "", more).await
    }

    /// Starts one; `mqtt` is appended to the section about the broker.
    pub async fn start_with(database: &str, broker: u16, mqtt: &str, more: &str) -> Centre {
        cems::telemetry::start_logging(cems::telemetry::LogFormat::Text);
        // Endpoints of tests are on this machine.
        let alerting = if more.contains("[alerting]") { "" } else { "[alerting]\nallow_private = true\n" };
        let text = format!(
            "schema = \"central/1\"\n[central]\n[database]\nurl = \"{database}\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:{broker}\"\n{mqtt}\
             {alerting}[http]\nlisten = \"127.0.0.1:0\"\n{more}"
        );
        Centre::start_by(database, ("127.0.0.1".to_owned(), broker), &text).await
    }

    /// Starts one by a whole configuration.
    pub async fn start_by(database: &str, broker: (String, u16), text: &str) -> Centre {
        let config = cems::config::central::parse("central.toml", text)
            .unwrap_or_else(|problems| panic!("{problems}"));
        Centre::start_on(database, broker, config).await
    }

    /// Starts one by a configuration that is read already.
    pub async fn start_on(
        database: &str,
        broker: (String, u16),
        config: cems::config::central::Central,
    ) -> Centre {
        let links = Links { database: database.to_owned(), broker };
        let (reporting, shutdown) = (Reporting::default(), Shutdown::new());
        let running = central::start(&config, &links, reporting.clone(), shutdown.clone()).await.unwrap();
        Centre { running: Some(running), reporting, shutdown }
    }

    /// Where its HTTP listens.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.as_ref().unwrap().address)
    }

    /// Stops it and waits until it has ended.
    pub async fn stop(mut self) {
        self.shut().await;
    }

    /// The same, when its owner goes on.
    pub async fn shut(&mut self) {
        self.shutdown.cancel();
        self.running.take().unwrap().ended().await;
    }
}

impl Drop for Centre {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
