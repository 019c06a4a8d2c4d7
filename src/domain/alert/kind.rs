//! What an alert is about, how grave it is, and the first thing to do.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What an alert is about. The order is that of the console: the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AlertKind {
    /// A window above a limit, an order that is violated, an assessment that is not met.
    Exceedance,
    /// The hour will be above the limit as it goes on, or can no longer be kept below it.
    HourForecast,
    /// The mean of the hour to date is near its limit; no verdict.
    HourToDate,
    /// A single scan above the line of a rule; no verdict.
    EarlyWarning,
    /// Oxygen above the cut-off while the outlet emits: air in the duct.
    NotConvertible,
    /// The share of a month's hours that an assessment asks for is about to be missed.
    AssessmentAtRisk,
    SilentAnalyser,
    SilentOutlet,
    SilentGateway,
    /// So many gateways at once that it is not they: a network or an operator that they share.
    SilentGateways,
    /// The centre has no connection to the broker: nothing can arrive at all.
    LinkDown,
    /// An analyser says of itself that it is faulty.
    AnalyserFault,
    /// A calibration or check of an analyser is overdue: its data are out of control.
    CalibrationOverdue,
    /// The valid capture rate of the quarter is about to be missed.
    CaptureForecast,
    /// The transmission efficiency of the month or quarter is about to be missed.
    EfficiencyAtRisk,
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
    /// A gateway's clock differs from the centre's.
    GatewayClock,
    /// A gateway's spool fills up.
    GatewaySpool,
    /// A gateway's certificate ends soon.
    GatewayCertificate,
    /// The database did not answer, or does not store.
    Database,
    /// Windows or records wait longer than they should.
    Backlog,
    /// A channel of notification does not deliver.
    ChannelDown,
    /// Nobody of a team is on duty: its default is told instead.
    DutyGap,
    /// A marked synthetic exceedance that tests the way to people.
    SelfTest,
}

impl AlertKind {
    pub const ALL: [AlertKind; 28] = [
        AlertKind::Exceedance,
        AlertKind::HourForecast,
        AlertKind::HourToDate,
        AlertKind::EarlyWarning,
        AlertKind::NotConvertible,
        AlertKind::AssessmentAtRisk,
        AlertKind::SilentAnalyser,
        AlertKind::SilentOutlet,
        AlertKind::SilentGateway,
        AlertKind::SilentGateways,
        AlertKind::LinkDown,
        AlertKind::AnalyserFault,
        AlertKind::CalibrationOverdue,
        AlertKind::CaptureForecast,
        AlertKind::EfficiencyAtRisk,
        AlertKind::Conflict,
        AlertKind::Quarantine,
        AlertKind::QuarantineFull,
        AlertKind::LostRange,
        AlertKind::Quota,
        AlertKind::GatewayClock,
        AlertKind::GatewaySpool,
        AlertKind::GatewayCertificate,
        AlertKind::Database,
        AlertKind::Backlog,
        AlertKind::ChannelDown,
        AlertKind::DutyGap,
        AlertKind::SelfTest,
    ];

    /// As written in tables and messages.
    pub const fn name(self) -> &'static str {
        match self {
            AlertKind::Exceedance => "exceedance",
            AlertKind::HourForecast => "hour-forecast",
            AlertKind::HourToDate => "hour-to-date",
            AlertKind::EarlyWarning => "early-warning",
            AlertKind::NotConvertible => "not-convertible",
            AlertKind::AssessmentAtRisk => "assessment-at-risk",
            AlertKind::SilentAnalyser => "silent-analyser",
            AlertKind::SilentOutlet => "silent-outlet",
            AlertKind::SilentGateway => "silent-gateway",
            AlertKind::SilentGateways => "silent-gateways",
            AlertKind::LinkDown => "link-down",
            AlertKind::AnalyserFault => "analyser-fault",
            AlertKind::CalibrationOverdue => "calibration-overdue",
            AlertKind::CaptureForecast => "capture-forecast",
            AlertKind::EfficiencyAtRisk => "efficiency-at-risk",
            AlertKind::Conflict => "conflict",
            AlertKind::Quarantine => "quarantine",
            AlertKind::QuarantineFull => "quarantine-full",
            AlertKind::LostRange => "lost-range",
            AlertKind::Quota => "quota",
            AlertKind::GatewayClock => "gateway-clock",
            AlertKind::GatewaySpool => "gateway-spool",
            AlertKind::GatewayCertificate => "gateway-certificate",
            AlertKind::Database => "database",
            AlertKind::Backlog => "backlog",
            AlertKind::ChannelDown => "channel-down",
            AlertKind::DutyGap => "duty-gap",
            AlertKind::SelfTest => "self-test",
        }
    }

    /// The reverse of [`AlertKind::name`].
    pub fn from_name(name: &str) -> Option<AlertKind> {
        AlertKind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// How grave it is at a level: 1 is the lowest that is told.
    pub const fn severity(self, level: u8) -> Severity {
        match self {
            AlertKind::Exceedance if level >= 3 => Severity::Critical,
            AlertKind::Exceedance
            | AlertKind::LinkDown
            | AlertKind::SilentGateways
            | AlertKind::Conflict
            | AlertKind::LostRange
            | AlertKind::Database
            | AlertKind::ChannelDown
            | AlertKind::QuarantineFull => Severity::Serious,
            AlertKind::GatewaySpool | AlertKind::Quota | AlertKind::HourForecast | AlertKind::HourToDate
                if level >= 3 =>
            {
                Severity::Serious
            }
            AlertKind::HourForecast
            | AlertKind::NotConvertible
            | AlertKind::AssessmentAtRisk
            | AlertKind::SilentAnalyser
            | AlertKind::SilentOutlet
            | AlertKind::SilentGateway
            | AlertKind::AnalyserFault
            | AlertKind::CalibrationOverdue
            | AlertKind::CaptureForecast
            | AlertKind::EfficiencyAtRisk
            | AlertKind::Quarantine
            | AlertKind::Quota
            | AlertKind::GatewayClock
            | AlertKind::GatewaySpool
            | AlertKind::GatewayCertificate
            | AlertKind::Backlog
            | AlertKind::DutyGap => Severity::Warning,
            AlertKind::HourToDate | AlertKind::EarlyWarning | AlertKind::SelfTest => Severity::Notice,
        }
    }

    /// The first thing to do, for whoever is woken by it.
    #[expect(clippy::too_many_lines, reason = "a list: one entry a kind")]
    pub const fn advice(self) -> &'static str {
        match self {
            AlertKind::Exceedance => {
                "The averaged value is above the limit. Call the plant's duty contact; check treatment facilities; record cause and measures."
            }
            AlertKind::HourForecast => {
                "The hour is not over: lower the emission to the named level before the named minute, and its mean stays below the limit."
            }
            AlertKind::HourToDate => {
                "The mean of the hour so far is near the limit; nothing is judged yet. Look at load, fuel and treatment facilities now."
            }
            AlertKind::EarlyWarning => {
                "A single scan is above the line; the window is not judged yet. The plant can still bring the mean below the limit."
            }
            AlertKind::NotConvertible => {
                "Oxygen is above the cut-off, so nothing can be judged. Check for air leaking in, an open damper, or a stopped source."
            }
            AlertKind::AssessmentAtRisk => {
                "The month's share of hours is about to be missed. See how many more hours may fail, and plan the rest of the month by that."
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
            AlertKind::AnalyserFault => {
                "The analyser reports a fault, so its values do not count. Have it repaired, and measure by hand meanwhile as the rules ask."
            }
            AlertKind::CalibrationOverdue => {
                "From its due time on the analyser is out of control and its data do not count. Calibrate it and record the result."
            }
            AlertKind::CaptureForecast => {
                "Even if all goes well from now on the quarter's capture rate may miss its line. Find out which hours are lost, and why."
            }
            AlertKind::EfficiencyAtRisk => {
                "The transmission efficiency may miss its pass line. Look for hours that came late or not at all, and send what is still in spools."
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
            AlertKind::GatewayClock => {
                "The gateway's clock is off, so its readings carry a wrong time. Check its time service (NTP) before the difference grows."
            }
            AlertKind::GatewaySpool => {
                "The gateway cannot hand over what it measures, and its disk fills. Check its connection; note the hours that are left."
            }
            AlertKind::GatewayCertificate => {
                "When its certificate ends the gateway can no longer connect. Issue a new one and put it in its place; no restart is needed."
            }
            AlertKind::Database => {
                "The database does not answer or does not store, so nothing is judged; readings wait in the gateways. Check its server and its disk."
            }
            AlertKind::Backlog => {
                "Figures are late because work has piled up. Look at the load of the database and of the centres; add a centre if it lasts."
            }
            AlertKind::ChannelDown => {
                "Alerts do not get through by this channel; people are told by others where they have any. Check its address, its key and its service."
            }
            AlertKind::DutyGap => {
                "Nobody of the team is on duty now, so the default team is told instead. Close the gap in the roster."
            }
            AlertKind::SelfTest => {
                "This is a test of the way to you. Nothing has happened; there is nothing to do."
            }
        }
    }
}

impl Serialize for AlertKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for AlertKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<AlertKind, D::Error> {
        let name = String::deserialize(deserializer)?;
        AlertKind::from_name(&name)
            .ok_or_else(|| serde::de::Error::custom(format!("{name:?} is no kind of alert")))
    }
}

/// How grave an alert is; orders who is told and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know; wakes nobody.
    Notice,
    /// Somebody should look at it today, or something can still be prevented.
    Warning,
    /// A breach, or data that are lost: now.
    Serious,
    /// A grave or lasting breach: now, and whoever leads.
    Critical,
}

impl Severity {
    pub const ALL: [Severity; 4] =
        [Severity::Notice, Severity::Warning, Severity::Serious, Severity::Critical];

    /// As written in files and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Notice => "notice",
            Severity::Warning => "warning",
            Severity::Serious => "serious",
            Severity::Critical => "critical",
        }
    }
}
