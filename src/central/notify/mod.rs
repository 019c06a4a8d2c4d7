//! Alerts leave here: from the outbox table to people's channels, at least once, every attempt recorded.

/// HTTP POST of the alert's JSON.
pub mod webhook;
/// One message to one recipient.
pub mod channel;
/// Mail.
mod smtp;
/// What the bots of groups have in common.
mod bot;
/// A bot of a DingTalk group.
mod dingtalk;
/// A bot of a WeCom group.
mod wecom;
/// A bot of a Feishu group.
mod feishu;
/// Gateways for short messages and calls.
mod http;
/// What is active, to a Prometheus Alertmanager.
pub mod alertmanager;
/// How many messages a channel may be sent.
pub mod limit;
/// A message in the form that a channel wants.
pub mod form;
/// Where messages may go.
pub mod guard;
/// Secrets of channels.
pub mod secret;
/// One HTTP request, bounded.
mod call;

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::central::meters::Meters;
use crate::central::notify::channel::{Channel, Outgoing, Post};
use crate::clock;
use crate::domain::alerting::Language;
use crate::domain::message::Message;
use crate::shutdown::Shutdown;
use crate::store::alert::{Outcome, Waiting, attempted, claim};
use crate::store::session::{Failure, Session, Trouble};

/// So many deliveries are under way at once before more are claimed,
const AT_ONCE: usize = 256;
/// and so many are claimed of each channel at a time.
const PER_CHANNEL: i64 = 8;
/// A delivery that was claimed by a worker that died comes up again after this.
const LEASE: SignedDuration = SignedDuration::from_secs(30);
/// After a day of failures an alert is given up; it stays visible as dead.
const GIVE_UP: SignedDuration = SignedDuration::from_hours(24);

/// Delivers what waits in the outbox.
pub struct Courier {
    pub session: Session,
    pub post: Post,
    pub outbox: Arc<Notify>,
    pub meters: Meters,
}

/// What a channel said of one attempt, with the HTTP or SMTP status where there was one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Taken {
        status: Option<u16>,
    },
    /// Not now; the channel may have said when.
    Later {
        reason: String,
        after: Option<Duration>,
        status: Option<u16>,
    },
    /// Never, for this recipient or this message: trying again is of no use.
    Refused {
        reason: String,
        status: Option<u16>,
    },
}

/// Not now, for this reason.
fn later(reason: String) -> Answer {
    Answer::Later { reason, after: None, status: None }
}

/// One finished attempt.
struct Attempt {
    waiting: Waiting,
    answer: Answer,
    took_ms: i32,
}

impl Courier {
    /// Runs until shutdown. Channels do not wait for each other: a slow one only holds its own deliveries up.
    pub async fn run(mut self, shutdown: Shutdown) {
        let client = self.post.clone();
        let mut trouble = Trouble::default();
        let mut under_way: JoinSet<Attempt> = JoinSet::new();
        loop {
            let rung = Arc::clone(&self.outbox);
            let rung = rung.notified();
            match self.collect(&client, &mut under_way).await {
                Ok(()) => trouble.over(),
                Err(failure) => self.give_up(&failure, &mut trouble),
            }
            tokio::select! {
                Some(done) = under_way.join_next() => {
                    // A broken attempt comes up again after its lease.
                    let Ok(attempt) = done else { continue };
                    if let Err(failure) = self.record(&attempt).await {
                        self.give_up(&failure, &mut trouble);
                    }
                }
                () = rung => {}
                () = tokio::time::sleep(Duration::from_millis(500)) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    fn give_up(&mut self, failure: &Failure, trouble: &mut Trouble) {
        if trouble.is_new(&failure.to_string()) {
            tracing::warn!(%failure, "deliveries wait for the database");
        }
        self.session.discard();
    }

    /// Claims what is due, as far as there is room, and sends it on its way.
    async fn collect(&mut self, http: &Post, under_way: &mut JoinSet<Attempt>) -> Result<(), Failure> {
        if under_way.len() >= AT_ONCE {
            return Ok(());
        }
        let now = clock::now();
        for waiting in claim(self.session.client().await?, now, now + LEASE, PER_CHANNEL).await? {
            let http = http.clone();
            under_way.spawn(async move {
                let started = clock::monotonic();
                let answer = send(&http, &waiting).await;
                let took_ms = i32::try_from(started.elapsed().as_millis()).unwrap_or(i32::MAX);
                Attempt { waiting, answer, took_ms }
            });
        }
        Ok(())
    }

    /// Records how an attempt went.
    async fn record(&mut self, Attempt { waiting, answer, took_ms }: &Attempt) -> Result<(), Failure> {
        let at = clock::now();
        let outcome = outcome(waiting, answer, at);
        match &outcome {
            Outcome::Delivered => {
                self.meters.delivered(at.duration_since(waiting.created_at).as_secs_f64());
            }
            Outcome::Again(_, reason) | Outcome::Dead(reason) => {
                self.meters.delivery_failed();
                let (alert, channel) = (&waiting.alert_id, &waiting.channel);
                tracing::warn!(alert, channel, reason, "alert not delivered");
            }
        }
        attempted(self.session.client().await?, waiting, (at, *took_ms), &outcome).await
    }
}

async fn send(post: &Post, waiting: &Waiting) -> Answer {
    let text =
        |key: &str| waiting.body.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    let message = Message { language: Language::En, title: text("summary"), lines: Vec::new(), link: None };
    let channel = Channel {
        id: waiting.channel_id,
        name: waiting.channel.clone(),
        kind: waiting.kind.clone(),
        url: waiting.url.clone(),
        settings: serde_json::Value::Null,
    };
    let out = Outgoing { id: &waiting.alert_id, recipient: "", message: &message, body: &waiting.body };
    post.send(&channel, &out).await
}

/// What follows from an answer: 1 s, 2 s, 4 s … 5 min between attempts, or what the channel asked for.
fn outcome(waiting: &Waiting, answer: &Answer, at: Timestamp) -> Outcome {
    match answer {
        Answer::Taken { .. } => Outcome::Delivered,
        Answer::Refused { reason, .. } => Outcome::Dead(reason.clone()),
        Answer::Later { reason, .. } if at.duration_since(waiting.created_at) > GIVE_UP => {
            Outcome::Dead(reason.clone())
        }
        Answer::Later { reason, after, .. } => {
            let doublings = u32::try_from(waiting.attempts.clamp(1, 10) - 1).unwrap_or(0);
            let back_off = Duration::from_secs(1 << doublings)
                .min(Duration::from_mins(5))
                .mul_f64(0.8 + 0.4 * fastrand::f64());
            let wait = after.unwrap_or(back_off).min(Duration::from_hours(1));
            let wait = SignedDuration::try_from(wait).unwrap_or(LEASE);
            Outcome::Again(at + wait, reason.clone())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_grows_is_bounded_and_obeys_the_channel() {
        let at: Timestamp = "2026-11-21T04:00:00Z".parse().unwrap();
        let wait = |attempts: i32, after: Option<Duration>| {
            let waiting = Waiting {
                alert_id: String::new(),
                channel_id: 1,
                channel: String::new(),
                kind: "webhook".to_owned(),
                url: None,
                attempts,
                created_at: at,
                body: serde_json::Value::Null,
            };
            match outcome(&waiting, &Answer::Later { reason: "503".to_owned(), after, status: Some(503) }, at)
            {
                Outcome::Again(next, _) => next.duration_since(at).as_secs_f64(),
                Outcome::Delivered | Outcome::Dead(_) => panic!("again"),
            }
        };
        assert!((0.8..=1.2).contains(&wait(1, None)));
        assert!((6.4..=9.6).contains(&wait(4, None)));
        assert!(wait(1000, None) <= 360.0);
        assert!((119.0..=121.0).contains(&wait(1, Some(Duration::from_mins(2)))));
    }
}
