//! The courier: claims deliveries that are due, sends them, and records how it went. A channel that fails is tried by one delivery at a time
//! until it works again; one with a limit gets many alerts in one message rather than none.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::central::meters::Meters;
use crate::central::notify::Answer;
use crate::central::notify::channel::{Channel, Outgoing, Post};
use crate::central::notify::health::{self, Health};
use crate::central::notify::limit::limit;
use crate::central::notify::render::Renderer;
use crate::clock;
use crate::domain::alerting::pace::{Limit, Pace, pace, recent};
use crate::domain::message::Message;
use crate::shutdown::Shutdown;
use crate::store::delivery::{self, Outcome, Waiting};
use crate::store::session::{Failure, Session, Trouble};

/// So many deliveries are under way on a channel at once.
const PER_CHANNEL: usize = 32;
/// So many attempts are recorded at once.
const RECORDED: usize = 64;
/// So many are folded into one message at most; what is more follows in the next.
const FOLDED: i64 = 2000;
/// A delivery that was claimed by a worker that died comes up again after this.
const LEASE: SignedDuration = SignedDuration::from_secs(30);
/// A channel with a limit is held by one centre for so long after it last looked.
const HELD: SignedDuration = SignedDuration::from_secs(15);
/// After a day of failures an alert is given up; it stays visible as dead.
const GIVE_UP: SignedDuration = SignedDuration::from_hours(24);
/// How often the channels are read again.
const CHANNELS: Duration = Duration::from_secs(2);

/// Delivers what waits in the outbox.
pub struct Courier {
    pub(super) session: Session,
    pub(super) outbox: Arc<Notify>,
    meters: Meters,
    post: Post,
    /// A channel that has failed for so long is told of.
    pub(super) down: SignedDuration,
    renderer: Renderer,
    /// Names this centre to the others.
    owner: String,
    pub(super) channels: Vec<Channel>,
    channels_at: Option<std::time::Instant>,
    pub(super) health: HashMap<i32, Health>,
    /// Channels that took something lately: only who has seen one work may say that it works again.
    pub(super) works: HashSet<i32>,
    pub(super) health_at: std::time::Instant,
    under_way: HashMap<i32, usize>,
}

/// One finished attempt: a message and the deliveries that it carried.
struct Attempt {
    of: Vec<Waiting>,
    answer: Answer,
    took_ms: i32,
    digest: Option<String>,
}

impl Courier {
    /// Nothing is opened yet.
    pub fn new(
        session: Session,
        outbox: Arc<Notify>,
        (meters, post, down): (Meters, Post, Duration),
        (zone, public_url): (TimeZone, Option<String>),
    ) -> Courier {
        Courier {
            session,
            outbox,
            meters,
            post,
            down: SignedDuration::try_from(down).unwrap_or(SignedDuration::from_mins(2)),
            renderer: Renderer::new(zone, public_url),
            owner: uuid::Uuid::now_v7().to_string(),
            channels: Vec::new(),
            channels_at: None,
            health: HashMap::new(),
            works: HashSet::new(),
            health_at: clock::monotonic(),
            under_way: HashMap::new(),
        }
    }

    /// Runs until shutdown. Channels do not wait for each other: a slow one only holds its own deliveries up.
    pub async fn run(mut self, shutdown: Shutdown) {
        let mut trouble = Trouble::default();
        let mut sending: JoinSet<Attempt> = JoinSet::new();
        let outbox = Arc::clone(&self.outbox);
        loop {
            let rung = outbox.notified();
            match self.collect(&mut sending).await {
                Ok(()) => trouble.over(),
                Err(failure) => self.give_up(&failure, &mut trouble),
            }
            tokio::select! {
                Some(done) = sending.join_next() => {
                    let mut done = vec![done];
                    while done.len() < RECORDED && let Some(more) = sending.try_join_next() {
                        done.push(more);
                    }
                    // A broken attempt comes up again after its lease.
                    let done = done.into_iter().filter_map(Result::ok).collect();
                    if let Err(failure) = self.record(done).await {
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
    async fn collect(&mut self, sending: &mut JoinSet<Attempt>) -> Result<(), Failure> {
        self.know_channels().await?;
        self.tell_of_channels().await?;
        let now = clock::now();
        let mut wanted = Vec::new();
        let mut limited = Vec::new();
        for channel in &self.channels {
            let busy = self.under_way.get(&channel.id).copied().unwrap_or_default();
            let room = match self.health.get(&channel.id).map(|health| health.may_try(clock::monotonic())) {
                Some(false) => 0,
                // One tries for all the others.
                Some(true) => 1_usize.saturating_sub(busy),
                None => PER_CHANNEL.saturating_sub(busy),
            };
            match limit(&channel.kind, &channel.settings) {
                _ if room == 0 => {}
                Some(limit) if busy == 0 => limited.push((channel.clone(), limit)),
                Some(_) => {}
                None => wanted.push((channel.id, i64::try_from(room).unwrap_or(1))),
            }
        }
        let claimed = delivery::claim(self.session.client().await?, &wanted, (now, now + LEASE)).await?;
        for waiting in claimed {
            self.send(sending, vec![waiting], None).await?;
        }
        for (channel, limit) in limited {
            self.collect_limited(&channel, limit, sending).await?;
        }
        Ok(())
    }

    /// The same for a channel with a limit, while this centre holds it.
    async fn collect_limited(
        &mut self,
        channel: &Channel,
        limit: Limit,
        sending: &mut JoinSet<Attempt>,
    ) -> Result<(), Failure> {
        let now = clock::now();
        let client = self.session.client().await?;
        let waiting = delivery::due(client, channel.id, now).await?;
        if waiting == 0 {
            return Ok(());
        }
        let Some(sent) = delivery::hold(client, channel.id, (&self.owner, HELD), now).await? else {
            return Ok(());
        };
        let is_tried = self.health.contains_key(&channel.id);
        let (most, messages) = match pace(limit, &sent, usize::try_from(waiting).unwrap_or_default(), now) {
            Pace::Wait(_) => return Ok(()),
            Pace::Single(count) => (i64::try_from(count).unwrap_or(1), if is_tried { 1 } else { count }),
            Pace::Fold => (FOLDED, 1),
        };
        let folds = most == FOLDED;
        let most = if is_tried && !folds { 1 } else { most };
        let mut times: Vec<Timestamp> = recent(limit, &sent, now).collect();
        times.extend(std::iter::repeat_n(now, messages));
        delivery::spend(client, channel.id, &times).await?;
        let claimed = delivery::claim(client, &[(channel.id, most)], (now, now + LEASE)).await?;
        if !folds {
            for waiting in claimed {
                self.send(sending, vec![waiting], None).await?;
            }
            return Ok(());
        }
        // What goes to one place in one language is one message; the rest comes up again at once.
        let Some(first) = claimed.first() else { return Ok(()) };
        let place = (first.recipient.clone(), first.language.clone());
        let (together, others): (Vec<Waiting>, Vec<Waiting>) =
            claimed.into_iter().partition(|one| (&one.recipient, &one.language) == (&place.0, &place.1));
        if !others.is_empty() {
            delivery::put_back(client, &others.iter().collect::<Vec<_>>(), now).await?;
        }
        let digest = (together.len() > 1).then(|| uuid::Uuid::now_v7().to_string());
        self.send(sending, together, digest).await
    }

    async fn know_channels(&mut self) -> Result<(), Failure> {
        let now = clock::monotonic();
        if self.channels_at.is_some_and(|at| now.duration_since(at) < CHANNELS) {
            return Ok(());
        }
        let rows = delivery::channels(self.session.client().await?).await?;
        self.channels = rows
            .into_iter()
            .map(|row| Channel {
                id: row.id,
                name: row.name,
                kind: row.kind,
                url: row.url,
                settings: row.settings,
            })
            .collect();
        self.channels_at = Some(now);
        Ok(())
    }

    /// One message on its way.
    async fn send(
        &mut self,
        sending: &mut JoinSet<Attempt>,
        of: Vec<Waiting>,
        digest: Option<String>,
    ) -> Result<(), Failure> {
        let Some(first) = of.first() else { return Ok(()) };
        let Some(channel) = self.channels.iter().find(|channel| channel.id == first.channel_id).cloned()
        else {
            return Ok(());
        };
        let message = self.renderer.message(&mut self.session, &of).await?;
        *self.under_way.entry(channel.id).or_default() += 1;
        let post = self.post.clone();
        sending.spawn(async move { attempt(&post, &channel, (of, digest), message).await });
        Ok(())
    }

    /// Records how attempts went.
    async fn record(&mut self, attempts: Vec<Attempt>) -> Result<(), Failure> {
        let at = clock::now();
        let mut judged = Vec::with_capacity(attempts.len());
        for attempt in attempts {
            let Some(first) = attempt.of.first() else { continue };
            let name = self.channels.iter().find(|channel| channel.id == first.channel_id);
            let name = name.map_or("?", |channel| channel.name.as_str()).to_owned();
            if let Some(busy) = self.under_way.get_mut(&first.channel_id) {
                *busy = busy.saturating_sub(1);
            }
            self.note_health(first.channel_id, &attempt.answer);
            let (outcome, status) = outcome(first, &attempt.answer, at);
            match &outcome {
                Outcome::Delivered => {
                    for one in &attempt.of {
                        self.meters.delivered(&name, at.duration_since(one.created_at).as_secs_f64());
                    }
                }
                Outcome::Again(_, reason) | Outcome::Dead(reason) => {
                    self.meters.delivery_failed(&name);
                    tracing::warn!(alert = first.alert_id, channel = name, reason, "alert not delivered");
                }
            }
            judged.push((attempt, outcome, status));
        }
        let all: Vec<Vec<&Waiting>> =
            judged.iter().map(|(attempt, ..)| attempt.of.iter().collect()).collect();
        let rows: Vec<delivery::Attempt<'_>> = judged
            .iter()
            .zip(&all)
            .map(|((attempt, outcome, status), of)| delivery::Attempt {
                of,
                at,
                took_ms: attempt.took_ms,
                status: *status,
                outcome: outcome.clone(),
                note: attempt.digest.as_ref().map(|digest| format!("in digest {digest} of {}", of.len())),
            })
            .collect();
        delivery::attempted(self.session.client().await?, &rows).await
    }
}

async fn attempt(
    post: &Post,
    channel: &Channel,
    (of, digest): (Vec<Waiting>, Option<String>),
    message: Message,
) -> Attempt {
    let started = clock::monotonic();
    let answer = match of.first() {
        Some(first) => {
            let id = digest.as_deref().unwrap_or(&first.alert_id);
            let out = Outgoing { id, recipient: &first.recipient, message: &message, body: &first.body };
            post.send(channel, &out).await
        }
        None => Answer::Taken { status: None },
    };
    let took_ms = i32::try_from(started.elapsed().as_millis()).unwrap_or(i32::MAX);
    Attempt { of, answer, took_ms, digest }
}

/// What follows from an answer: 1 s, 2 s, 4 s … 30 s between attempts, or what the channel asked for.
fn outcome(waiting: &Waiting, answer: &Answer, at: Timestamp) -> (Outcome, Option<u16>) {
    match answer {
        Answer::Taken { status } => (Outcome::Delivered, *status),
        Answer::Refused { reason, status } => (Outcome::Dead(reason.clone()), *status),
        Answer::Later { reason, status, .. } if at.duration_since(waiting.created_at) > GIVE_UP => {
            (Outcome::Dead(reason.clone()), *status)
        }
        Answer::Later { reason, after, status } => {
            let doublings = u32::try_from(waiting.attempts.clamp(1, 6) - 1).unwrap_or(0);
            let back_off =
                Duration::from_secs(1 << doublings).min(health::LONGEST).mul_f64(0.8 + 0.4 * fastrand::f64());
            let wait = after.unwrap_or(back_off).min(Duration::from_hours(1));
            let wait = SignedDuration::try_from(wait).unwrap_or(LEASE);
            (Outcome::Again(at + wait, reason.clone()), *status)
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
                recipient: String::new(),
                step: 0,
                audience: None,
                language: "en".to_owned(),
                attempts,
                created_at: at,
                alert_at: at,
                body: serde_json::Value::Null,
                link: None,
                acknowledge_by: None,
                lines: Vec::new(),
            };
            let answer = Answer::Later { reason: "503".to_owned(), after, status: Some(503) };
            match outcome(&waiting, &answer, at) {
                (Outcome::Again(next, _), Some(503)) => next.duration_since(at).as_secs_f64(),
                other => panic!("{other:?}"),
            }
        };
        assert!((0.8..=1.2).contains(&wait(1, None)));
        assert!((6.4..=9.6).contains(&wait(4, None)));
        assert!(wait(1000, None) <= 36.0);
        assert!((119.0..=121.0).contains(&wait(1, Some(Duration::from_mins(2)))));
    }
}
