//! Whether the way to people can be trusted. A heartbeat leaves every minute while the centre can do its work: whoever watches it from
//! outside notices a dead platform, as nothing inside could. A test goes the whole way now and then. And when the database is away, so that
//! no alert can be written, the emergency address hears of it directly.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::central::notify::Answer;
use crate::central::notify::channel::Post;
use crate::clock;
use crate::config::central::{Heartbeat, SelfTest};
use crate::domain::alert::{Alert, AlertKind, Phase};
use crate::domain::alerting::{Language, Told};
use crate::shutdown::Shutdown;
use crate::store::self_test;
use crate::store::session::{Failure, Session, Trouble, bounded};
use crate::telemetry::Readiness;

/// The emergency address hears of what lasts again after this.
const AGAIN: Duration = Duration::from_mins(15);
/// How often readiness is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Sends heartbeats, tests and emergencies.
pub struct Trust {
    pub session: Session,
    pub readiness: Readiness,
    pub post: Post,
    pub heartbeat: Heartbeat,
    pub self_test: SelfTest,
}

/// An emergency that goes on.
struct Emergency {
    id: String,
    since: Timestamp,
    told_at: std::time::Instant,
}

impl Trust {
    /// Runs until shutdown.
    pub async fn run(mut self, shutdown: Shutdown) {
        let mut beat_at = clock::monotonic();
        let mut test_at = clock::monotonic();
        let (mut emergency, mut trouble) = (None, Trouble::default());
        loop {
            let now = clock::monotonic();
            let away = self.away("database");
            if beat_at <= now {
                beat_at = now + self.heartbeat.every;
                self.beat(&mut trouble).await;
            }
            self.cry(away, &mut emergency).await;
            if test_at <= now {
                // A database that is away says so by itself.
                let every = self.self_test.every.unwrap_or(Duration::from_hours(1));
                test_at = now + every.min(Duration::from_mins(1));
                if self.test().await.is_err() {
                    self.session.discard();
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK.min(self.heartbeat.every)) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// Since when a part has been away for longer than is borne, and why.
    fn away(&self, part: &str) -> Option<(Timestamp, String)> {
        let parts = self.readiness.parts();
        let found = parts.get(part).filter(|part| !part.ready)?;
        let since = found.since;
        let patience = SignedDuration::try_from(self.heartbeat.patience).unwrap_or_default();
        (clock::now().duration_since(since) >= patience).then(|| (since, found.detail.clone()))
    }

    /// One heartbeat, unless what the centre needs for its work is away.
    async fn beat(&self, trouble: &mut Trouble) {
        let Some(url) = &self.heartbeat.url else { return };
        if self.away("database").is_some() || self.away("broker").is_some() {
            return;
        }
        let parts = self.readiness.parts();
        let not_ready: Vec<&str> =
            parts.iter().filter(|(_, part)| !part.ready).map(|(name, _)| *name).collect();
        let body = serde_json::json!({
            "v": 1, "platform": "cems", "at": clock::now(), "version": env!("CARGO_PKG_VERSION"),
            "every_s": self.heartbeat.every.as_secs(), "not_ready": not_ready,
        });
        match self.post.direct(url, "heartbeat", &body).await {
            Answer::Taken { .. } => trouble.over(),
            Answer::Later { reason, .. } | Answer::Refused { reason, .. } => {
                if trouble.is_new(&reason) {
                    tracing::warn!(reason, "the heartbeat does not get through");
                }
            }
        }
    }

    /// Tells the emergency address what the outbox cannot: that the database is away, and that it is back.
    async fn cry(&self, away: Option<(Timestamp, String)>, emergency: &mut Option<Emergency>) {
        let Some(url) = &self.heartbeat.emergency_url else { return };
        let now = clock::monotonic();
        let Some((since, reason)) = away else {
            if let Some(over) = emergency.take() {
                let mut alert = database_alert(over.since, Phase::Revised);
                alert.id = over.id;
                alert.summary = format!("the database is back; it was away since {}", over.since);
                self.send_emergency(url, &alert).await;
            }
            return;
        };
        if emergency.as_ref().is_some_and(|going| now.duration_since(going.told_at) < AGAIN) {
            return;
        }
        let id =
            emergency.as_ref().map_or_else(|| uuid::Uuid::now_v7().to_string(), |going| going.id.clone());
        let mut alert = database_alert(since, Phase::Begun);
        alert.id.clone_from(&id);
        alert.summary = format!("the database has been away since {since}: {reason}");
        alert.reason = Some(reason);
        if self.send_emergency(url, &alert).await {
            *emergency = Some(Emergency { id, since, told_at: now });
        }
    }

    async fn send_emergency(&self, url: &str, alert: &Alert) -> bool {
        let Ok(body) = serde_json::to_value(alert) else { return false };
        match self.post.direct(url, &alert.id, &body).await {
            Answer::Taken { .. } => true,
            Answer::Later { reason, .. } | Answer::Refused { reason, .. } => {
                tracing::error!(reason, "the emergency address does not answer: {}", alert.summary);
                false
            }
        }
    }

    /// The periodic test, if one is due.
    async fn test(&mut self) -> Result<(), Failure> {
        let Some(every) = self.self_test.every else { return Ok(()) };
        let now = clock::now();
        let every = SignedDuration::try_from(every).unwrap_or(SignedDuration::from_hours(24));
        let client = self.session.client().await?;
        bounded(client.batch_execute("BEGIN")).await?;
        if self_test::claim(client, now - every).await? {
            let to: Vec<Told> = self.self_test.to.iter().map(|to| way(to)).collect();
            self_test::put(client, &synthetic(now), &to, now).await?;
        }
        bounded(client.batch_execute("COMMIT")).await
    }
}

/// `channel` or `channel:recipient`.
pub fn way(to: &str) -> Told {
    let (channel, to) = to.split_once(':').unwrap_or((to, ""));
    Told {
        channel: channel.to_owned(),
        to: to.to_owned(),
        team: "self-test".to_owned(),
        person: None,
        language: Language::Zh,
        address: 0,
        has_more: false,
    }
}

/// An exceedance that never was, and says so.
pub fn synthetic(now: Timestamp) -> Alert {
    let mut alert = Alert::new(AlertKind::SelfTest, now, now);
    alert.test = true;
    alert.pollutant = Some("SO2".to_owned());
    (alert.corrected, alert.limit) = (Some(88.0), Some(35.0));
    alert.unit = Some("mg/m3".to_owned());
    alert.ratio_over = Some(88.0 / 35.0 - 1.0);
    "TEST of the way to you: nothing has happened".clone_into(&mut alert.summary);
    alert
}

fn database_alert(since: Timestamp, phase: Phase) -> Alert {
    let mut alert = Alert::new(AlertKind::Database, since, clock::now());
    alert.phase = phase;
    alert
}
