//! What a person is told: what, where, how much, since when, and what to do. The JSON form is the webhook's body and a
//! public interface, version 1.

use jiff::Timestamp;
use serde::Serialize;

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AlertKind {
    /// A window above a limit.
    Exceedance,
    /// A single scan above the line of a rule; no verdict.
    EarlyWarning,
    /// Oxygen above the cut-off while the outlet emits: air in the duct.
    NotConvertible,
    SilentAnalyser,
    SilentOutlet,
    SilentGateway,
    /// So many gateways at once that it is not they: a network or an operator that they share.
    SilentGateways,
    /// The centre has no connection to the broker: nothing can arrive at all.
    LinkDown,
    /// Two different records claim the same place.
    Conflict,
    /// Records that could not be understood or accepted are kept whole, but not as readings.
    Quarantine,
    /// So many records of a gateway are in quarantine that no more are taken: they stay in its spool.
    QuarantineFull,
    /// Records that a gateway had made are gone for ever.
    LostRange,
    /// A share of a permitted quantity is used.
    Quota,
}

impl AlertKind {
    pub const ALL: [AlertKind; 13] = [
        AlertKind::Exceedance,
        AlertKind::EarlyWarning,
        AlertKind::NotConvertible,
        AlertKind::SilentAnalyser,
        AlertKind::SilentOutlet,
        AlertKind::SilentGateway,
        AlertKind::SilentGateways,
        AlertKind::LinkDown,
        AlertKind::Conflict,
        AlertKind::Quarantine,
        AlertKind::QuarantineFull,
        AlertKind::LostRange,
        AlertKind::Quota,
    ];

    /// As written in tables and messages.
    pub const fn name(self) -> &'static str {
        match self {
            AlertKind::Exceedance => "exceedance",
            AlertKind::EarlyWarning => "early-warning",
            AlertKind::NotConvertible => "not-convertible",
            AlertKind::SilentAnalyser => "silent-analyser",
            AlertKind::SilentOutlet => "silent-outlet",
            AlertKind::SilentGateway => "silent-gateway",
            AlertKind::SilentGateways => "silent-gateways",
            AlertKind::LinkDown => "link-down",
            AlertKind::Conflict => "conflict",
            AlertKind::Quarantine => "quarantine",
            AlertKind::QuarantineFull => "quarantine-full",
            AlertKind::LostRange => "lost-range",
            AlertKind::Quota => "quota",
        }
    }

    /// The reverse of [`AlertKind::name`].
    pub fn from_name(name: &str) -> Option<AlertKind> {
        AlertKind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The first thing to do, for whoever is woken by it.
    pub const fn advice(self) -> &'static str {
        match self {
            AlertKind::Exceedance => {
                "The averaged value is above the limit. Call the plant's duty contact; check treatment facilities; record cause and measures."
            }
            AlertKind::EarlyWarning => {
                "A single scan is above the line; the window is not judged yet. The plant can still bring the mean below the limit."
            }
            AlertKind::NotConvertible => {
                "Oxygen is above the cut-off, so nothing can be judged. Check for air leaking in, an open damper, or a stopped source."
            }
            AlertKind::SilentAnalyser => {
                "The gateway runs but this analyser does not answer. Check its power, its network cable and its Modbus settings."
            }
            AlertKind::SilentOutlet => {
                "No analyser of this outlet answers although its gateway runs. Check the analyser house: power, network, switch."
            }
            AlertKind::SilentGateway => {
                "Nothing arrives from this gateway. Check its power and its network; its readings wait in its spool."
            }
            AlertKind::SilentGateways => {
                "Many gateways fell silent together. Check what they share: the network operator, the broker's address, certificates. Their readings wait in their spools."
            }
            AlertKind::LinkDown => {
                "The centre cannot reach the MQTT broker, so nothing arrives from any gateway. Check the broker and the network to it."
            }
            AlertKind::Conflict => {
                "A second, different record claims a stored place. The first stands; both are kept. Treat as possible tampering."
            }
            AlertKind::Quarantine => {
                "Records were not accepted; they are kept whole with the reason. Mend the cause, then retry them from quarantine."
            }
            AlertKind::QuarantineFull => {
                "Refused records now stay in the gateway's spool, which fills. Mend the cause, then `cems quarantine retry` or `discard` makes room."
            }
            AlertKind::LostRange => {
                "The gateway lost records that nobody else has. Record the gap; check the gateway's disk."
            }
            AlertKind::Quota => {
                "A share of the permitted quantity is used. Compare the pace with the time that is left; plan reductions or apply for a change."
            }
        }
    }
}

/// Where it happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    pub code: String,
    pub name: String,
    pub enterprise: String,
}

/// One alert, as it is sent. Fields that do not apply are null.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alert {
    /// The same for every attempt and channel: receivers can drop repeats by it.
    pub id: String,
    pub kind: &'static str,
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
    pub rule_kind: Option<&'static str>,
    pub rule_name: Option<String>,
    pub measured: Option<f64>,
    pub oxygen: Option<f64>,
    pub corrected: Option<f64>,
    pub limit: Option<f64>,
    pub unit: Option<&'static str>,
    pub reference_oxygen: Option<f64>,
    /// C/limit - 1.
    pub ratio_over: Option<f64>,
    pub started_at: Timestamp,
    /// The scan's tick, the window's start, or when silence was noticed.
    pub at: Timestamp,
    pub what_to_do: &'static str,
    pub link: Option<String>,
}

impl Alert {
    /// An alert of a kind with nothing else known yet.
    pub fn new(kind: AlertKind, started_at: Timestamp, at: Timestamp) -> Alert {
        Alert {
            id: String::new(),
            kind: kind.name(),
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
            what_to_do: kind.advice(),
            link: None,
        }
    }

    /// The summary of a value above a limit: `demo-kiln SO2 88.0 mg/m3 against 35 (reference O2 10 %): 1.51 times over`.
    pub fn value_summary(&self) -> String {
        let place = self.outlet.as_ref().map_or("?", |place| place.code.as_str());
        let pollutant = self.pollutant.as_deref().unwrap_or("?");
        let (Some(corrected), Some(limit)) = (self.corrected, self.limit) else {
            return format!("{place} {pollutant}: {}", self.kind);
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
        alert.outlet =
            Some(Place { code: "kiln".to_owned(), name: "Kiln".to_owned(), enterprise: "Works".to_owned() });
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
