//! Whether work piles up: windows that are due, records that have come and are not committed. Told as one trouble of the platform.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;

use crate::central::seen::{by, key, matters, over};
use crate::central::silence::Watch;
use crate::domain::alert::{Alert, AlertKind};
use crate::domain::alerting::Scoped;
use crate::domain::episode::WINDOW;
use crate::store::due;
use crate::store::episode::{Key, movable};
use crate::store::session::Failure;

impl Watch {
    /// Looks at how long the oldest has waited.
    ///
    /// # Errors
    /// [`Failure`] when the database does not answer.
    pub(super) async fn look_at_backlog(&mut self, now: Timestamp) -> Result<(), Failure> {
        let frames = Arc::clone(&self.frames.borrow());
        let client = self.session.client().await?;
        let known: HashSet<Key> = movable(client, &[AlertKind::Backlog]).await?.into_iter().collect();
        let Some(rule) = frames.alerting.rule(AlertKind::Backlog, Scoped::default(), now) else {
            let over = known.into_iter().map(|key| over(key, now, WINDOW));
            return self.tell(over.collect(), now).await;
        };
        let (waiting, oldest) = due::backlog(client, now).await?;
        let queued = self.underway.oldest();
        let since = oldest.into_iter().chain(queued).min();
        let late = since.map_or(0.0, |since| now.duration_since(since).as_secs_f64().max(0.0));
        let level = rule.level_of(late);
        let mut alert = Alert::new(AlertKind::Backlog, since.unwrap_or(now), now);
        (alert.measured, alert.unit) = (Some(late.floor()), Some("s".to_owned()));
        alert.limit = level.checked_sub(1).and_then(|level| rule.levels.get(usize::from(level))).copied();
        let records = queued.map_or("no record".to_owned(), |since| format!("records since {since}"));
        let told = format!("{waiting} windows and {records} wait, the oldest for {late:.0} s");
        alert.summary.clone_from(&told);
        alert.reason = Some(told);
        let one = by(rule, key(AlertKind::Backlog, ""), (level, late), alert);
        let seen = Some(one).filter(|one| matters(one, &known));
        self.tell(seen.into_iter().collect(), now).await
    }
}
