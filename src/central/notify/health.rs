//! How a channel fares, as this centre sees it: while it fails one delivery at a time tries for all, so that ten thousand that wait do not
//! knock together, and the first gets through soon after it works again.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::central::notify::Answer;
use crate::central::notify::courier::Courier;
use crate::central::seen::{key, matters, tell};
use crate::clock;
use crate::domain::alert::{Alert, AlertKind};
use crate::domain::episode::{Observation, WINDOW};
use crate::store::episode::{Key, Sighting, open_of_kind};
use crate::store::session::Failure;

/// Between two tries of a channel that fails.
pub(super) const LONGEST: Duration = Duration::from_secs(30);

/// How often it is looked which channels fail.
const HEALTH: Duration = Duration::from_secs(5);

/// A channel that fails.
#[derive(Debug, Clone)]
pub(super) struct Health {
    /// By the clock, for people.
    pub since: Timestamp,
    reason: String,
    failures: u32,
    try_at: Option<Instant>,
}

impl Health {
    pub(super) fn new(since: Timestamp) -> Health {
        Health { since, reason: String::new(), failures: 0, try_at: None }
    }

    /// Whether one may try now.
    pub(super) fn may_try(&self, now: Instant) -> bool {
        self.try_at.is_none_or(|at| at <= now)
    }

    /// Another failure: 1 s, 2 s, 4 s … 30 s, or as long as the channel asked for.
    pub(super) fn failed(&mut self, now: Instant, after: Option<Duration>, reason: &str) {
        reason.clone_into(&mut self.reason);
        // Those that were under way together fail together: that is one failure.
        if self.try_at.is_some_and(|at| at > now) {
            return;
        }
        let wait = Duration::from_secs(1 << self.failures.min(5)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let wait = after
            .map_or(wait.mul_f64(0.8 + 0.4 * fastrand::f64()), |after| after.min(Duration::from_hours(1)));
        self.try_at = Some(now + wait);
    }
}

/// What is told of a channel: that it fails, or that it works again.
pub(super) fn down(channel: &str, health: Option<&Health>, now: Timestamp) -> Sighting {
    let since = health.map_or(now, |health| health.since);
    let mut alert = Alert::new(AlertKind::ChannelDown, since, now);
    alert.subjects = vec![channel.to_owned()];
    alert.reason = health.map(|health| health.reason.clone());
    alert.summary = format!(
        "channel {channel} has delivered nothing since {since}: {}",
        health.map_or("", |health| health.reason.as_str())
    );
    let key = key(AlertKind::ChannelDown, channel);
    let observation = Observation { at: now, value: 0.0, above: health.is_some(), level: 1 };
    Sighting { key, observation, limit: None, hold: SignedDuration::ZERO, clear: WINDOW, alert }
}

impl Courier {
    /// A channel that has failed for long is told by all the others.
    pub(super) async fn tell_of_channels(&mut self) -> Result<(), Failure> {
        if self.health_at.elapsed() < HEALTH {
            return Ok(());
        }
        self.health_at = clock::monotonic();
        let now = clock::now();
        let works = std::mem::take(&mut self.works);
        let seen = self.channels.iter().filter_map(|channel| match self.health.get(&channel.id) {
            Some(health) if now.duration_since(health.since) >= self.down => {
                Some(down(&channel.name, Some(health), now))
            }
            Some(_) => None,
            None => works.contains(&channel.id).then(|| down(&channel.name, None, now)),
        });
        let mut seen: Vec<Sighting> = seen.collect();
        if seen.is_empty() {
            return Ok(());
        }
        let client = self.session.client().await?;
        let open: HashSet<Key> = open_of_kind(client, AlertKind::ChannelDown).await?.into_iter().collect();
        seen.retain(|sighting| matters(sighting, &open));
        if tell(client, seen, now).await?.alerts > 0 {
            self.outbox.notify_waiters();
        }
        Ok(())
    }

    /// What an answer says of the channel itself.
    pub(super) fn note_health(&mut self, channel_id: i32, answer: &Answer) {
        match answer {
            // A refusal is about the message: the channel answers.
            Answer::Taken { .. } | Answer::Refused { .. } => {
                self.health.remove(&channel_id);
                self.works.insert(channel_id);
            }
            Answer::Later { after, reason, .. } => {
                let now = clock::monotonic();
                self.works.remove(&channel_id);
                let health = self.health.entry(channel_id).or_insert_with(|| Health::new(clock::now()));
                health.failed(now, *after, reason);
            }
        }
    }
}
