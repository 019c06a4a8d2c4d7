//! Checks of analysers and the efficiency of transmission, as documents have them.

use super::{own_code, percent, times};
use crate::config::catalogue::written::Written;
use crate::config::check;
use crate::config::document::Section;
use crate::config::plant::outlet_code;
use crate::config::plant::period::{code, moment};
use crate::config::rules::{division_prefix, industry_prefix};
use crate::domain::capture::EfficiencyRule;
use crate::domain::flag::Status;
use crate::domain::quality::{Check, CheckPlan, CheckResult};
use crate::domain::times::Times;

pub(super) fn read_shared(root: &mut Section<'_>, written: &mut Written) {
    for mut section in root.tables("efficiency") {
        let rule = efficiency(&mut section, written);
        written.law.law.efficiencies.extend(rule);
    }
}

pub(super) fn read_of_plant(root: &mut Section<'_>, written: &mut Written) {
    for mut section in root.tables("check_plan") {
        let plan = check_plan(&mut section, written);
        written.law.law.check_plans.extend(plan);
    }
    for mut section in root.tables("check") {
        let made = made_check(&mut section, written);
        written.law.law.checks.extend(made);
    }
}

fn efficiency(section: &mut Section<'_>, written: &mut Written) -> Option<EfficiencyRule> {
    let statuses = Status::ALL.map(|status| (status.code(), status.code()));
    let code = own_code(section, "efficiency", written);
    let document = section.required("document", check::any_text());
    let division = section.with_default("division", division_prefix(), String::new());
    let industry = section.with_default("industry", industry_prefix(), String::new());
    let not_expected = section.list("not_expected", check::one_of(&statuses));
    let deadline_hours = section.required("deadline_hours", check::small(0..=87_600));
    let pass = section.required("pass_percent", percent());
    let times = times(section);
    let (division, industry, times) = (division?, industry?, times?);
    let subject = format!("efficiency in division {division:?} and industry {industry:?}");
    written.law.claim(subject, times, section.place("from"));
    Some(EfficiencyRule {
        code: code?,
        document: document?,
        times,
        division,
        industry,
        not_expected: not_expected?.into_iter().map(str::to_owned).collect(),
        deadline_hours: deadline_hours?,
        pass: pass?,
    })
}

/// Outlet, analyser and kind of a check.
fn subject(section: &mut Section<'_>, written: &mut Written) -> Option<(String, String, String)> {
    let outlet = section.required("outlet", outlet_code());
    let analyser = section.required("analyser", code());
    let kind = section.required("kind", code());
    if let Some(outlet) = &outlet {
        written.law.need("outlet", outlet, section.place("outlet"));
    }
    if let (Some(outlet), Some(analyser)) = (&outlet, &analyser) {
        written.law.need_analyser(outlet, analyser, section.place("analyser"));
    }
    Some((outlet?, analyser?, kind?))
}

fn check_plan(section: &mut Section<'_>, written: &mut Written) -> Option<CheckPlan> {
    let subject = subject(section, written);
    let every_hours = section.required("every_hours", check::small(1..=87_600));
    let document = section.required("document", check::any_text());
    let times = times(section);
    let ((outlet, analyser, kind), times) = (subject?, times?);
    written.law.claim(
        format!("check_plan {kind} of analyser {analyser} of outlet {outlet}"),
        times,
        section.place("from"),
    );
    Some(CheckPlan { outlet, analyser, kind, every_hours: every_hours?, times, document: document? })
}

fn made_check(section: &mut Section<'_>, written: &mut Written) -> Option<Check> {
    let results = CheckResult::ALL.map(|result| (result.name(), result));
    let subject = subject(section, written);
    let at = section.required("at", moment());
    let result = section.required("result", check::one_of(&results));
    let by = section.required("by", check::any_text());
    let report = section.optional("report", check::any_text());
    let ((outlet, analyser, kind), at) = (subject?, at?);
    // One result a moment: the claim lasts as long as times are exact.
    let moment = Times { from: at, until: at.checked_add(jiff::SignedDuration::from_secs(1)).ok() };
    let about = format!("check {kind} of analyser {analyser} of outlet {outlet}");
    written.law.claim(about, moment, section.place("at"));
    Some(Check { outlet, analyser, kind, at, result: result?, by: by?, report: report? })
}
