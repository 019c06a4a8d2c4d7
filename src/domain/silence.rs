//! Silences and planned maintenance: nobody is told of what they cover, while episodes go on all the same. Each has an author, a
//! reason and an end.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::alert::{Alert, AlertKind};
use crate::domain::alerting::Audience;
use crate::domain::token::Reach;

/// The longest; what is to be quiet for longer is a rule to be changed.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(90 * 24);
/// So far ahead one may be planned.
const AHEAD: SignedDuration = SignedDuration::from_hours(366 * 24);
/// Characters of a reason or an author.
const REASON: usize = 500;
const AUTHOR: usize = 80;

/// Why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Somebody does not want to be told.
    Silence,
    /// Work is planned; what happens is expected.
    Maintenance,
}

impl Kind {
    pub const ALL: [Kind; 2] = [Kind::Silence, Kind::Maintenance];

    /// As written in tables and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Silence => "silence",
            Kind::Maintenance => "maintenance",
        }
    }

    /// The reverse of [`Kind::name`].
    pub fn from_name(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What is covered: everything that is given must agree. At least one is given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Covers {
    #[serde(default)]
    pub outlet: Option<String>,
    /// Unified social credit code.
    #[serde(default)]
    pub enterprise: Option<String>,
    /// Prefix.
    #[serde(default)]
    pub division: Option<String>,
    #[serde(default)]
    pub kind: Option<AlertKind>,
    /// Of the law.
    #[serde(default)]
    pub rule: Option<String>,
    #[serde(default)]
    pub gateway: Option<String>,
}

impl Covers {
    fn is_empty(&self) -> bool {
        *self == Covers::default()
    }

    /// Whether an alert is covered.
    pub fn alert(&self, alert: &Alert) -> bool {
        let place = alert.place();
        let agrees = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        agrees(&self.outlet, place.map(|place| place.code.as_str()))
            && agrees(&self.enterprise, place.map(|place| place.enterprise_code.as_str()))
            && self.division.as_deref().is_none_or(|division| {
                !division.is_empty() && place.is_some_and(|place| place.division.starts_with(division))
            })
            && self.kind.is_none_or(|kind| kind == alert.kind)
            && agrees(&self.rule, alert.rule.as_deref())
            && agrees(&self.gateway, alert.gateway.as_deref())
    }
}

/// One silence, as it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    pub kind: Kind,
    pub covers: Covers,
    /// Only these are not told; `None`: nobody is.
    pub audience: Option<Audience>,
    pub from: Timestamp,
    pub until: Timestamp,
    pub author: String,
    pub reason: String,
}

/// What is wrong with it: the field, and the rule with what was found and a remedy.
pub type Wrong = (&'static str, String);

impl Silence {
    /// Checks it against the moment at which it is made.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self, now: Timestamp) -> Result<(), Wrong> {
        let long = |text: &str, most: usize| text.trim().is_empty() || text.chars().count() > most;
        if self.covers.is_empty() {
            let text = "nothing is named, so everything would be silent; give outlet, enterprise, division, kind, rule or gateway";
            return Err(("covers", text.to_owned()));
        }
        for (field, given) in [
            ("covers.outlet", &self.covers.outlet),
            ("covers.enterprise", &self.covers.enterprise),
            ("covers.division", &self.covers.division),
            ("covers.rule", &self.covers.rule),
            ("covers.gateway", &self.covers.gateway),
        ] {
            if given.as_deref().is_some_and(|text| long(text, 80) || text.contains('\0')) {
                return Err((field, format!("{field} has 1 to 80 characters, or is left out")));
            }
        }
        if long(&self.reason, REASON) || self.reason.contains('\0') {
            return Err((
                "reason",
                format!("a reason has 1 to {REASON} characters; say why nobody is to be told"),
            ));
        }
        if long(&self.author, AUTHOR) || self.author.contains('\0') {
            return Err(("author", format!("an author has 1 to {AUTHOR} characters")));
        }
        if self.until <= self.from {
            let text = format!("it ends after its beginning; found from {} until {}", self.from, self.until);
            return Err(("until", text));
        }
        if self.until <= now {
            return Err(("until", format!("it ends in the future; found {} (it is {now})", self.until)));
        }
        if self.until.duration_since(self.from) > LONGEST {
            let days = self.until.duration_since(self.from).as_hours().div_euclid(24);
            let text = format!(
                "it lasts at most 90 days; found {days}; change the rule if it is to be quiet for longer"
            );
            return Err(("until", text));
        }
        if self.from.duration_since(now) > AHEAD {
            return Err(("from", format!("it begins within a year; found {}", self.from)));
        }
        Ok(())
    }

    /// Whether somebody who reaches so far may make or end it.
    pub fn is_within(&self, reach: &Reach) -> bool {
        let enterprise = match &reach.enterprise {
            None => true,
            // It must not keep anything from the bureau.
            Some(own) => {
                self.covers.enterprise.as_ref() == Some(own) && self.audience == Some(Audience::Enterprise)
            }
        };
        let division = self.covers.division.as_deref();
        enterprise
            && (reach.division.is_empty()
                || division.is_some_and(|division| division.starts_with(&reach.division)))
    }

    /// Whether an alert is not told to an audience at a moment because of it.
    pub fn quiets(&self, alert: &Alert, audience: Audience, at: Timestamp) -> bool {
        self.from <= at
            && at < self.until
            && self.audience.is_none_or(|only| only == audience)
            && self.covers.alert(alert)
    }
}

/// Until when an alert is kept from an audience; `None`: it is not.
pub fn silent_until(
    silences: &[Silence],
    alert: &Alert,
    audience: Audience,
    at: Timestamp,
) -> Option<Timestamp> {
    let quiets = silences.iter().filter(|silence| silence.quiets(alert, audience, at));
    quiets.map(|silence| silence.until).max()
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan as _;

    use super::*;
    use crate::domain::alert::Place;

    fn now() -> Timestamp {
        "2026-11-21T04:00:00Z".parse().unwrap()
    }

    fn silence() -> Silence {
        Silence {
            kind: Kind::Maintenance,
            covers: Covers { outlet: Some("kiln".to_owned()), ..Covers::default() },
            audience: None,
            from: now(),
            until: now() + 2.hours(),
            author: "duty desk".to_owned(),
            reason: "filter bags are exchanged".to_owned(),
        }
    }

    #[test]
    fn what_has_no_end_no_reason_or_no_bounds_is_refused() {
        assert_eq!(silence().check(now()), Ok(()));
        let wrong = |change: &dyn Fn(&mut Silence)| {
            let mut silence = silence();
            change(&mut silence);
            silence.check(now()).unwrap_err().0
        };
        assert_eq!(wrong(&|s| s.covers = Covers::default()), "covers");
        assert_eq!(wrong(&|s| s.covers.outlet = Some(String::new())), "covers.outlet");
        assert_eq!(wrong(&|s| s.reason = "  ".to_owned()), "reason");
        assert_eq!(wrong(&|s| s.author = String::new()), "author");
        assert_eq!(wrong(&|s| s.until = s.from), "until");
        assert_eq!(wrong(&|s| s.until = s.from + 2161.hours()), "until");
        assert_eq!(wrong(&|s| (s.from, s.until) = (now() - 2.hours(), now())), "until");
        assert_eq!(wrong(&|s| (s.from, s.until) = (now() + 8800.hours(), now() + 8801.hours())), "from");
    }

    #[test]
    fn it_covers_what_agrees_with_everything_given() {
        let mut alert = Alert::new(AlertKind::Exceedance, now(), now());
        let place = Place {
            code: "kiln".to_owned(),
            enterprise_code: "E".to_owned(),
            division: "410800".to_owned(),
            ..Place::default()
        };
        alert.outlet = Some(place);
        let quiets = |silence: &Silence, audience| silence.quiets(&alert, audience, now());
        assert!(quiets(&silence(), Audience::Bureau));
        let mut other = silence();
        other.covers.kind = Some(AlertKind::SilentOutlet);
        assert!(!quiets(&other, Audience::Bureau));
        other.covers = Covers { division: Some("4108".to_owned()), ..Covers::default() };
        other.audience = Some(Audience::Enterprise);
        assert!(quiets(&other, Audience::Enterprise) && !quiets(&other, Audience::Bureau));
        assert!(!other.quiets(&alert, Audience::Enterprise, other.until));
        other.covers = Covers { gateway: Some("gw".to_owned()), ..Covers::default() };
        assert!(!quiets(&other, Audience::Enterprise));
    }

    #[test]
    fn an_enterprise_cannot_silence_the_bureau() {
        let reach = Reach { enterprise: Some("E".to_owned()), division: String::new() };
        let mut own = silence();
        assert!(!own.is_within(&reach));
        own.covers.enterprise = Some("E".to_owned());
        assert!(!own.is_within(&reach), "the bureau would not be told either");
        own.audience = Some(Audience::Enterprise);
        assert!(own.is_within(&reach) && own.is_within(&Reach::default()));
        let district = Reach { enterprise: None, division: "4108".to_owned() };
        assert!(!own.is_within(&district));
        own.covers.division = Some("410801".to_owned());
        assert!(own.is_within(&district));
    }
}
