//! What can still be prevented, outlet by outlet: an assessment, a capture rate, a transmission efficiency that will be missed as it goes
//! on, and analysers out of control. Looked at beside the quotas.

/// Assessments.
mod assessments;
/// Capture rates and transmission efficiency.
mod quarters;
/// Analysers out of control.
mod checks;

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio_postgres::Client;

use crate::central::concern::rule_at;
use crate::central::quotas::percent;
use crate::central::reckoning::Reckoner;
use crate::central::seen::{by, matters, over, tell};
use crate::central::warning::place;
use crate::domain::alert::{Alert, AlertKind};
use crate::domain::alerting::AlertRule;
use crate::domain::episode::WINDOW;
use crate::domain::plant::{Outlet, Position};
use crate::domain::prospect::{Course, Prospect, Standing, prospect};
use crate::domain::share::Percent;
use crate::domain::window::Window;
use crate::store::episode::{Key, Sighting, movable};
use crate::store::frame::Frames;
use crate::store::session::Failure;

/// What is told here.
const KINDS: [AlertKind; 4] = [
    AlertKind::AssessmentAtRisk,
    AlertKind::CaptureForecast,
    AlertKind::EfficiencyAtRisk,
    AlertKind::CalibrationOverdue,
];
/// Outlets that are looked at together.
const TOGETHER: usize = 200;

/// What a look is made with.
struct Look<'l> {
    client: &'l Client,
    frames: &'l Frames,
    zone: &'l TimeZone,
    now: Timestamp,
}

impl Reckoner {
    /// Looks at every outlet, some at a time.
    ///
    /// # Errors
    /// [`Failure`] when the database does not answer.
    pub async fn risks(&mut self, now: Timestamp) -> Result<(), Failure> {
        let frames = Arc::clone(&self.shared.frames.borrow());
        let plant = Arc::clone(&self.shared.plant.borrow());
        let client = self.session.client().await?;
        let known: HashSet<Key> = movable(client, &KINDS).await?.into_iter().collect();
        let look = Look { client, frames: &frames, zone: &self.shared.zone, now };
        let mut seen: HashSet<Key> = HashSet::new();
        let mut alerts = 0;
        for outlets in plant.outlets.chunks(TOGETHER) {
            let mut found = look.assessments(outlets).await?;
            found.extend(look.captures(outlets).await?);
            found.extend(look.efficiencies(outlets).await?);
            found.extend(look.checks(outlets).await?);
            found.retain(|one| matters(one, &known));
            seen.extend(found.iter().map(|one| one.key.clone()));
            alerts += tell(client, found, now).await?.alerts;
        }
        // A month that is over, a list's entry that has ended, an outlet that is gone: nothing is at risk there any more.
        let gone = known.into_iter().filter(|key| !seen.contains(key));
        let gone = gone.map(|key| over(key, now, WINDOW)).collect();
        alerts += tell(client, gone, now).await?.alerts;
        if alerts > 0 {
            self.shared.outbox.notify_waiters();
        }
        Ok(())
    }
}

/// One share that may miss its line.
struct Risk<'r> {
    outlet: &'r Outlet,
    position: Option<Position>,
    rule_id: i32,
    /// The month or quarter.
    window: Window,
    course: Course,
    line: Percent,
    /// What the windows are called.
    windows: &'r str,
}

impl Look<'_> {
    fn rule(&self, kind: AlertKind, outlet: &Outlet) -> Option<&AlertRule> {
        rule_at(&self.frames.alerting, kind, outlet, self.now)
    }

    /// At risk is level 1, lost 2.
    fn at_risk(&self, rule: &AlertRule, risk: &Risk<'_>) -> Sighting {
        let found = prospect(risk.course, risk.line);
        let level = match found.standing {
            Standing::Safe => 0,
            Standing::AtRisk => 1,
            Standing::Lost => 2,
        };
        self.of_level(rule, risk, (level, found))
    }

    fn of_level(&self, rule: &AlertRule, risk: &Risk<'_>, (level, found): (u8, Prospect)) -> Sighting {
        let Risk { outlet, window, line, course, .. } = risk;
        let day = self.zone.to_datetime(window.start).date();
        let mut alert = Alert::new(rule.kind, self.now, self.now);
        alert.outlet = Some(place(outlet));
        let channel = risk.position.and_then(|position| outlet.channels.get(position));
        alert.channel = channel.map(|channel| channel.code.to_string());
        alert.pollutant = channel.map(|channel| channel.factor.symbol.clone());
        (alert.period, alert.until) = (Some(window.period.name().to_owned()), Some(window.end));
        alert.started_at = self.now;
        alert.share_percent = course.so_far.hundredths().map(percent);
        alert.line_percent = Some(percent(u64::from(line.in_hundredths())));
        alert.to_come = Some(course.to_come);
        alert.may_fail = Some(found.may_fail).filter(|_| found.standing != Standing::Lost);
        let told = found.told(risk.windows, *line);
        alert.summary = format!(
            "{} {}: {} of the {} from {day} so far, {line} asked; {told}",
            outlet.code,
            alert.pollutant.as_deref().unwrap_or("all channels"),
            course.so_far,
            window.period.name()
        );
        alert.reason = Some(told);
        let key = Key {
            outlet_id: outlet.id,
            position: risk.position.map_or(-1, |position| i16::try_from(position).unwrap_or(i16::MAX)),
            rule_id: risk.rule_id,
            kind: rule.kind,
            // Each month and quarter is a risk of its own.
            subject: format!("{} {day}", window.period.name()),
        };
        // The peak is the worst share: what is missing to all.
        let missing = alert.share_percent.map_or(0.0, |share| 100.0 - share);
        by(rule, key, (level, missing), alert)
    }
}
