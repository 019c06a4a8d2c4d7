//! What `/metrics` says of the way to people: what waits on each channel, what was given up, and how often each rule was right. Any centre
//! may be asked, so each counts by the tables and not by what it did itself.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::watch;

use crate::central::meters::Meters;
use crate::clock;
use crate::domain::closing::precision;
use crate::shutdown::Shutdown;
use crate::store::frame::Frames;
use crate::store::handling::closings;
use crate::store::session::{Failure, Session};
use crate::store::{delivery, self_test};

/// Between two counts.
const EVERY: Duration = Duration::from_secs(15);
/// A rule is judged by so much of the past.
const LOOKED_BACK: SignedDuration = SignedDuration::from_hours(90 * 24);

/// Counts.
pub struct Figures {
    pub session: Session,
    pub frames: watch::Receiver<Arc<Frames>>,
    pub meters: Meters,
}

impl Figures {
    /// Runs until shutdown.
    pub async fn run(mut self, shutdown: Shutdown) {
        loop {
            // A database that is away says so by itself.
            if self.count().await.is_err() {
                self.session.discard();
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    async fn count(&mut self) -> Result<(), Failure> {
        let now = clock::now();
        let frames = Arc::clone(&self.frames.borrow());
        let client = self.session.client().await?;
        for (channel, waiting, dead) in delivery::backlog(client).await? {
            self.meters.deliveries_waiting(&channel, waiting, dead);
        }
        for (channel, seconds) in self_test::newest(client).await? {
            self.meters.tested(&channel, seconds);
        }
        let from = now.checked_sub(LOOKED_BACK).unwrap_or(now);
        let closings = closings(client, &frames.alerting, (from, now)).await?;
        for (rule, found) in precision(&closings) {
            if let Some(share) = found.share() {
                self.meters.precision(&rule, share, found.closed);
            }
        }
        Ok(())
    }
}
