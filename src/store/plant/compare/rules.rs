//! Rules compared: their numbers stay, their words may be corrected, versions may follow.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Changes, with_times};
use crate::config::catalogue::Catalogue;
use crate::domain::history::{Dated, History};
use crate::domain::limit::{Reference, Rule};
use crate::store::plant::write::Table;

/// What of a rule decides a verdict; the rest (name, document, mark, early warning) may be corrected.
fn verdict_part(rule: &Rule) -> Rule {
    Rule {
        id: 0,
        name: String::new(),
        document: String::new(),
        mark: String::new(),
        early_warning_ratio: 1.0,
        limit: Dated { from: Timestamp::MIN, until: None, value: rule.limit.value },
        ..rule.clone()
    }
}

/// Adds what `given` says about rules.
pub(super) fn rules(stored: &Catalogue, given: &Catalogue, changes: &mut Changes) {
    let (stored, given) = (by_code(stored), by_code(given));
    for (code, versions) in given {
        let known = stored.get(code).map_or(&[][..], Vec::as_slice);
        let subject = format!("rule {code}");
        let first = known.first().copied();
        if first.is_some_and(|first| versions.iter().any(|version| !first.is_about_the_same(version))) {
            let reason = "process, pollutant, division, industry and kind of a rule stay; give it a new code";
            changes.refuse(subject, reason.to_owned());
            continue;
        }
        let continuation = match dated(known).continued_by(&dated(&versions)) {
            Ok(continuation) => continuation,
            Err(contradictions) => {
                for contradiction in contradictions {
                    changes.refuse(subject.clone(), contradiction.to_string());
                }
                continue;
            }
        };
        let end_of = |rule: &Rule| {
            let ended = continuation.ended.iter().find(|(from, _)| *from == rule.limit.from);
            ended.map_or(rule.limit.until, |(_, until)| Some(*until))
        };
        let rows = changes.rows(Table::Rule);
        for version in &versions {
            let Some(old) = known.iter().find(|old| old.limit.from == version.limit.from) else {
                rows.added.push(rule_row(version, version.limit.until));
                continue;
            };
            let renewed = Rule { id: old.id, limit: old.limit.clone(), ..(*version).clone() };
            if renewed == **old && end_of(old) == old.limit.until {
                rows.unchanged += 1;
            } else {
                rows.changed.push(rule_row(version, end_of(old)));
            }
        }
        let restated = |old: &Rule| versions.iter().any(|version| version.limit.from == old.limit.from);
        for old in known.iter().filter(|old| !restated(old) && end_of(old) != old.limit.until) {
            rows.changed.push(rule_row(old, end_of(old)));
        }
    }
}

fn by_code(catalogue: &Catalogue) -> BTreeMap<&str, Vec<&Rule>> {
    let mut rules: BTreeMap<&str, Vec<&Rule>> = BTreeMap::new();
    for rule in &catalogue.rules {
        rules.entry(rule.code.as_str()).or_default().push(rule);
    }
    rules
}

fn dated(versions: &[&Rule]) -> History<Rule> {
    let dated =
        |rule: &&Rule| Dated { from: rule.limit.from, until: rule.limit.until, value: verdict_part(rule) };
    // Both catalogues are checked: their versions do not overlap.
    History::new(versions.iter().map(dated).collect()).unwrap_or_default()
}

fn rule_row(rule: &Rule, until: Option<Timestamp>) -> Value {
    let (oxygen, air) = match rule.reference {
        Reference::None => (None, None),
        Reference::OxygenPercent(percent) => (Some(percent), None),
        Reference::ExcessAir(coefficient) => (None, Some(coefficient)),
    };
    let row = json!({
        "code": rule.code, "name": rule.name, "document": rule.document, "mark": rule.mark,
        "kind": rule.kind.name(), "division": rule.division, "industry": rule.industry, "process": rule.process,
        "pollutant": rule.factor, "limit_mg_m3": rule.limit.value, "period": rule.period.name(),
        "reference_oxygen_percent": oxygen, "excess_air": air, "comparison": rule.comparison.name(),
        "early_warning_ratio": rule.early_warning_ratio,
    });
    with_times(row, rule.limit.from, until)
}
