//! What rules and orders say of the hour, worked out again and compared with what is stored.

use serde::Serialize;

use super::{Comparison, Evidence, StoredVerdict};
use crate::domain::average::ChannelAverage;
use crate::domain::correction::{Step, Unwatched};
use crate::domain::exceedance::judge;
use crate::domain::judgement::{By, Ground, Judged, Parts};
use crate::domain::limit::{Reference, Rule};
use crate::domain::order::as_rule;
use crate::domain::plant::{Outlet, Position};
use crate::domain::validity::Overlay;
use crate::domain::window::Window;

/// What one rule or order says of the hour.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VerdictAccount {
    pub rule: String,
    pub name: String,
    pub kind: &'static str,
    pub document: String,
    /// How sure the source is.
    pub mark: String,
    pub reference_oxygen: Option<f64>,
    pub excess_air: Option<f64>,
    pub comparison: &'static str,
    /// In `unit`.
    pub limit: f64,
    pub unit: &'static str,
    pub steps: Vec<Step>,
    /// What was compared: at the rule's own reference, in `unit`.
    pub corrected: Option<f64>,
    pub verdict: &'static str,
    pub ratio_over: Option<f64>,
    /// Exemptions, contested marks, an instrument out of control.
    pub remark: Option<String>,
    /// Whether a verdict of this rule is stored.
    pub stored: bool,
}

/// The judged hour.
pub(super) struct JudgedHour<'g> {
    outlet: &'g Outlet,
    hour: Window,
    judged: Vec<(Judged<'g>, Vec<Step>)>,
}

impl<'g> JudgedHour<'g> {
    pub(super) fn of(
        ground: &Ground<'g>,
        hour: Window,
        averages: &[ChannelAverage],
        (minutes, overlay): (&Parts, &Overlay),
    ) -> JudgedHour<'g> {
        // An hour without a minute is judged by nobody.
        let has_minutes = minutes.range(hour.start..hour.end).next().is_some();
        let judged = if has_minutes {
            ground.judge(hour, averages, (minutes, overlay), &mut Unwatched)
        } else {
            Vec::new()
        };
        let judged = judged.into_iter().map(|one| {
            let steps = steps(ground.outlet, hour, averages, &one);
            (one, steps)
        });
        JudgedHour { outlet: ground.outlet, hour, judged: judged.collect() }
    }

    /// What is said of a channel, and of the outlet as far as it is shown there.
    pub(super) fn accounts(
        &self,
        position: Position,
        evidence: &Evidence,
        comparison: &mut Comparison,
    ) -> Vec<VerdictAccount> {
        let shown = self.judged.iter().filter(|(one, _)| one.shown_at(self.outlet).contains(&position));
        shown
            .map(|(one, steps)| {
                let found = evidence.verdicts.iter().find(|stored| is_of(stored, one));
                if self.is_settled(evidence) && one.position == Some(position) {
                    self.compare_one(one, found, comparison);
                }
                account(self.hour, one, steps.clone(), found.is_some())
            })
            .collect()
    }

    /// Compares what is said of the outlet as a whole, and stored verdicts of rules that, as the law stands now, were not in force.
    pub(super) fn compare(&self, evidence: &Evidence, comparison: &mut Comparison) {
        if !self.is_settled(evidence) {
            return;
        }
        for (one, _) in self.judged.iter().filter(|(one, _)| one.position.is_none()) {
            let found = evidence.verdicts.iter().find(|stored| is_of(stored, one));
            self.compare_one(one, found, comparison);
        }
        let is_said = |stored: &&StoredVerdict| self.judged.iter().any(|(one, _)| is_of(stored, one));
        for left in evidence.verdicts.iter().filter(|stored| !is_said(stored)) {
            comparison.compare(&self.place(&left.rule), "verdict", &left.outcome, "none");
        }
    }

    /// Submitted hours keep their verdicts, whatever is worked out now.
    fn is_settled(&self, evidence: &Evidence) -> bool {
        evidence.hour.is_some() && evidence.now >= self.hour.end && evidence.submitted.is_none()
    }

    fn place(&self, rule: &str) -> String {
        format!("hour {} rule {rule}", self.hour.start)
    }

    fn compare_one(&self, one: &Judged<'_>, found: Option<&StoredVerdict>, comparison: &mut Comparison) {
        let (of, verdict) = (self.place(one.by.code()), &one.verdict);
        let Some(found) = found else {
            comparison.compare(&of, "verdict", "none", verdict.outcome.name());
            return;
        };
        let text = |remark: &Option<String>| remark.clone().unwrap_or_else(|| "none".to_owned());
        comparison.compare(&of, "verdict", &found.outcome, verdict.outcome.name());
        comparison.numbers(&of, "limit", Some(found.limit), Some(verdict.limit));
        comparison.numbers(&of, "corrected", found.corrected, verdict.corrected);
        comparison.numbers(&of, "ratio_over", found.ratio_over, verdict.ratio_over);
        comparison.compare(&of, "remark", &text(&found.remark), &text(&one.remark));
    }
}

fn is_of(stored: &StoredVerdict, one: &Judged<'_>) -> bool {
    stored.position == one.position && stored.rule == one.by.code()
}

/// The steps of a concentration against its limit.
fn steps(outlet: &Outlet, hour: Window, averages: &[ChannelAverage], one: &Judged<'_>) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut by = |rule: &Rule, position: Position| {
        judge(rule, outlet, (hour, position), averages, &mut steps);
    };
    match (one.by, one.position) {
        (By::Rule(rule), Some(position)) => by(rule, position),
        (By::Order(order), Some(position)) => {
            if let Some(rule) = as_rule(order, "") {
                by(&rule, position);
            }
        }
        (By::Rule(_) | By::Order(_) | By::Furnace(_) | By::Assessment(_), _) => {}
    }
    steps
}

fn account(hour: Window, one: &Judged<'_>, steps: Vec<Step>, stored: bool) -> VerdictAccount {
    let (excess_air, mark) = match one.by {
        By::Rule(rule) => match rule.reference {
            Reference::ExcessAir(alpha) => (Some(alpha), rule.mark.clone()),
            Reference::None | Reference::OxygenPercent(_) => (None, rule.mark.clone()),
        },
        By::Order(_) | By::Furnace(_) | By::Assessment(_) => (None, "V".to_owned()),
    };
    VerdictAccount {
        rule: one.by.code().to_owned(),
        name: one.by.name().to_owned(),
        kind: one.by.kind().name(),
        document: one.by.document().to_owned(),
        mark,
        reference_oxygen: one.by.reference_oxygen(),
        excess_air,
        comparison: one.by.comparison(hour),
        limit: one.verdict.limit,
        unit: one.by.unit(hour),
        steps,
        corrected: one.verdict.corrected,
        verdict: one.verdict.outcome.name(),
        ratio_over: one.verdict.ratio_over,
        remark: one.remark.clone(),
        stored,
    }
}
