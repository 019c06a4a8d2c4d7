//! What a gateway's trouble concerns: the outlets that it speaks for, and their enterprise when it is one. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::central::warning::place;
use crate::domain::alert::{Alert, AlertKind, Place};
use crate::domain::alerting::{AlertRule, Alerting, Scoped};
use crate::domain::plant::{Outlet, Plant};

/// Names in an alert.
pub const NAMED: usize = 20;

/// What something concerns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Concern {
    /// The enterprise, when all outlets belong to one.
    pub enterprise: Option<Place>,
    /// The first codes,
    pub subjects: Vec<String>,
    /// and how many there are.
    pub total: u32,
}

/// The outlets that each gateway speaks for now.
pub fn served(plant: &Plant, now: Timestamp) -> HashMap<&str, Vec<&Arc<Outlet>>> {
    let mut served: HashMap<&str, Vec<&Arc<Outlet>>> = HashMap::new();
    for outlet in &plant.outlets {
        for (name, _) in outlet.gateways.iter().filter(|(_, times)| times.at(now).is_some()) {
            served.entry(name).or_default().push(outlet);
        }
    }
    served
}

/// The enterprise that all of these outlets belong to.
pub fn enterprise<'o>(outlets: impl IntoIterator<Item = &'o Outlet>) -> Option<Place> {
    let mut outlets = outlets.into_iter();
    let first = outlets.next()?;
    let is_one = outlets.all(|outlet| outlet.enterprise.code == first.enterprise.code);
    is_one.then(|| Place { code: String::new(), name: String::new(), ..place(first) })
}

impl Concern {
    /// Of some outlets.
    pub fn of(outlets: &[&Arc<Outlet>]) -> Concern {
        Concern {
            enterprise: enterprise(outlets.iter().map(|outlet| &***outlet)),
            subjects: outlets.iter().take(NAMED).map(|outlet| outlet.code.to_string()).collect(),
            total: u32::try_from(outlets.len()).unwrap_or(u32::MAX),
        }
    }

    /// Of a gateway; of one that serves nothing now, nothing.
    pub fn of_gateway(plant: &Plant, gateway: &str, now: Timestamp) -> Concern {
        let serves = |outlet: &&Arc<Outlet>| outlet.served_by(gateway, now);
        Concern::of(&plant.outlets.iter().filter(serves).collect::<Vec<_>>())
    }

    /// Says it in an alert.
    pub fn tell(self, alert: &mut Alert) {
        alert.concerns = self.enterprise;
        alert.subjects = self.subjects;
        alert.subjects_total = Some(self.total);
    }
}

/// Where an alert is, as scopes of rules are compared with.
pub fn scoped(alert: &Alert) -> Scoped<'_> {
    let place = alert.place();
    Scoped {
        outlet: alert.outlet.as_ref().map_or("", |place| &place.code),
        enterprise: place.map_or("", |place| &place.enterprise_code),
        division: place.map_or("", |place| &place.division),
    }
}

/// The rule by which a kind is watched at an outlet; `None`: it is not.
pub fn rule_at<'a>(
    alerting: &'a Alerting,
    kind: AlertKind,
    outlet: &Outlet,
    now: Timestamp,
) -> Option<&'a AlertRule> {
    let scoped = Scoped {
        outlet: &outlet.code,
        enterprise: &outlet.enterprise.code,
        division: &outlet.enterprise.division,
    };
    alerting.rule(kind, scoped, now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::evaluation::tests::kiln;
    use crate::domain::history::History;
    use crate::domain::plant::Enterprise;

    fn outlet(id: i32, enterprise: &str) -> Arc<Outlet> {
        let mut outlet = kiln();
        (outlet.id, outlet.code) = (id, format!("outlet-{id:02}").into());
        outlet.gateways = vec![("gw".into(), History::always(()))];
        outlet.enterprise =
            Arc::new(Enterprise { code: enterprise.to_owned(), ..(*outlet.enterprise).clone() });
        Arc::new(outlet)
    }

    #[test]
    fn twenty_are_named_and_one_enterprise_is_said() {
        let plant = Plant::new((1..=23).map(|id| outlet(id, "E1")).collect(), Vec::new());
        let found = Concern::of_gateway(&plant, "gw", Timestamp::UNIX_EPOCH);
        assert_eq!((found.subjects.len(), found.total), (20, 23));
        let enterprise = found.enterprise.unwrap();
        assert_eq!((enterprise.code.as_str(), enterprise.enterprise_code.as_str()), ("", "E1"));
        assert_eq!(served(&plant, Timestamp::UNIX_EPOCH)["gw"].len(), 23);
    }

    #[test]
    fn of_two_enterprises_neither_is_said_to_the_other() {
        let plant = Plant::new(vec![outlet(1, "E1"), outlet(2, "E2")], Vec::new());
        let found = Concern::of_gateway(&plant, "gw", Timestamp::UNIX_EPOCH);
        assert_eq!((found.enterprise, found.total), (None, 2));
        assert_eq!(Concern::of_gateway(&plant, "other", Timestamp::UNIX_EPOCH), Concern::default());
    }
}
