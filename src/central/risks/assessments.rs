//! Whether assessments of the time that runs will be met: by the verdicts so far, and at the rate of the last days.

use std::sync::Arc;

use jiff::SignedDuration;

use crate::central::risks::{Look, Risk};
use crate::domain::alert::AlertKind;
use crate::domain::assessment::Assessment;
use crate::domain::limit::{AveragingPeriod, Kind};
use crate::domain::plant::Outlet;
use crate::domain::prospect::Course;
use crate::domain::window::Window;
use crate::store::course::{Judged, Wanted, judged};
use crate::store::episode::Sighting;
use crate::store::session::Failure;

/// The present rate is that of so long.
const LATELY: SignedDuration = SignedDuration::from_hours(7 * 24);

/// One assessment of one outlet.
struct Assessed<'a> {
    outlet: &'a Outlet,
    assessment: Assessment,
    /// The time that runs.
    window: Window,
    /// Of the windows that are judged.
    period: AveragingPeriod,
    factor: &'a str,
    /// The indices of what was asked of the store, one a version of the rule.
    asked: std::ops::Range<usize>,
}

impl Look<'_> {
    /// What is at risk of these outlets' assessments.
    pub(super) async fn assessments(&self, outlets: &[Arc<Outlet>]) -> Result<Vec<Sighting>, Failure> {
        let (mut assessed, mut wanted) = (Vec::new(), Vec::new());
        for outlet in outlets {
            if self.rule(AlertKind::AssessmentAtRisk, outlet).is_some() {
                self.ask(outlet, (&mut assessed, &mut wanted));
            }
        }
        let found = judged(self.client, &wanted).await?;
        let mut seen = Vec::new();
        for one in &assessed {
            let Some(rule) = self.rule(AlertKind::AssessmentAtRisk, one.outlet) else { continue };
            let Some(rule_id) = self.frames.entry("assessment", &one.assessment.code) else { continue };
            let channels = one.outlet.channels.iter().enumerate();
            for (position, _) in channels.filter(|(_, channel)| channel.factor.code == one.factor) {
                let of_versions = one.asked.clone().filter_map(|index| found.get(&(index, position)));
                let Some(course) = course(one, of_versions.copied().collect(), self) else { continue };
                let windows = windows_of(one.period);
                let line = one.assessment.share;
                let risk = Risk {
                    outlet: one.outlet,
                    position: Some(position),
                    rule_id,
                    window: one.window,
                    course,
                    line,
                    windows,
                };
                let mut told = self.at_risk(rule, &risk);
                let alert = &mut told.alert;
                alert.rule = Some(one.assessment.code.clone());
                alert.rule_name = Some(one.assessment.document.clone());
                alert.rule_kind = Some(Kind::Assessment.name().to_owned());
                alert.part = Some(one.period.name().to_owned());
                seen.push(told);
            }
        }
        Ok(seen)
    }

    fn ask<'o>(&self, outlet: &'o Outlet, (assessed, wanted): (&mut Vec<Assessed<'o>>, &mut Vec<Wanted>)) {
        for assessment in self.frames.of(&outlet.code).assessments {
            let window = Window::containing(assessment.over.period(), self.now, self.zone);
            let versions = || outlet.rules.iter().filter(|rule| rule.code == assessment.rule);
            let Some((period, factor)) = versions().next().map(|rule| (rule.period, &rule.factor)) else {
                continue;
            };
            if !assessment.times.holds(window.start) {
                continue;
            }
            let first = wanted.len();
            wanted.extend(versions().map(|rule| Wanted {
                outlet_id: outlet.id,
                rule_id: rule.id,
                period,
                from: window.start,
                until: window.end,
                lately: window.start.max(self.now - LATELY),
            }));
            let asked = first..wanted.len();
            assessed.push(Assessed { outlet, assessment, window, period, factor, asked });
        }
    }
}

/// How far it has come; `None` while too little is judged to say anything.
fn course(one: &Assessed<'_>, found: Vec<Judged>, look: &Look<'_>) -> Option<Course> {
    let mut all = Judged::default();
    for judged in found {
        for (sum, more) in [(&mut all.so_far, judged.so_far), (&mut all.lately, judged.lately)] {
            sum.met += more.met;
            sum.exceeded += more.exceeded;
        }
    }
    let so_far = all.so_far.share();
    let enough = so_far.whole > 0 && so_far.whole >= u64::from(one.assessment.at_least);
    enough.then(|| Course { so_far, lately: all.lately.share(), to_come: to_come(one, look) })
}

/// Windows that begin from now on.
fn to_come(one: &Assessed<'_>, look: &Look<'_>) -> u64 {
    let next = Window::containing(one.period, look.now, look.zone);
    let length = next.end.duration_since(next.start).as_secs();
    // The one that runs is still to be judged.
    let left = one.window.end.duration_since(next.start).as_secs();
    u64::try_from(left.checked_div(length).unwrap_or(0)).unwrap_or(0)
}

const fn windows_of(period: AveragingPeriod) -> &'static str {
    match period {
        AveragingPeriod::Minute => "minutes",
        AveragingPeriod::FiveMinutes => "five-minute means",
        AveragingPeriod::TenMinutes => "ten-minute means",
        AveragingPeriod::HalfHour => "half-hours",
        AveragingPeriod::Hour => "hours",
        AveragingPeriod::Day => "days",
        AveragingPeriod::Month => "months",
        AveragingPeriod::Quarter => "quarters",
        AveragingPeriod::Year => "years",
    }
}
