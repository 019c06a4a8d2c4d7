//! The windows of one outlet, computed again: the same path as live closing, with nothing to wait for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, watch};

use crate::central::heads::Heads;
use crate::central::life::Life;
use crate::central::meters::Meters;
use crate::central::pipeline::{SOURCE, Shared};
use crate::central::reckoning::Reckoner;
use crate::central::warning::OpenKeys;
use crate::central::windows::Closer;
use crate::clock;
use crate::config::central::{Quarantine, Retention};
use crate::domain::limit::AveragingPeriod;
use crate::domain::plant::Plant;
use crate::domain::regime::HJ75_2017;
use crate::domain::window::Window;
use crate::store::due::{self, Due};
use crate::store::frame::Frames;
use crate::store::session::{Failure, Session};
use crate::store::{frame, reckoning};
use crate::telemetry::{Metrics, Readiness};

/// What a recomputation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Recomputed {
    /// Minutes that still have scans.
    pub minutes: u64,
    /// Windows of all periods that were computed.
    pub windows: usize,
    /// Of them those whose figures were new or other than before.
    pub revisions: usize,
}

/// Computes every window that holds a minute of `[from, to)` of an outlet, and reckons its quarters, by the plant, the rules and the
/// lists as they are stored.
///
/// # Errors
/// [`Failure`] when the database does not answer; what is left stays due, and a running centre goes on with it.
pub async fn recompute(
    database: &str,
    zone: TimeZone,
    (outlet_id, from, to): (i32, Timestamp, Timestamp),
) -> Result<Recomputed, Failure> {
    let mut session = Session::new(database);
    let client = session.client().await?;
    let known = frame::load(client).await.map_err(|error| Failure::Unavailable(error.to_string()));
    let (plant, frames) = known?;
    let minutes = due::again(client, outlet_id, (from, to)).await?;
    // Coarser windows are named as well: rules may have changed where no figure did.
    due::append_all(client, &coarser(outlet_id, (from, to), &zone)).await?;
    let shared = alone(plant, frames, zone);
    let mut closer = Closer::new(shared.clone(), session, SignedDuration::ZERO);
    let (windows, revisions) = closer.settle_outlet(outlet_id).await?;
    let mut session = Session::new(database);
    reckoning::append(session.client().await?, &BTreeMap::from([(outlet_id, from)]), clock::now()).await?;
    let quotas_every = std::time::Duration::from_hours(1);
    Reckoner { shared, session, quotas_every, retention: Retention::default() }.on_due(clock::now()).await?;
    Ok(Recomputed { minutes, windows, revisions })
}

/// What one process shares that is no centre: nothing else runs beside it.
pub fn alone(plant: Plant, frames: Frames, zone: TimeZone) -> Shared {
    let revision = frames.revision;
    let (_line, plant) = watch::channel(Arc::new(plant));
    let (_frames, frames) = watch::channel(Arc::new(frames));
    Shared {
        plant,
        frames,
        regime: &HJ75_2017,
        zone,
        debounce: SignedDuration::ZERO,
        open: OpenKeys::default(),
        life: Life::default(),
        heads: Heads::default(),
        cap: Quarantine::default(),
        meters: Meters::new(&Metrics::default()),
        readiness: Readiness::default(),
        plant_revision: Arc::new(AtomicI64::new(revision)),
        outbox: Arc::new(Notify::new()),
    }
}

/// Every window longer than a minute that has a moment of `[from, to)`.
fn coarser(outlet_id: i32, (from, to): (Timestamp, Timestamp), zone: &TimeZone) -> Vec<Due> {
    let mut dues = Vec::new();
    for period in AveragingPeriod::ALL.into_iter().filter(|period| *period != AveragingPeriod::Minute) {
        let mut window = Window::containing(period, from, zone);
        while window.start < to {
            // One that is not over waits for its end.
            let (start, due_at) = (window.start, window.end);
            dues.push(Due { outlet_id, source_id: SOURCE, period, start, due_at });
            window = Window::containing(period, window.end, zone);
        }
    }
    dues
}
