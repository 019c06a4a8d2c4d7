//! The rules of alerting for one outlet, found before they are needed: thousands of scans a second ask for them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::alert::AlertKind;
use crate::domain::alerting::{AlertRule, Alerting, Scoped};
use crate::domain::plant::{Outlet, Plant};

/// The kinds that values show.
const KINDS: [AlertKind; 6] = [
    AlertKind::EarlyWarning,
    AlertKind::NotConvertible,
    AlertKind::AnalyserFault,
    AlertKind::HourToDate,
    AlertKind::HourForecast,
    AlertKind::Exceedance,
];

/// What is watched at one outlet: of each kind every rule that covers it, the narrowest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Watched([Vec<Arc<AlertRule>>; KINDS.len()]);

impl Watched {
    /// The rule of a kind at a time, as [`Alerting::rule`] finds it. Only the kinds that values show are known here.
    pub fn rule(&self, kind: AlertKind, at: Timestamp) -> Option<&AlertRule> {
        let index = KINDS.iter().position(|known| *known == kind)?;
        let holding = self.0.get(index)?.iter().find(|rule| rule.times.holds(at))?;
        holding.enabled.then_some(holding)
    }
}

/// As a rule's scope is compared with it.
pub fn scoped(outlet: &Outlet) -> Scoped<'_> {
    Scoped {
        outlet: &outlet.code,
        enterprise: &outlet.enterprise.code,
        division: &outlet.enterprise.division,
    }
}

impl Alerting {
    /// What is watched at each outlet of a plant, by its key. Outlets that are watched alike share it.
    pub fn watch(&self, plant: &Plant) -> HashMap<i32, Arc<Watched>> {
        let of_values: Vec<(usize, Arc<AlertRule>)> = self
            .rules
            .iter()
            .filter(|rule| KINDS.contains(&rule.kind))
            .map(|rule| Arc::new(rule.clone()))
            .enumerate()
            .collect();
        let mut wide = Vec::new();
        let mut narrow: HashMap<&str, Vec<&(usize, Arc<AlertRule>)>> = HashMap::new();
        for numbered in &of_values {
            match numbered.1.scope.outlet.as_deref() {
                Some(outlet) => narrow.entry(outlet).or_default().push(numbered),
                None => wide.push(numbered),
            }
        }
        let mut alike: BTreeMap<Vec<usize>, Arc<Watched>> = BTreeMap::new();
        let of_outlet = |outlet: &Arc<Outlet>| {
            let own = narrow.get(&*outlet.code).map_or(&[][..], Vec::as_slice);
            let place = scoped(outlet);
            let mut fitting: Vec<&(usize, Arc<AlertRule>)> =
                wide.iter().chain(own).copied().filter(|(_, rule)| rule.scope.covers(place)).collect();
            // Of equally narrow ones the later counts.
            fitting.sort_by_key(|(number, rule)| std::cmp::Reverse((rule.scope.narrowness(), *number)));
            let numbers = fitting.iter().map(|(number, _)| *number).collect();
            let watched = alike.entry(numbers).or_insert_with(|| {
                let of_kind = |kind| fitting.iter().filter(move |(_, rule)| rule.kind == kind);
                Arc::new(Watched(KINDS.map(|kind| of_kind(kind).map(|(_, rule)| Arc::clone(rule)).collect())))
            });
            (outlet.id, Arc::clone(watched))
        };
        plant.outlets.iter().map(of_outlet).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::alerting::{Audience, Scope};
    use crate::domain::evaluation::tests::kiln;
    use crate::domain::times::Times;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * 3600).unwrap()
    }

    fn rule(code: &str, kind: AlertKind, scope: Scope, (from, until): (i64, Option<i64>)) -> AlertRule {
        AlertRule {
            code: code.to_owned(),
            kind,
            scope,
            times: Times { from: at(from), until: until.map(at) },
            enabled: true,
            levels: Vec::new(),
            hold_s: 0,
            clear_s: 0,
            counts: Vec::new(),
            audiences: vec![Audience::Bureau],
            others_after_s: 0,
            severity: None,
        }
    }

    #[test]
    fn what_is_kept_for_an_outlet_is_what_the_lists_say() {
        let outlet = |id: i32, code: &str| {
            let mut outlet = kiln();
            (outlet.id, outlet.code) = (id, code.into());
            Arc::new(outlet)
        };
        let plant = Plant::new(vec![outlet(1, "a"), outlet(2, "b"), outlet(3, "c")], Vec::new());
        let division = plant.outlets[0].enterprise.division.clone();
        let of_outlet = |code: &str| Scope { outlet: Some(code.to_owned()), ..Scope::default() };
        let of_division = Scope { division, ..Scope::default() };
        let off = AlertRule {
            enabled: false,
            ..rule("off", AlertKind::EarlyWarning, of_outlet("b"), (10, Some(20)))
        };
        let rules = vec![
            rule("all", AlertKind::EarlyWarning, Scope::default(), (0, None)),
            rule("there", AlertKind::EarlyWarning, of_division.clone(), (5, None)),
            rule("there-too", AlertKind::EarlyWarning, of_division, (6, None)),
            off,
            rule("fault", AlertKind::AnalyserFault, of_outlet("a"), (0, None)),
            rule("silence", AlertKind::SilentOutlet, Scope::default(), (0, None)),
        ];
        let alerting = Alerting { rules, ..Alerting::default() };
        let watched = alerting.watch(&plant);
        for outlet in &plant.outlets {
            for kind in KINDS {
                for hour in [-1, 0, 5, 6, 10, 15, 20, 30] {
                    let found = watched[&outlet.id].rule(kind, at(hour)).map(|rule| rule.code.as_str());
                    let told = alerting.rule(kind, scoped(outlet), at(hour)).map(|rule| rule.code.as_str());
                    assert_eq!(found, told, "{} {kind:?} at {hour}", outlet.code);
                }
            }
        }
        assert_eq!(watched[&2].rule(AlertKind::EarlyWarning, at(15)), None, "switched off there");
        assert_eq!(watched[&3].rule(AlertKind::EarlyWarning, at(15)).unwrap().code, "there-too");
        let alone = plant.outlets.iter().filter(|outlet| outlet.id == 3).count();
        assert_eq!(alone, 1);
        assert!(!Arc::ptr_eq(&watched[&1], &watched[&3]), "one of them has a rule of its own");
    }
}
