//! The calendar of quality assurance: which checks an analyser is due, which it had, and when it was out of control: from the
//! due time of a check that was not made, or from a check that failed, until the next good one of that kind.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::times::Times;

/// "This analyser gets this kind of check so often." The interval is data (HJ 75-2017 section 11 prints the usual ones).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckPlan {
    pub outlet: String,
    pub analyser: String,
    /// A code: `zero-drift`, `span-drift`, `accuracy`.
    pub kind: String,
    pub every_hours: u32,
    pub times: Times,
    pub document: String,
}

/// One check that was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    pub outlet: String,
    pub analyser: String,
    pub kind: String,
    pub at: Timestamp,
    pub result: CheckResult,
    pub by: String,
    /// Where the report is kept.
    pub report: Option<String>,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckResult {
    Passed,
    Failed,
}

impl CheckResult {
    pub const ALL: [CheckResult; 2] = [CheckResult::Passed, CheckResult::Failed];

    /// As written in files and answers.
    pub const fn name(self) -> &'static str {
        match self {
            CheckResult::Passed => "passed",
            CheckResult::Failed => "failed",
        }
    }
}

/// A time in which an analyser was out of control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutOfControl {
    pub analyser: String,
    pub kind: String,
    /// No `until`: until the next good check.
    pub times: Times,
    pub cause: Cause,
    /// The last good check of the kind before it.
    pub last_good: Option<Timestamp>,
}

/// Why an analyser was out of control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    Overdue,
    Failed,
}

/// The times out of control of one outlet's analysers; by analyser, kind and beginning. A kind without a plan has failed checks
/// but no overdue ones. Checks may come in any order.
pub fn out_of_control(plans: &[CheckPlan], checks: &[Check]) -> Vec<OutOfControl> {
    let of_plans = plans.iter().map(|plan| (plan.analyser.as_str(), plan.kind.as_str()));
    let of_checks = checks.iter().map(|check| (check.analyser.as_str(), check.kind.as_str()));
    let subjects: BTreeSet<(&str, &str)> = of_plans.chain(of_checks).collect();
    let mut spans = Vec::new();
    for (analyser, kind) in subjects {
        let mut made: Vec<(Timestamp, CheckResult)> = checks
            .iter()
            .filter(|check| check.analyser == analyser && check.kind == kind)
            .map(|check| (check.at, check.result))
            .collect();
        made.sort_unstable();
        let mut planned: Vec<&CheckPlan> =
            plans.iter().filter(|plan| plan.analyser == analyser && plan.kind == kind).collect();
        planned.sort_by_key(|plan| plan.times);
        spans.extend(of_one((analyser, kind), &planned, &made));
    }
    spans
}

fn of_one(
    (analyser, kind): (&str, &str),
    plans: &[&CheckPlan],
    made: &[(Timestamp, CheckResult)],
) -> Vec<OutOfControl> {
    let passed = |(_, result): &&(Timestamp, CheckResult)| *result == CheckResult::Passed;
    let good: Vec<Timestamp> = made.iter().filter(passed).map(|(at, _)| *at).collect();
    let last_good = |at: Timestamp| good.iter().rev().find(|good| **good < at).copied();
    let next_good = |at: Timestamp| good.iter().find(|good| **good >= at).copied();
    let span = |from: Timestamp, until: Option<Timestamp>, cause| OutOfControl {
        analyser: analyser.to_owned(),
        kind: kind.to_owned(),
        times: Times { from, until },
        cause,
        last_good: last_good(from),
    };
    let mut spans: Vec<OutOfControl> = Vec::new();
    for plan in plans {
        // A plan's clock starts with the last good check before it, else at its beginning, and anew at each good check in it.
        let before = last_good(plan.times.from);
        let first =
            before.map_or(due(plan.times.from, plan), |good| due(good, plan).max(Some(plan.times.from)));
        let within = good.iter().filter(|good| plan.times.holds(**good));
        let later = within.map(|good| (*good, due(*good, plan)));
        for (start, due) in std::iter::once((before.unwrap_or(plan.times.from), first)).chain(later) {
            let Some(due) = due else { continue };
            let next = good.iter().find(|good| **good > start).copied();
            let until = next.into_iter().chain(plan.times.until).min();
            if until.is_none_or(|until| due < until) {
                match spans.last_mut() {
                    // Overdue by the plan before as well: one time out of control, and its beginning is that one's.
                    Some(last) if last.times.until == Some(due) => last.times.until = until,
                    Some(_) | None => spans.push(span(due, until, Cause::Overdue)),
                }
            }
        }
    }
    let mut covered_to: Option<Timestamp> = None;
    for (at, result) in made {
        if *result == CheckResult::Failed && covered_to.is_none_or(|covered| *at >= covered) {
            let until = next_good(*at);
            spans.push(span(*at, until, Cause::Failed));
            covered_to = Some(until.unwrap_or(Timestamp::MAX));
        }
    }
    spans.sort_by_key(|span| span.times);
    spans
}

fn due(start: Timestamp, plan: &CheckPlan) -> Option<Timestamp> {
    start.checked_add(SignedDuration::from_hours(i64::from(plan.every_hours))).ok()
}

/// The time out of control of an analyser at `at`, if there is one; the one that began first.
pub fn out_at<'q>(spans: &'q [OutOfControl], analyser: &str, at: Timestamp) -> Option<&'q OutOfControl> {
    let holding = spans.iter().filter(|span| span.analyser == analyser && span.times.holds(at));
    holding.min_by_key(|span| span.times.from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hour(hours: i64) -> Timestamp {
        Timestamp::from_second(hours * 3600).unwrap()
    }

    fn plan(every_hours: u32, from: i64, until: Option<i64>) -> CheckPlan {
        CheckPlan {
            outlet: "kiln".to_owned(),
            analyser: "gas".to_owned(),
            kind: "span-drift".to_owned(),
            every_hours,
            times: Times { from: hour(from), until: until.map(hour) },
            document: "HJ 75-2017 section 11".to_owned(),
        }
    }

    fn check(at: i64, result: CheckResult) -> Check {
        Check {
            outlet: "kiln".to_owned(),
            analyser: "gas".to_owned(),
            kind: "span-drift".to_owned(),
            at: hour(at),
            result,
            by: "Contractor".to_owned(),
            report: None,
        }
    }

    fn spans(plans: &[CheckPlan], checks: &[Check]) -> Vec<(i64, Option<i64>, Cause)> {
        let hours = |at: Timestamp| at.as_second() / 3600;
        out_of_control(plans, checks)
            .iter()
            .map(|span| (hours(span.times.from), span.times.until.map(hours), span.cause))
            .collect()
    }

    #[test]
    fn an_overdue_check_counts_from_its_due_time_to_the_next_good_one() {
        let weekly = plan(168, 0, None);
        let good = [check(100, CheckResult::Passed), check(300, CheckResult::Passed)];
        // Due at 100 + 168 = 268, made at 300; due again at 468.
        assert_eq!(
            spans(std::slice::from_ref(&weekly), &good),
            [(268, Some(300), Cause::Overdue), (468, None, Cause::Overdue)]
        );
        // In time: only the open end.
        let in_time = [check(100, CheckResult::Passed), check(268, CheckResult::Passed)];
        assert_eq!(spans(std::slice::from_ref(&weekly), &in_time), [(436, None, Cause::Overdue)]);
        // Never checked: from the plan's beginning.
        assert_eq!(spans(std::slice::from_ref(&weekly), &[]), [(168, None, Cause::Overdue)]);
        let ended = plan(168, 0, Some(200));
        assert_eq!(spans(&[ended], &[]), [(168, Some(200), Cause::Overdue)]);
    }

    #[test]
    fn a_failed_check_counts_until_a_good_one_and_is_no_check() {
        let failed = [
            check(100, CheckResult::Failed),
            check(110, CheckResult::Failed),
            check(120, CheckResult::Passed),
        ];
        assert_eq!(spans(&[], &failed), [(100, Some(120), Cause::Failed)]);
        assert_eq!(spans(&[], &[check(100, CheckResult::Failed)]), [(100, None, Cause::Failed)]);
        let out = out_of_control(&[], &failed);
        assert!(out_at(&out, "gas", hour(110)).is_some() && out_at(&out, "gas", hour(120)).is_none());
        assert!(out_at(&out, "dust", hour(110)).is_none());
    }

    #[test]
    fn a_new_plan_remembers_the_last_good_check() {
        let plans = [plan(168, 0, Some(200)), plan(24, 200, None)];
        // Good at 190: due by the new plan at 214.
        assert_eq!(
            spans(&plans, &[check(190, CheckResult::Passed)]),
            [(168, Some(190), Cause::Overdue), (214, None, Cause::Overdue)]
        );
        let out = out_of_control(&plans, &[check(190, CheckResult::Passed)]);
        assert_eq!(out[1].last_good, Some(hour(190)));
    }

    proptest! {
        #[test]
        fn order_does_not_matter_and_after_a_good_check_all_is_well(
            times in prop::collection::btree_map(1_i64..2000, any::<bool>(), 0..12), every in 24_u32..400,
        ) {
            let result = |good: bool| if good { CheckResult::Passed } else { CheckResult::Failed };
            let mut checks: Vec<Check> = times.iter().map(|(at, good)| check(*at, result(*good))).collect();
            let plans = [plan(every, 0, None)];
            let forwards = out_of_control(&plans, &checks);
            checks.reverse();
            prop_assert_eq!(&forwards, &out_of_control(&plans, &checks));
            for (at, good) in times {
                prop_assert_eq!(out_at(&forwards, "gas", hour(at)).is_none(), good, "at {}", at);
            }
        }
    }
}
