//! Silences and planned maintenance: for a time nobody is told of what they cover. Episodes go on all the same, and what is still open
//! when the silence ends is told then.

use jiff::Timestamp;

use crate::domain::alert::{Alert, AlertKind};
use crate::domain::times::Times;

/// What a silence covers: every part that is given must fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    pub times: Times,
    pub outlet: Option<String>,
    /// Unified social credit code.
    pub enterprise: Option<String>,
    /// Prefix.
    pub division: Option<String>,
    pub kind: Option<AlertKind>,
    pub rule: Option<String>,
    pub gateway: Option<String>,
}

impl Silence {
    /// Whether it keeps an alert from people at a time.
    pub fn covers(&self, alert: &Alert, at: Timestamp) -> bool {
        let place = alert.place();
        let fits = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| Some(wanted) == found)
        };
        self.times.holds(at)
            && fits(&self.outlet, place.map(|place| place.code.as_str()))
            && fits(&self.enterprise, place.map(|place| place.enterprise_code.as_str()))
            && self
                .division
                .as_deref()
                .is_none_or(|prefix| place.is_some_and(|place| place.division.starts_with(prefix)))
            && self.kind.is_none_or(|kind| kind == alert.kind)
            && fits(&self.rule, alert.rule.as_deref())
            && fits(&self.gateway, alert.gateway.as_deref())
    }
}

/// Until when an alert is kept from people; `None`: it is not.
pub fn silent_until(silences: &[Silence], alert: &Alert, at: Timestamp) -> Option<Timestamp> {
    let covering = silences.iter().filter(|silence| silence.covers(alert, at));
    covering.filter_map(|silence| silence.times.until).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::alert::Place;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn silence() -> Silence {
        let times = Times { from: at(0), until: Some(at(100)) };
        let (outlet, enterprise, division, kind) = (None, None, None, None);
        Silence { times, outlet, enterprise, division, kind, rule: None, gateway: None }
    }

    #[test]
    fn all_that_is_given_must_fit_and_only_in_its_time() {
        let mut alert = Alert::new(AlertKind::Exceedance, at(0), at(0));
        alert.outlet =
            Some(Place { code: "kiln".to_owned(), division: "410800".to_owned(), ..Place::default() });
        let kiln = Silence { outlet: Some("kiln".to_owned()), ..silence() };
        let city = Silence { division: Some("4108".to_owned()), ..silence() };
        let other = Silence { kind: Some(AlertKind::Quota), ..kiln.clone() };
        assert!(kiln.covers(&alert, at(0)) && city.covers(&alert, at(99)) && !kiln.covers(&alert, at(100)));
        assert!(!other.covers(&alert, at(1)));
        let longer = Silence { times: Times { from: at(0), until: Some(at(500)) }, ..kiln.clone() };
        assert_eq!(silent_until(&[kiln, longer, other], &alert, at(1)), Some(at(500)));
        assert_eq!(silent_until(&[city], &Alert::new(AlertKind::LinkDown, at(0), at(0)), at(1)), None);
    }
}
