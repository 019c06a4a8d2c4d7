//! A Prometheus Alertmanager is told what is active, not what has happened: it keeps alerts in memory and forgets them without a word
//! (5 minutes, or `endsAt`). So everything that is open is posted again and again, at once when something changes, and what has ended is
//! posted once more with its end. Nothing here is remembered beyond what can be lost: after a restart all that is open goes out again,
//! and what had ended meanwhile ends there by its `endsAt`. Several centres may all post: the same labels are the same alert.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::central::notify::call::{Call, LONGEST, Reads};
use crate::central::notify::channel::{Channel, Post, Sending};
use crate::central::notify::form::{fit, line};
use crate::central::notify::{Answer, later, webhook};
use crate::clock;
use crate::shutdown::Shutdown;
use crate::store::active::{Active, Listener, Mark, active, listeners, mark, note};
use crate::store::session::{Failure, Session, Trouble};

/// How often it is looked which channels there are,
const LOOK_FOR_CHANNELS: Duration = Duration::from_secs(2);
/// and whether anything has changed, besides the bell.
const LOOK: Duration = Duration::from_secs(1);
/// So many alerts travel in one request.
const BATCH: usize = 500;
/// More open episodes than this are not told; the newest are.
const MOST: i64 = 20_000;
/// The longest wait after a failure: an Alertmanager that is back has everything within this time.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(10);
/// Between two posts of everything, where the channel does not say.
const EVERY_S: u32 = 30;

/// Keeps a poster for each channel of the kind that is enabled.
pub struct Posters {
    pub database: String,
    pub post: Post,
    pub outbox: Arc<Notify>,
}

impl Posters {
    /// Runs until shutdown. A channel that is changed gets a new poster; what its old one has posted ends by itself.
    pub async fn run(self, shutdown: Shutdown) {
        let mut session = Session::new(&self.database);
        let mut trouble = Trouble::default();
        let mut known: HashMap<i32, (Listener, Shutdown)> = HashMap::new();
        let mut tasks = JoinSet::new();
        loop {
            match listeners_of(&mut session).await {
                Ok(found) => {
                    trouble.over();
                    known.retain(|_, (listener, stop)| {
                        let stays = found.contains(listener);
                        if !stays {
                            stop.cancel();
                        }
                        stays
                    });
                    for listener in found {
                        let (id, stop) = (listener.id, shutdown.child_token());
                        known.entry(id).or_insert_with(|| {
                            tasks.spawn(self.poster(listener.clone()).run(stop.clone()));
                            (listener, stop)
                        });
                    }
                }
                Err(failure) => {
                    if trouble.is_new(&failure.to_string()) {
                        tracing::warn!(%failure, "the channels of kind alertmanager are not known");
                    }
                    session.discard();
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_FOR_CHANNELS) => {}
                Some(_ended) = tasks.join_next() => {}
                () = shutdown.cancelled() => break,
            }
        }
        while tasks.join_next().await.is_some() {}
    }

    fn poster(&self, listener: Listener) -> Poster {
        let channel = Channel {
            id: listener.id,
            name: listener.name,
            kind: "alertmanager".to_owned(),
            url: listener.url,
            settings: listener.settings,
        };
        Poster {
            session: Session::new(&self.database),
            post: self.post.clone(),
            outbox: Arc::clone(&self.outbox),
            channel,
            told: Told::default(),
            failing: None,
        }
    }
}

async fn listeners_of(session: &mut Session) -> Result<Vec<Listener>, Failure> {
    listeners(session.client().await?).await
}

/// Which alert of an Alertmanager belongs to which episode.
type Key = (i32, i64);

/// What an Alertmanager has been told.
#[derive(Debug, Default)]
struct Told {
    /// When everything is due again; `None`: at once.
    due: Option<Instant>,
    mark: Option<Mark>,
    /// Labels by episode.
    active: BTreeMap<Key, Value>,
    /// What has ended, until that is told or the Alertmanager knows by itself.
    ended: Vec<(Value, Timestamp)>,
    failures: u32,
}

/// Tells one Alertmanager.
struct Poster {
    session: Session,
    post: Post,
    outbox: Arc<Notify>,
    channel: Channel,
    told: Told,
    /// What is noted about the channel.
    failing: Option<Option<String>>,
}

impl Poster {
    async fn run(mut self, shutdown: Shutdown) {
        let mut trouble = Trouble::default();
        let bell = Arc::clone(&self.outbox);
        loop {
            let rung = bell.notified();
            match self.look().await {
                Ok(()) => trouble.over(),
                Err(failure) => {
                    if trouble.is_new(&failure.to_string()) {
                        let channel = &self.channel.name;
                        tracing::warn!(channel, %failure, "an Alertmanager waits for the database");
                    }
                    self.session.discard();
                }
            }
            tokio::select! {
                () = rung => {}
                () = tokio::time::sleep(LOOK) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// Posts if anything has changed or everything is due again.
    async fn look(&mut self) -> Result<(), Failure> {
        let client = self.session.client().await?;
        let mark = mark(client).await?;
        let is_due = self.told.due.is_none_or(|due| due <= clock::monotonic());
        let has_changed = self.told.failures == 0 && self.told.mark.as_ref() != Some(&mark);
        if !is_due && !has_changed {
            return Ok(());
        }
        let found = active(client, MOST).await?;
        let answer = self.tell(&found).await;
        let failure = match answer {
            Ok(every) => {
                self.told.failures = 0;
                self.told.mark = Some(mark);
                self.told.due = Some(clock::monotonic() + every);
                None
            }
            Err(answer) => {
                self.told.failures = self.told.failures.saturating_add(1);
                let wait = Duration::from_secs(1 << self.told.failures.min(5)).min(LONGEST_BACK_OFF);
                self.told.due = Some(clock::monotonic() + wait.mul_f64(0.7 + 0.3 * fastrand::f64()));
                match answer {
                    Answer::Later { reason, .. } | Answer::Refused { reason, .. } => Some(reason),
                    Answer::Taken { .. } => None,
                }
            }
        };
        self.note(failure).await
    }

    /// Keeps with the channel whether it works; said once.
    async fn note(&mut self, failure: Option<String>) -> Result<(), Failure> {
        let is_news = match (&self.failing, &failure) {
            (None, _) => true,
            (Some(before), now) => before.is_some() != now.is_some(),
        };
        if !is_news {
            return Ok(());
        }
        let channel = &self.channel.name;
        match &failure {
            Some(reason) => tracing::warn!(channel, reason, "an Alertmanager is not told what is active"),
            None => tracing::info!(channel, "an Alertmanager is told what is active"),
        }
        note(self.session.client().await?, self.channel.id, failure.as_deref(), clock::now()).await?;
        self.failing = Some(failure);
        Ok(())
    }

    /// Posts everything that is open and what has ended. Gives the time until it is due again.
    async fn tell(&mut self, found: &[Active]) -> Result<Duration, Answer> {
        let now = clock::now();
        let mut sending = Sending::by(&self.post, &self.channel)?;
        let every = i64::from(sending.settings.every_s.unwrap_or(EVERY_S));
        let until = now + SignedDuration::from_secs(3 * every);
        let mut labels = BTreeMap::new();
        let mut alerts = Vec::new();
        for episode in found {
            let alert = alert(episode, until);
            labels.insert(
                (episode.outlet_id, episode.episode_id),
                alert.get("labels").cloned().unwrap_or_default(),
            );
            alerts.push(alert);
        }
        let is_whole = i64::try_from(found.len()).is_ok_and(|found| found < MOST);
        self.told.leave_behind(labels, is_whole, (now, until));
        alerts.extend(
            self.told.ended.iter().map(|(labels, ended_at)| json!({"labels": labels, "endsAt": ended_at})),
        );
        for batch in alerts.chunks(BATCH) {
            let answer = tokio::time::timeout(LONGEST, post(&mut sending, batch)).await;
            let answer = answer.unwrap_or_else(|_late| {
                Err(later(format!("the Alertmanager did not answer within {} s", LONGEST.as_secs())))
            });
            answer.map_err(|answer| sending.keys.scrubbed(answer))?;
        }
        self.told.ended.clear();
        Ok(Duration::from_secs(u64::try_from(every).unwrap_or(u64::from(EVERY_S))))
    }
}

impl Told {
    /// What was active before and is not among `labels`, or has other labels there, has ended. Of a part nothing can be said.
    fn leave_behind(
        &mut self,
        labels: BTreeMap<Key, Value>,
        is_whole: bool,
        (now, until): (Timestamp, Timestamp),
    ) {
        let before = std::mem::take(&mut self.active);
        for (key, old) in before {
            let new = labels.get(&key);
            let has_ended = new.is_some_and(|new| *new != old) || (new.is_none() && is_whole);
            if has_ended {
                self.ended.push((old, now));
            }
        }
        // Those it has had the time to forget by itself.
        let forgotten = until.duration_since(now);
        self.ended.retain(|(_, ended_at)| now.duration_since(*ended_at) < forgotten);
        self.active = labels;
    }
}

async fn post(sending: &mut Sending<'_>, batch: &[Value]) -> Result<(), Answer> {
    let mut url = sending.url().await?;
    let path = format!("{}/api/v2/alerts", url.path().trim_end_matches('/'));
    url.set_path(&path);
    let mut headers = webhook::json_headers("-")?;
    if let Some(secret) = sending.secret().await? {
        let authorization = match &sending.settings.user {
            Some(user) => format!("Basic {}", super::bot::base64(format!("{user}:{secret}").as_bytes())),
            None => format!("Bearer {secret}"),
        };
        let value = reqwest::header::HeaderValue::try_from(authorization);
        let mut value = value.map_err(|_error| later("the secret cannot stand in a header".to_owned()))?;
        value.set_sensitive(true);
        headers.insert(reqwest::header::AUTHORIZATION, value);
    }
    let body = Some(Value::from(batch.to_vec()).to_string());
    let reply =
        sending.call(Call { method: reqwest::Method::POST, url, headers, body, reads: Reads::Body }).await?;
    match reply.by_status() {
        Answer::Taken { .. } => Ok(()),
        Answer::Later { reason, after, status } => {
            let said = String::from_utf8_lossy(&reply.body);
            let reason = format!("{reason}: {}", fit(&line(&said), 200, |_| 1));
            Err(Answer::Later { reason, after, status })
        }
        refused @ Answer::Refused { .. } => Err(refused),
    }
}

/// An episode as an Alertmanager wants it. The labels are its identity: what changes while it lasts is an annotation.
fn alert(episode: &Active, until: Timestamp) -> Value {
    let text = |pointer: &str| match episode.body.pointer(pointer) {
        Some(Value::String(text)) => line(text),
        Some(Value::Bool(true)) => "true".to_owned(),
        _ => String::new(),
    };
    let mut labels = Map::new();
    for (name, pointer) in [
        ("alertname", "/kind"),
        ("outlet", "/outlet/code"),
        ("enterprise", "/outlet/enterprise"),
        ("channel", "/channel"),
        ("pollutant", "/pollutant"),
        ("rule", "/rule"),
        ("gateway", "/gateway"),
        ("analyser", "/analyser"),
        ("severity", "/severity"),
        ("test", "/test"),
    ] {
        let value = text(pointer);
        // An empty label is none.
        if !value.is_empty() {
            labels.insert(name.to_owned(), value.into());
        }
    }
    labels.insert("episode".to_owned(), episode.episode_id.to_string().into());
    let mut alert = json!({
        "labels": labels,
        "annotations": {"summary": text("/summary"), "what_to_do": text("/what_to_do")},
        "startsAt": episode.opened_at,
        "endsAt": until,
    });
    let link =
        reqwest::Url::parse(&text("/link")).ok().filter(|url| ["http", "https"].contains(&url.scheme()));
    if let Some(link) = link {
        if let Some(annotations) = alert.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.insert("link".to_owned(), link.as_str().into());
        }
        if let Some(fields) = alert.as_object_mut() {
            fields.insert("generatorURL".to_owned(), link.as_str().into());
        }
    }
    alert
}

#[cfg(test)]
mod tests;
