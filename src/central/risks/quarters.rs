//! Whether capture rates and transmission efficiencies of the month and quarter that run will reach their lines, from what was reckoned
//! up to the end of yesterday.

use std::sync::Arc;

use crate::central::risks::{Look, Risk};
use crate::domain::alert::AlertKind;
use crate::domain::capture::{Capture, EfficiencyRule};
use crate::domain::limit::AveragingPeriod;
use crate::domain::plant::{Channel, Outlet};
use crate::domain::pollutant::Role;
use crate::domain::prospect::{Course, Standing, prospect};
use crate::domain::share::{Percent, Share};
use crate::domain::window::Window;
use crate::store::course::{Transmitted, captures, transmitted};
use crate::store::episode::Sighting;
use crate::store::session::Failure;

impl Look<'_> {
    /// Capture rates of the quarter that will miss a line of their rule: the level is the lowest line that is missed.
    pub(super) async fn captures(&self, outlets: &[Arc<Outlet>]) -> Result<Vec<Sighting>, Failure> {
        let quarter = Window::containing(AveragingPeriod::Quarter, self.now, self.zone);
        let ids: Vec<i32> = outlets.iter().map(|outlet| outlet.id).collect();
        let found = captures(self.client, &ids, quarter.start).await?;
        let mut seen = Vec::new();
        for outlet in outlets {
            let Some(rule) = self.rule(AlertKind::CaptureForecast, outlet) else { continue };
            let lines: Vec<Percent> =
                rule.levels.iter().filter_map(|line| Percent::from_number(*line)).collect();
            for position in 0..outlet.channels.len() {
                let Some(capture) = found.get(&(outlet.id, position)) else { continue };
                let course = of_capture(*capture, self.hours_from_today(quarter));
                let missed = |line: &&Percent| prospect(course, **line).standing > Standing::Safe;
                let missed: Vec<&Percent> = lines.iter().take_while(missed).collect();
                let Some(line) = missed.last().copied().or(lines.first()) else { continue };
                let level = u8::try_from(missed.len()).unwrap_or(u8::MAX);
                let risk = Risk {
                    outlet,
                    position: Some(position),
                    rule_id: 0,
                    window: quarter,
                    course,
                    line: *line,
                    windows: "hours",
                };
                seen.push(self.of_level(rule, &risk, (level, prospect(course, *line))));
            }
        }
        Ok(seen)
    }

    /// Transmission efficiencies of the month and the quarter that will miss their pass line.
    pub(super) async fn efficiencies(&self, outlets: &[Arc<Outlet>]) -> Result<Vec<Sighting>, Failure> {
        let ids: Vec<i32> = outlets.iter().map(|outlet| outlet.id).collect();
        let mut seen = Vec::new();
        for period in [AveragingPeriod::Month, AveragingPeriod::Quarter] {
            let window = Window::containing(period, self.now, self.zone);
            let found = transmitted(self.client, &ids, (period, window.start)).await?;
            for outlet in outlets {
                let Some(rule) = self.rule(AlertKind::EfficiencyAtRisk, outlet) else { continue };
                for efficiency in self.frames.of(&outlet.code).efficiencies {
                    let Some(rule_id) = self.frames.entry("efficiency", &efficiency.code) else { continue };
                    let Some(counted) = found.get(&(outlet.id, rule_id)) else { continue };
                    let course = self.of_transmission((outlet, window), &efficiency, *counted);
                    let (position, line, windows) = (None, efficiency.pass, "hours of channels");
                    let risk = Risk { outlet, position, rule_id, window, course, line, windows };
                    let mut told = self.at_risk(rule, &risk);
                    let alert = &mut told.alert;
                    alert.rule = Some(efficiency.code);
                    alert.rule_name = Some(efficiency.document);
                    seen.push(told);
                }
            }
        }
        Ok(seen)
    }

    /// Hours of a window from today's beginning on: those before are reckoned.
    fn hours_from_today(&self, window: Window) -> u64 {
        let today = Window::containing(AveragingPeriod::Day, self.now, self.zone).start;
        u64::try_from(window.end.duration_since(today).as_hours()).unwrap_or(0)
    }

    /// What has not come but still may in time is still to come.
    fn of_transmission(
        &self,
        (outlet, window): (&Outlet, Window),
        rule: &EfficiencyRule,
        counted: Transmitted,
    ) -> Course {
        let is_there = |channel: &&Channel| {
            channel.factor.role == Role::Pollutant && channel.settings.at(self.now).is_some()
        };
        let channels = u64::try_from(outlet.channels.iter().filter(is_there).count()).unwrap_or(0);
        let today = Window::containing(AveragingPeriod::Day, self.now, self.zone).start;
        let over = u64::try_from(self.now.duration_since(today).as_hours()).unwrap_or(0);
        let may_come = u64::from(rule.deadline_hours).saturating_sub(over).saturating_mul(channels);
        let pending = may_come.min(counted.expected.saturating_sub(counted.valid));
        let so_far = Share { part: counted.valid, whole: counted.expected - pending };
        let to_come = self.hours_from_today(window).saturating_mul(channels).saturating_add(pending);
        Course { so_far, lately: so_far, to_come }
    }
}

fn of_capture(capture: Capture, to_come: u64) -> Course {
    let so_far = capture.rate();
    Course { so_far, lately: so_far, to_come }
}
