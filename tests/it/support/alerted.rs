//! A centre in which a scan above a limit has become an alert, and an enterprise and the bureau were told of it.

use std::process::Command;

use cems::clock;
use cems::domain::alerting::Audience;
use cems::domain::link::Link;
use cems::store::link;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio_postgres::types::ToSql;

use crate::support::wait::wait_until;
use crate::support::world::{LIMIT, Sender, World, kiln, whole_second, world};

/// Who operates the kiln, and who another outlet.
pub const OWN: &str = "91410811DEM000001F";
pub const OTHER: &str = "91410882DEM000002D";

pub struct Told {
    pub world: World,
    pub outlet_id: i32,
    pub episode: i64,
    pub alert: String,
    pub http: reqwest::Client,
    /// Keeps its gateway connected.
    _sender: Sender,
}

impl Told {
    pub async fn new() -> Told {
        Told::with("").await
    }

    /// `http` is appended to the section `[http]` of the centre.
    pub async fn with(http: &str) -> Told {
        let world = world(http).await;
        let mut sender = Sender::connect(world.broker.port()).await;
        let bytes = sender.record(whole_second(), &kiln(60.0, 13.5));
        sender.publish("live", 0, &[bytes]).await;
        assert!(sender.receipted(0..1).await.is_empty());
        let find = "SELECT outlet_id, episode_id, id::text FROM alert WHERE kind = 'early-warning' ORDER BY created_at, id LIMIT 1";
        let row = wait_until(LIMIT, "the early warning", || async {
            world.client.query_opt(find, &[]).await.unwrap().ok_or("no alert")
        })
        .await;
        let (outlet_id, episode, alert): (i32, i64, String) = (row.get(0), row.get(1), row.get(2));
        // Routed: the enterprise at once, where nobody is, the bureau later. Both ladders are then as if somebody had been told.
        wait_until(LIMIT, "its ladders", || async {
            let sql = "SELECT count(*), count(next_at) FROM handling WHERE episode_id = $1";
            let row = world.client.query_one(sql, &[&episode]).await.unwrap();
            let found: (i64, i64) = (row.get(0), row.get(1));
            if found == (2, 1) { Ok(()) } else { Err(found) }
        })
        .await;
        let told = "UPDATE handling SET next_at = now() + interval '1 hour' WHERE episode_id = $1";
        world.client.execute(told, &[&episode]).await.unwrap();
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Told { world, outlet_id, episode, alert, http, _sender: sender }
    }

    /// The program on this database: exit code, standard output, standard error.
    pub fn cems(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_cems"))
            .args(arguments)
            .env("CEMS__DATABASE__URL", self.world.database.url())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// A token made by the program.
    pub fn token(&self, name: &str, scopes: &str, more: &[&str]) -> String {
        let arguments = ["token", "create", "--name", name, "--scope", scopes];
        let (code, token, errors) = self.cems(&[&arguments[..], more].concat());
        assert_eq!(code, 0, "{errors}");
        token.trim().to_owned()
    }

    /// Asks the API; with a body it posts.
    pub async fn ask(&self, path: &str, token: Option<&str>, body: Option<Value>) -> (u16, Value) {
        let url = self.world.centre.url(path);
        let mut request = match body {
            Some(body) => self.http.post(url).json(&body),
            None => self.http.get(url),
        };
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// `/api/v1/episodes/{id}` with something behind it.
    pub fn path(&self, more: &str) -> String {
        format!("/api/v1/episodes/{}{more}", self.episode)
    }

    /// A link as it goes into a message.
    pub async fn link(&self, audience: Audience, person: &str, lasts: SignedDuration) -> String {
        let now = clock::now();
        let key = link::key(&self.world.client, now).await.unwrap();
        let (id, expires_at) = (uuid::Uuid::now_v7(), now + lasts);
        let sql = "INSERT INTO alert_link (id, outlet_id, episode_id, alert_id, audience, person, made_at, expires_at) \
                   VALUES ($1::text::uuid, $2, $3, $4::text::uuid, $5, $6, $7, $8)";
        let client = &self.world.client;
        let told: [&(dyn ToSql + Sync); 8] = [
            &id.to_string(),
            &self.outlet_id,
            &self.episode,
            &self.alert,
            &audience.name(),
            &person,
            &now,
            &expires_at,
        ];
        client.execute(sql, &told).await.unwrap();
        Link { id: id.into_bytes(), expires_at: expires_at.as_second() }.sign(&key)
    }

    /// What people did, oldest first: what, by whom, via.
    pub async fn actions(&self) -> Vec<(String, String, String)> {
        let sql = "SELECT what, by_whom, via FROM episode_action WHERE what <> 'told' ORDER BY id";
        let rows = self.world.client.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
    }

    /// Acknowledged by whom, closed by whom, and when more are told.
    pub async fn line(&self, audience: &str) -> (Option<String>, Option<String>, Option<Timestamp>) {
        let sql = "SELECT acknowledged_by, closed_by, next_at FROM handling WHERE episode_id = $1 AND audience = $2";
        let row = self.world.client.query_one(sql, &[&self.episode, &audience]).await.unwrap();
        (row.get(0), row.get(1), row.get(2))
    }

    /// Everything that a refusal must leave as it is.
    pub async fn fingerprint(&self) -> Vec<String> {
        let sql = "SELECT (SELECT string_agg(h::text, '|' ORDER BY audience) FROM (SELECT audience, acknowledged_by, assigned_to, closed_by, reason_code, action_code FROM handling WHERE episode_id = $1) h), \
                   (SELECT string_agg(a::text, '|' ORDER BY id) FROM episode_action a WHERE what NOT IN ('told', 'link-refused')), \
                   (SELECT string_agg(s::text, '|' ORDER BY id) FROM silence s), \
                   (SELECT string_agg(l::text, '|' ORDER BY id) FROM alert_link l)";
        let row = self.world.client.query_one(sql, &[&self.episode]).await.unwrap();
        (0..4).map(|column| row.get::<_, Option<String>>(column).unwrap_or_default()).collect()
    }
}
