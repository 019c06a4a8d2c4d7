//! Quarters and quotas, beside the closers so that no window waits for them: substitutes (HJ 75-2017 tables 5 and 6), capture rates and
//! transmission efficiency of an outlet after each of its days, provisional until the quarter is over; and how far each quota is used.

/// Which hours.
mod hours;

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio_postgres::Client;

use crate::central::pipeline::Shared;
use crate::clock;
use crate::config::central::Retention;
use crate::domain::average::ChannelAverage;
use crate::domain::capture::{Delivered, HourClass, efficiency};
use crate::domain::flag::Status;
use crate::domain::judgement::{Ground, Parts};
use crate::domain::law::OutletLaw;
use crate::domain::limit::AveragingPeriod;
use crate::domain::plant::{Outlet, Position};
use crate::domain::pollutant::Role;
use crate::domain::source_state::SourceState;
use crate::domain::substitution::{Around, HJ75_2017, HourMass, substitute};
use crate::domain::times::Times;
use crate::domain::window::Window;
use crate::shutdown::Shutdown;
use crate::store::frame::{Frames, laws};
use crate::store::partition::drop_old;
use crate::store::reckoning::{self, Arrival, Claim, EfficiencyRow};
use crate::store::session::{Failure, Session, Trouble, bounded};
use crate::store::storage::compression;
use crate::store::{ledger, lock};

use hours::{GAP, Span, fill_gap_before, gap_after, is_there, mass, masses};

/// Between looks for due quarters.
const LOOK: Duration = Duration::from_millis(500);
/// So many valid hours are looked back on, and so far back they are usually found; else in all that can matter.
const VALID: usize = 2160;
const USUALLY: SignedDuration = SignedDuration::from_hours(135 * 24);
const AT_MOST: SignedDuration = SignedDuration::from_hours(400 * 24);
/// Outlets between two looks at the time and at shutdown.
const AT_ONCE: usize = 100;
/// An outlet that cannot be reckoned is tried again after this.
const LATER: SignedDuration = SignedDuration::from_mins(10);
/// Quarters that one change is followed through.
const QUARTERS: usize = 6;

/// Reckons.
pub struct Reckoner {
    pub shared: Shared,
    pub session: Session,
    /// Between looks at the quotas, and at what is past its retention.
    pub quotas_every: Duration,
    pub retention: Retention,
}

impl Reckoner {
    /// Works until shutdown.
    pub async fn run(mut self, shutdown: Shutdown) {
        let (mut trouble, mut quotas_at) = (Trouble::default(), clock::monotonic());
        let mut first = true;
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = shutdown.cancelled() => return,
            }
            let mut outcome = self.on_due(clock::now()).await;
            if first || quotas_at.elapsed() >= self.quotas_every {
                (first, quotas_at) = (false, clock::monotonic());
                for done in [
                    self.remember(clock::now()).await,
                    self.quotas(clock::now()).await,
                    self.risks(clock::now()).await,
                    self.forget(clock::now()).await,
                ] {
                    outcome = outcome.and(done);
                }
            }
            // A database that is away says so by itself, once.
            if !matches!(outcome, Err(Failure::Unavailable(_))) {
                self.shared.readiness.set("reckoning", outcome.is_ok(), &told(&outcome));
            }
            match outcome {
                Ok(()) => trouble.over(),
                Err(failure) => {
                    if trouble.is_new(&failure.to_string()) {
                        tracing::warn!(%failure, "quarters and quotas wait for the database");
                    }
                    self.session.discard();
                }
            }
        }
    }

    /// Reckons what is due, an outlet a transaction.
    ///
    /// # Errors
    /// [`Failure`] when the database does not answer; what is left stays due.
    pub async fn on_due(&mut self, now: Timestamp) -> Result<(), Failure> {
        let frames = Arc::clone(&self.shared.frames.borrow());
        let plant = Arc::clone(&self.shared.plant.borrow());
        let mut failed = None;
        for _outlet in 0..AT_ONCE {
            let client = self.session.client().await?;
            bounded(client.batch_execute("BEGIN")).await?;
            let claim = reckoning::claim(client, now).await?;
            let Some(claim) = claim.filter(|claim| claim.revision <= frames.revision) else {
                bounded(client.batch_execute("COMMIT")).await?;
                break;
            };
            if let Some(outlet) = plant.outlets.iter().find(|outlet| outlet.id == claim.outlet_id) {
                let done = quarters(client, (&self.shared, &frames), (outlet, &claim), now).await;
                if let Err(failure) = done {
                    // The others need not wait for this one.
                    self.session.discard();
                    reckoning::postpone(self.session.client().await?, &claim, now + LATER).await?;
                    failed = failed.or(Some(failure));
                    continue;
                }
            }
            reckoning::settle(client, &claim, now).await?;
            bounded(client.batch_execute("COMMIT")).await?;
        }
        failed.map_or(Ok(()), Err)
    }

    /// An outlet that fell silent has no day that changes: its quarters are reckoned all the same, once a day and when one is over.
    async fn remember(&mut self, now: Timestamp) -> Result<(), Failure> {
        let today = Window::containing(AveragingPeriod::Day, now, &self.shared.zone).start;
        let quarter = Window::containing(AveragingPeriod::Quarter, now, &self.shared.zone);
        let before = Window::containing(AveragingPeriod::Quarter, quarter.start - GAP, &self.shared.zone);
        let client = self.session.client().await?;
        reckoning::append_silent(client, (before.start, quarter.start), today, now).await
    }

    /// Drops what is past its retention, has compressed what is old, and says how the tables are kept.
    async fn forget(&mut self, now: Timestamp) -> Result<(), Failure> {
        for partition in drop_old(&mut self.session, self.retention, now).await? {
            tracing::info!(partition, "dropped: past its retention");
        }
        let kept = compression::see_to(&mut self.session, self.retention.compress_after_days).await?;
        self.shared.readiness.set("storage", true, &kept);
        Ok(())
    }
}

fn told(outcome: &Result<(), Failure>) -> String {
    outcome
        .as_ref()
        .map_or_else(|failure| format!("quarters and quotas wait: {failure}"), |()| "ok".to_owned())
}

/// Every quarter of an outlet from a claim's time on.
async fn quarters(
    client: &Client,
    (shared, frames): (&Shared, &Frames),
    (outlet, claim): (&Outlet, &Claim),
    now: Timestamp,
) -> Result<(), Failure> {
    let zone = &shared.zone;
    // A gap at the end of the quarter before may have become longer.
    let since = claim.since.checked_sub(GAP).unwrap_or(claim.since);
    let mut quarter = Window::containing(AveragingPeriod::Quarter, since, zone);
    for _quarter in 0..QUARTERS {
        if quarter.start >= now {
            break;
        }
        let law = laws(client, frames, [&*outlet.code], (quarter.start, quarter.end)).await?;
        let none = OutletLaw::default();
        let law = law.get(&*outlet.code).unwrap_or(&none);
        let ground = Ground { outlet, law, regime: shared.regime, zone };
        let locks = lock::of_outlets(client, &[outlet.id], (quarter.start, quarter.end)).await?;
        let locks = locks.get(&outlet.id).map_or(&[][..], Vec::as_slice);
        let span = Span::of(quarter, &ground, now);
        substitutes(client, &ground, &span, (locks, now)).await?;
        efficiencies(client, (&ground, frames), &span, now).await?;
        quarter = Window::containing(AveragingPeriod::Quarter, quarter.end, zone);
    }
    Ok(())
}

async fn substitutes(
    client: &Client,
    ground: &Ground<'_>,
    span: &Span,
    (locks, now): (&[Times], Timestamp),
) -> Result<(), Failure> {
    let positions = HJ75_2017.positions(ground.outlet);
    let Some(first) = ledger::first_hour(client, ground.outlet.id, &positions).await? else { return Ok(()) };
    let start = span.quarter.start;
    let load = |from: Timestamp, until: Timestamp| {
        reckoning::hours(client, ground.outlet.id, &positions, (from, until))
    };
    let of_quarter = load(start, span.end).await?;
    let windows = span.hours(first, ground);
    let mut earlier = load(start - USUALLY, start).await?;
    let is_valid = |hour: &&HourMass| hour.class == HourClass::Valid && hour.mass_mg.is_some();
    let is_short =
        |position: &Position| masses(ground, *position, &earlier).iter().filter(is_valid).count() < VALID;
    if positions.iter().any(is_short) && first < start - USUALLY {
        earlier = load(start - AT_MOST, start).await?;
    }
    let later = load(span.end, span.end + GAP.min(now.duration_since(span.end))).await?;
    for position in positions.iter().copied() {
        let mut before = masses(ground, position, &earlier);
        fill_gap_before(ground, position, (start, first), &mut before);
        let there = windows.iter().filter(|hour| is_there(ground, position, **hour));
        let hours: Vec<HourMass> = there.map(|hour| mass(ground, position, *hour, &of_quarter)).collect();
        if hours.is_empty() {
            continue;
        }
        let after = gap_after(ground, position, (span, now), &later);
        let around = Around { before: &before, after: &after };
        let quarter = substitute(&HJ75_2017, &hours, around, span.finality);
        let of = (ground.outlet.id, position);
        let may_change = |at: Timestamp| !locks.iter().any(|times| times.holds(at));
        let within = (start, span.quarter.end);
        reckoning::store(client, of, within, (&HJ75_2017, &quarter), (may_change, now)).await?;
    }
    Ok(())
}

async fn efficiencies(
    client: &Client,
    (ground, frames): (&Ground<'_>, &Frames),
    span: &Span,
    now: Timestamp,
) -> Result<(), Failure> {
    if ground.law.efficiencies.is_empty() {
        return Ok(());
    }
    let channels = ground.outlet.channels.iter().enumerate();
    let positions: Vec<Position> = channels
        .filter(|(_, channel)| channel.factor.role == Role::Pollutant)
        .map(|(position, _)| position)
        .collect();
    let Some(first) = ledger::first_hour(client, ground.outlet.id, &positions).await? else { return Ok(()) };
    let within = (span.quarter.start, span.end);
    let hours = reckoning::hours(client, ground.outlet.id, &positions, within).await?;
    let arrivals = reckoning::arrivals(client, ground.outlet.id, &positions, within).await?;
    let delivered: Vec<(Timestamp, Delivered)> = span
        .hours(first, ground)
        .into_iter()
        .flat_map(|hour| positions.iter().map(move |position| (hour, *position)))
        .filter(|(hour, position)| is_there(ground, *position, *hour))
        .map(|(hour, position)| {
            let arrived = arrivals.get(&(position, hour.start)).copied();
            (hour.start, deliver(ground, (hour, hours.get(&(position, hour.start))), arrived))
        })
        .collect();
    let mut windows = span.quarter.parts(ground.zone);
    windows.push(span.quarter);
    for window in windows.into_iter().filter(|window| window.start < span.end) {
        for rule in ground.law.efficiencies.iter().filter(|rule| rule.times.holds(window.start)) {
            let Some(rule_id) = frames.entry("efficiency", &rule.code) else { continue };
            let of_window = delivered.iter().filter(|(start, _)| window.contains(*start));
            let found = efficiency(rule, of_window.map(|(_, delivered)| *delivered));
            let row = EfficiencyRow {
                outlet_id: ground.outlet.id,
                rule_id,
                period: window.period,
                start: window.start,
                expected: found.transmission.whole,
                transmitted: found.transmission.part,
                valid: found.validity.part,
                passes: found.passes,
                provisional: window.end > now,
            };
            reckoning::store_efficiency(client, &row, now).await?;
        }
    }
    Ok(())
}

fn deliver(
    ground: &Ground<'_>,
    (hour, average): (Window, Option<&ChannelAverage>),
    arrived: Option<Arrival>,
) -> Delivered {
    let Some(average) = average else {
        let overlay = ground.overlay(hour, &Parts::new());
        let stopped = overlay.occupied(ground.regime.counts.hour).state == SourceState::Stopped;
        let status = if stopped { Status::SourceStopped } else { Status::NoData };
        return Delivered { status, valid: false, late_hours: None, valid_late_hours: None };
    };
    let late = |at: Timestamp| {
        let late = at.duration_since(hour.end).as_secs().max(0);
        u32::try_from(late / 3600 + i64::from(late % 3600 > 0)).unwrap_or(u32::MAX)
    };
    Delivered {
        status: average.status,
        valid: average.valid,
        late_hours: arrived.map(|arrived| late(arrived.first)),
        valid_late_hours: arrived.and_then(|arrived| arrived.valid).map(late),
    }
}
