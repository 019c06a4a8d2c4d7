//! What a person is told: what, where, how much, since when, and what to do. The JSON form is the webhook's body and a
//! public interface, version 1: fields are added, never changed. Facts only; the words of each language are made of them in `message`.

/// What an alert is about, and how grave it is.
mod kind;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use kind::{AlertKind, Severity};

/// What has happened to the episode that an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It has begun.
    #[default]
    Begun,
    /// It has reached a higher level: more hours, a higher ratio, another line.
    Worsened,
    /// Its figures were corrected afterwards; it stands.
    Revised,
    /// It never was: figures or marks that came later take it back.
    Withdrawn,
}

impl Phase {
    pub const ALL: [Phase; 4] = [Phase::Begun, Phase::Worsened, Phase::Revised, Phase::Withdrawn];

    /// As written in tables and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Phase::Begun => "begun",
            Phase::Worsened => "worsened",
            Phase::Revised => "revised",
            Phase::Withdrawn => "withdrawn",
        }
    }
}

/// Where it happened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub code: String,
    pub name: String,
    /// Name of the enterprise.
    pub enterprise: String,
    /// Its unified social credit code.
    #[serde(default)]
    pub enterprise_code: String,
    /// Administrative division, six digits.
    #[serde(default)]
    pub division: String,
    /// Whom to call there.
    #[serde(default)]
    pub contact: String,
}

/// Whether the instrument is to be trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instrument {
    pub analyser: String,
    /// The last quality check before the alert: when, and whether it was passed.
    pub checked_at: Option<Timestamp>,
    pub passed: Option<bool>,
    /// A check is overdue or was failed: the data are out of control.
    pub out_of_control: bool,
    /// It said of itself that it is faulty, in calibration or in maintenance: the flag's letter.
    pub flag: Option<String>,
}

/// How the running hour will end.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Outlook {
    /// Corrected mean of the hour to date.
    pub mean_mg_m3: f64,
    /// So many minutes of the hour have passed.
    pub minutes_over: u32,
    /// The level at which the rest of the hour still stays below the limit; `None`: the hour is lost.
    pub allowed_mg_m3: Option<f64>,
    /// From this minute on the hour is lost if it goes on as it is.
    pub lost_at: Option<Timestamp>,
}

/// One alert, as it is sent. Fields that do not apply are null.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// The same for every attempt and channel: receivers can drop repeats by it.
    pub id: String,
    pub kind: AlertKind,
    /// One line for people.
    pub summary: String,
    pub outlet: Option<Place>,
    pub gateway: Option<String>,
    pub analyser: Option<String>,
    /// Channel code and the pollutant's symbol.
    pub channel: Option<String>,
    pub pollutant: Option<String>,
    /// Code and kind (violation, assessment, order) of the rule.
    pub rule: Option<String>,
    pub rule_kind: Option<String>,
    pub rule_name: Option<String>,
    pub measured: Option<f64>,
    pub oxygen: Option<f64>,
    pub corrected: Option<f64>,
    pub limit: Option<f64>,
    pub unit: Option<String>,
    pub reference_oxygen: Option<f64>,
    /// C/limit - 1.
    pub ratio_over: Option<f64>,
    pub started_at: Timestamp,
    /// The scan's tick, the window's start, or when silence was noticed.
    pub at: Timestamp,
    pub what_to_do: String,
    pub link: Option<String>,
    /// Of the same episode the same.
    #[serde(default)]
    pub episode: i64,
    #[serde(default)]
    pub phase: Phase,
    #[serde(default = "lowest")]
    pub severity: Severity,
    /// 1 is the lowest that is told.
    #[serde(default)]
    pub level: u8,
    /// Of a window: its averaging period and its end.
    #[serde(default)]
    pub period: Option<String>,
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// Windows one after another that are above, this one included.
    #[serde(default)]
    pub consecutive: Option<u32>,
    /// Valid and expected parts of the window, and what the parts are (`minute`, `hour`).
    #[serde(default)]
    pub valid: Option<u32>,
    #[serde(default)]
    pub expected: Option<u32>,
    #[serde(default)]
    pub part: Option<String>,
    #[serde(default)]
    pub instrument: Option<Instrument>,
    /// What the enterprise has marked over the window.
    #[serde(default)]
    pub marked: Option<String>,
    #[serde(default)]
    pub outlook: Option<Outlook>,
    /// A share and the line it has reached or may miss, per cent.
    #[serde(default)]
    pub share_percent: Option<f64>,
    #[serde(default)]
    pub line_percent: Option<f64>,
    /// What was found, in words: a fault, a refusal, why it was withdrawn.
    #[serde(default)]
    pub reason: Option<String>,
    /// Of one cause: the first of those it concerns, and how many there are.
    #[serde(default)]
    pub subjects: Vec<String>,
    #[serde(default)]
    pub subjects_total: Option<u32>,
    /// When an early warning of the same cause had begun.
    #[serde(default)]
    pub warned_at: Option<Timestamp>,
    /// Windows of the time that are still to come, and how many of them may fail; none when the line is missed even if all are good.
    #[serde(default)]
    pub to_come: Option<u64>,
    #[serde(default)]
    pub may_fail: Option<u64>,
    /// Whom it concerns where it is of no single outlet: the enterprise of all its outlets. Code and name are empty.
    #[serde(default)]
    pub concerns: Option<Place>,
    /// A test: nothing has happened.
    #[serde(default)]
    pub test: bool,
}

const fn lowest() -> Severity {
    Severity::Warning
}

impl Alert {
    /// An alert of a kind with nothing else known yet.
    pub fn new(kind: AlertKind, started_at: Timestamp, at: Timestamp) -> Alert {
        Alert {
            id: String::new(),
            kind,
            summary: String::new(),
            outlet: None,
            gateway: None,
            analyser: None,
            channel: None,
            pollutant: None,
            rule: None,
            rule_kind: None,
            rule_name: None,
            measured: None,
            oxygen: None,
            corrected: None,
            limit: None,
            unit: None,
            reference_oxygen: None,
            ratio_over: None,
            started_at,
            at,
            what_to_do: kind.advice().to_owned(),
            link: None,
            episode: 0,
            phase: Phase::Begun,
            severity: kind.severity(1),
            level: 1,
            period: None,
            until: None,
            consecutive: None,
            valid: None,
            expected: None,
            part: None,
            instrument: None,
            marked: None,
            outlook: None,
            share_percent: None,
            line_percent: None,
            reason: None,
            subjects: Vec::new(),
            subjects_total: None,
            warned_at: None,
            to_come: None,
            may_fail: None,
            concerns: None,
            test: false,
        }
    }

    /// Where it belongs, for whom it concerns: its outlet's place, else that of the enterprise of all that it is about.
    pub fn place(&self) -> Option<&Place> {
        self.outlet.as_ref().or(self.concerns.as_ref())
    }

    /// The same at a level, with the severity that follows.
    #[must_use]
    pub fn at_level(mut self, level: u8) -> Alert {
        (self.level, self.severity) = (level, self.kind.severity(level));
        self
    }

    /// The summary of a value above a limit: `demo-kiln SO2 88.0 mg/m3 against 35 (reference O2 10 %): 1.51 times over`.
    pub fn value_summary(&self) -> String {
        let place = self.outlet.as_ref().map_or("?", |place| place.code.as_str());
        let pollutant = self.pollutant.as_deref().unwrap_or("?");
        let (Some(corrected), Some(limit)) = (self.corrected, self.limit) else {
            return format!("{place} {pollutant}: {}", self.kind.name());
        };
        let reference =
            self.reference_oxygen.map_or(String::new(), |percent| format!(" (reference O2 {percent} %)"));
        let over = self.ratio_over.map_or(String::new(), |ratio| format!(": {ratio:.2} times over"));
        format!("{place} {pollutant} {corrected:.1} mg/m3 against {limit}{reference}{over}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_says_where_what_and_how_much() {
        let at: Timestamp = "2026-11-21T04:00:06Z".parse().unwrap();
        let mut alert = Alert::new(AlertKind::EarlyWarning, at, at);
        alert.outlet = Some(Place { code: "kiln".to_owned(), name: "Kiln".to_owned(), ..Place::default() });
        alert.pollutant = Some("SO2".to_owned());
        (alert.corrected, alert.limit) = (Some(88.0), Some(35.0));
        (alert.reference_oxygen, alert.ratio_over) = (Some(10.0), Some(88.0 / 35.0 - 1.0));
        assert_eq!(
            alert.value_summary(),
            "kiln SO2 88.0 mg/m3 against 35 (reference O2 10 %): 1.51 times over"
        );
    }

    #[test]
    fn kinds_have_names_and_advice() {
        for kind in AlertKind::ALL {
            assert_eq!(AlertKind::from_name(kind.name()), Some(kind));
            assert!(kind.advice().len() > 40);
        }
    }
}
