//! Permitted and targeted quantities, as documents have them.

use super::{ended_times, own_code, percent, tonnes};
use crate::config::catalogue::written::Written;
use crate::config::check;
use crate::config::document::Section;
use crate::config::plant::outlet_code;
use crate::config::pollutants::factor_code;
use crate::config::rules::division_prefix;
use crate::domain::quota::{Account, Aim, Quota, Target};
use crate::domain::share::Percent;

pub(super) fn read_shared(root: &mut Section<'_>, written: &mut Written) {
    for mut section in root.tables("target") {
        let target = target(&mut section, written);
        written.law.law.targets.extend(target);
    }
}

pub(super) fn read_of_plant(root: &mut Section<'_>, written: &mut Written) {
    for mut section in root.tables("quota") {
        let quota = quota(&mut section, written);
        written.law.law.quotas.extend(quota);
    }
}

fn quota(section: &mut Section<'_>, written: &mut Written) -> Option<Quota> {
    let code = own_code(section, "quota", written);
    let document = section.required("document", check::any_text());
    let account = account(section, written);
    let pollutant = section.required("pollutant", factor_code());
    let permitted_mg = section.required("tonnes", tonnes());
    let alerts = alerts(section);
    let pace_days = section.with_default("pace_days", check::small(1..=366), 30);
    let times = ended_times(section);
    let (account, pollutant, times) = (account?, pollutant?, times?);
    written.law.need("pollutant", &pollutant, section.place("pollutant"));
    written.law.claim(format!("quota of {pollutant} for {account:?}"), times, section.place("from"));
    Some(Quota {
        code: code?,
        document: document?,
        account,
        pollutant,
        times,
        permitted_mg: permitted_mg?,
        alerts: alerts?,
        pace_days: pace_days?,
    })
}

fn alerts(section: &mut Section<'_>) -> Option<Vec<Percent>> {
    if !section.has("alert_percent") {
        return Some([80, 90, 100].map(Percent::whole).to_vec());
    }
    let lines = section.list("alert_percent", percent())?;
    if lines.is_empty() || !lines.is_sorted_by(|a, b| a < b) {
        section.problem(
            "alert_percent",
            &format!("a list of {}", lines.len()),
            "ascending, at least one, as [80, 90, 100]",
        );
        return None;
    }
    Some(lines)
}

fn account(section: &mut Section<'_>, written: &mut Written) -> Option<Account> {
    let outlet = section.optional("outlet", outlet_code());
    let enterprise = section.optional("enterprise", check::any_text());
    let division = section.optional("division", division_prefix());
    match (outlet?, enterprise?, division?) {
        (Some(code), None, None) => {
            written.law.need("outlet", &code, section.place("outlet"));
            Some(Account::Outlet(code))
        }
        (None, Some(code), None) => {
            written.law.need("enterprise", &code, section.place("enterprise"));
            Some(Account::Enterprise(code))
        }
        (None, None, Some(prefix)) => Some(Account::Division(prefix)),
        (None, None, None) => {
            section.problem("outlet", "nothing", "one of outlet, enterprise or division: whose quota it is");
            None
        }
        (outlet, ..) => {
            let key = if outlet.is_some() { "outlet" } else { "enterprise" };
            section.problem(key, "more than one", "one of outlet, enterprise or division");
            None
        }
    }
}

fn target(section: &mut Section<'_>, written: &mut Written) -> Option<Target> {
    let code = own_code(section, "target", written);
    let document = section.required("document", check::any_text());
    let division = section.required("division", division_prefix());
    let substance = section.required("substance", check::any_text());
    let pollutant = section.optional("pollutant", factor_code());
    let year = section.required("year", year());
    let aim = aim(section);
    if let Some(Some(pollutant)) = &pollutant {
        written.law.need("pollutant", pollutant, section.place("pollutant"));
    }
    Some(Target {
        code: code?,
        document: document?,
        division: division?,
        substance: substance?,
        pollutant: pollutant?,
        year: year?,
        aim: aim?,
    })
}

fn aim(section: &mut Section<'_>) -> Option<Aim> {
    let by = section.optional("reduce_tonnes", tonnes());
    let share = section.optional("reduce_percent", percent());
    let at_most = section.optional("at_most_tonnes", tonnes());
    let base_year = section.optional("base_year", year());
    match (by?, share?, at_most?, base_year?) {
        (Some(mg), None, None, base_year) => Some(Aim::ReduceBy { mg, base_year }),
        (None, Some(percent), None, Some(base_year)) => Some(Aim::ReduceShare { percent, base_year }),
        (None, None, Some(mg), None) => Some(Aim::AtMost { mg }),
        (None, Some(_), None, None) => {
            section.problem("base_year", "nothing", "the year that reduce_percent refers to");
            None
        }
        (None, None, Some(_), Some(year)) => {
            section.problem("base_year", &year.to_string(), "no base year: at_most_tonnes refers to none");
            None
        }
        (by, share, ..) => {
            let key = if by.is_some() || share.is_none() { "reduce_tonnes" } else { "reduce_percent" };
            let allowed = "one of reduce_tonnes, reduce_percent or at_most_tonnes";
            section.problem(key, "none or more than one", allowed);
            None
        }
    }
}

fn year<'c>() -> check::Check<'c, i16> {
    check::small(1990..=2199)
}
