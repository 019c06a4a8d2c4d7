//! How far each quota is used: one episode a quota, which worsens with each of its lines.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::central::concern::{enterprise, scoped};
use crate::central::reckoning::Reckoner;
use crate::central::seen::{by, matters, over, tell};
use crate::central::warning::place;
use crate::domain::alert::{Alert, AlertKind};
use crate::domain::episode::WINDOW;
use crate::domain::plant::Outlet;
use crate::domain::quota::{Quota, Used, used};
use crate::domain::share::Percent;
use crate::store::episode::{Key, Sighting, movable};
use crate::store::frame::Frames;
use crate::store::ledger;
use crate::store::session::Failure;

/// After a quota's end substitutes become final and late data comes: so long it is looked at.
const STILL: SignedDuration = SignedDuration::from_hours(400 * 24);

impl Reckoner {
    /// Looks at every quota in force and tells when a line is passed.
    ///
    /// # Errors
    /// [`Failure`] when the database does not answer.
    pub async fn quotas(&mut self, now: Timestamp) -> Result<(), Failure> {
        let frames = Arc::clone(&self.shared.frames.borrow());
        let plant = Arc::clone(&self.shared.plant.borrow());
        let client = self.session.client().await?;
        let known: HashSet<Key> = movable(client, &[AlertKind::Quota]).await?.into_iter().collect();
        let mut seen: Vec<Sighting> = Vec::new();
        let is_watched = |quota: &&Quota| {
            let last = quota.times.until.map_or(now, |until| until + STILL);
            quota.times.from <= now && now <= last
        };
        for quota in frames.quotas.iter().filter(is_watched) {
            let outlets: Vec<&Outlet> = plant
                .outlets
                .iter()
                .map(AsRef::as_ref)
                .filter(|outlet| quota.account.concerns(outlet))
                .collect();
            let emitted = ledger::emitted(client, quota, &outlets, (now, &self.shared.zone)).await?;
            let at = now.min(quota.times.until.unwrap_or(now));
            let used = used(quota, &emitted, at, &self.shared.zone);
            seen.extend(of_quota((quota, &used), &outlets, &frames, now));
        }
        // What nobody watches any more is over; so is what an earlier version told line by line.
        let gone = known.iter().filter(|key| !seen.iter().any(|one| one.key == **key));
        let gone: Vec<Sighting> = gone.map(|key| over(key.clone(), now, WINDOW)).collect();
        seen.retain(|one| matters(one, &known));
        seen.extend(gone);
        let moved = tell(client, seen, now).await?;
        if moved.alerts > 0 {
            self.shared.outbox.notify_waiters();
        }
        Ok(())
    }
}

/// What a person is told of a quota; `None` where quotas are not watched.
fn of_quota(
    (quota, used): (&Quota, &Used),
    outlets: &[&Outlet],
    frames: &Frames,
    now: Timestamp,
) -> Option<Sighting> {
    let verdict = used.verdict();
    let reached = |line: &&Percent| used.share.reaches(**line) == Some(true);
    let reached: Vec<&Percent> = quota.alerts.iter().filter(reached).collect();
    let level = u8::try_from(reached.len()).unwrap_or(u8::MAX);
    let line = reached.last().copied().or(quota.alerts.first())?;
    // An alert names the outlet of a quota that is one outlet's own, else the enterprise that all of them belong to.
    let alone = outlets.first().filter(|_| outlets.len() == 1);
    let mut alert = Alert::new(AlertKind::Quota, quota.times.from, now);
    alert.outlet = alone.map(|outlet| place(outlet));
    alert.concerns = enterprise(outlets.iter().copied()).filter(|_| alone.is_none());
    alert.rule = Some(quota.code.clone());
    alert.rule_name = Some(quota.document.clone());
    let factors = outlets.iter().flat_map(|outlet| &outlet.channels).map(|channel| &channel.factor);
    let symbol = factors.into_iter().find(|factor| factor.code == quota.pollutant);
    alert.pollutant = Some(symbol.map_or(&quota.pollutant, |factor| &factor.symbol).clone());
    (alert.corrected, alert.limit) = (verdict.corrected, Some(verdict.limit));
    (alert.unit, alert.ratio_over) = (Some("t".to_owned()), verdict.ratio_over);
    alert.share_percent = used.share.hundredths().map(percent);
    alert.line_percent = Some(percent(u64::from(line.in_hundredths())));
    alert.until = quota.times.until;
    alert.reason = Some(used.told());
    alert.summary = format!("{} {} has reached {line}: {}", quota.code, quota.pollutant, used.told());
    let key = Key {
        outlet_id: alone.map_or(0, |outlet| outlet.id),
        position: -1,
        rule_id: frames.entry("quota", &quota.code).unwrap_or(0),
        kind: AlertKind::Quota,
        subject: String::new(),
    };
    let rule = frames.alerting.rule(AlertKind::Quota, scoped(&alert), now)?;
    Some(by(rule, key, (level, verdict.corrected.unwrap_or(f64::NAN)), alert))
}

/// Hundredths of a per cent as per cent.
pub(super) fn percent(hundredths: u64) -> f64 {
    u32::try_from(hundredths).map_or(f64::NAN, f64::from) / 100.0
}
