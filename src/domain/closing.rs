//! Why an episode of alerts was closed, and what was done: codes, as acquisition systems have them, so that it can be counted which
//! rules tell what is so. Whoever closes gives one of each.

use std::collections::BTreeMap;

use crate::domain::alert::AlertKind;
use crate::domain::alerting::{Audience, Language};

/// What the cause was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    ProcessUpset,
    TreatmentFailure,
    StartUp,
    ShutDown,
    FuelChange,
    RawMaterialChange,
    LoadChange,
    ReagentShortage,
    Bypass,
    OperatorError,
    OtherCause,
    InstrumentFault,
    SamplingFault,
    Calibration,
    Maintenance,
    Communication,
    PowerFailure,
    DataError,
    WrongSetting,
    Test,
    FalseAlarm,
}

/// What a reason is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    /// The source or its treatment: what was told of the emission is so.
    Emission,
    /// Analyser, line, power: what was told of them is so, what was told of the emission is not.
    Equipment,
    /// Whatever was told is not so.
    Nothing,
}

impl Reason {
    pub const ALL: [Reason; 21] = [
        Reason::ProcessUpset,
        Reason::TreatmentFailure,
        Reason::StartUp,
        Reason::ShutDown,
        Reason::FuelChange,
        Reason::RawMaterialChange,
        Reason::LoadChange,
        Reason::ReagentShortage,
        Reason::Bypass,
        Reason::OperatorError,
        Reason::OtherCause,
        Reason::InstrumentFault,
        Reason::SamplingFault,
        Reason::Calibration,
        Reason::Maintenance,
        Reason::Communication,
        Reason::PowerFailure,
        Reason::DataError,
        Reason::WrongSetting,
        Reason::Test,
        Reason::FalseAlarm,
    ];

    /// As written in tables and messages.
    pub const fn name(self) -> &'static str {
        self.words().0
    }

    /// For people.
    pub const fn text(self, language: Language) -> &'static str {
        match language {
            Language::Zh => self.words().1,
            Language::En => self.words().2,
        }
    }

    /// The reverse of [`Reason::name`].
    pub fn from_name(name: &str) -> Option<Reason> {
        Reason::ALL.into_iter().find(|reason| reason.name() == name)
    }

    const fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Reason::ProcessUpset => ("process-upset", "工况异常", "process upset"),
            Reason::TreatmentFailure => ("treatment-failure", "治理设施故障", "treatment failure"),
            Reason::StartUp => ("start-up", "开机(启炉)", "start-up"),
            Reason::ShutDown => ("shut-down", "停机(停炉)", "shut-down"),
            Reason::FuelChange => ("fuel-change", "燃料变化", "fuel change"),
            Reason::RawMaterialChange => ("raw-material-change", "原料变化", "raw material change"),
            Reason::LoadChange => ("load-change", "负荷变化", "load change"),
            Reason::ReagentShortage => ("reagent-shortage", "药剂不足", "reagent shortage"),
            Reason::Bypass => ("bypass", "旁路排放", "bypass"),
            Reason::OperatorError => ("operator-error", "操作失误", "operator error"),
            Reason::OtherCause => ("other-cause", "其他原因(属实)", "another cause (it is so)"),
            Reason::InstrumentFault => ("instrument-fault", "分析仪故障", "instrument fault"),
            Reason::SamplingFault => ("sampling-fault", "采样系统故障", "sampling system fault"),
            Reason::Calibration => ("calibration", "校准或核查", "calibration or check"),
            Reason::Maintenance => ("maintenance", "仪器维护", "instrument maintenance"),
            Reason::Communication => ("communication", "通信故障", "communication failure"),
            Reason::PowerFailure => ("power-failure", "停电", "power failure"),
            Reason::DataError => ("data-error", "数据错误", "data error"),
            Reason::WrongSetting => ("wrong-setting", "规则或限值设置错误", "wrong rule or setting"),
            Reason::Test => ("test", "测试", "test"),
            Reason::FalseAlarm => ("false-alarm", "误报(其他)", "false alarm (other)"),
        }
    }

    const fn about(self) -> About {
        match self {
            Reason::ProcessUpset
            | Reason::TreatmentFailure
            | Reason::StartUp
            | Reason::ShutDown
            | Reason::FuelChange
            | Reason::RawMaterialChange
            | Reason::LoadChange
            | Reason::ReagentShortage
            | Reason::Bypass
            | Reason::OperatorError
            | Reason::OtherCause => About::Emission,
            Reason::InstrumentFault
            | Reason::SamplingFault
            | Reason::Calibration
            | Reason::Maintenance
            | Reason::Communication
            | Reason::PowerFailure => About::Equipment,
            Reason::DataError | Reason::WrongSetting | Reason::Test | Reason::FalseAlarm => About::Nothing,
        }
    }

    /// Whether an alert of this kind was right: what it told was so. A dead analyser confirms that it was silent, and that an
    /// exceedance was none.
    pub const fn is_confirmed(self, kind: AlertKind) -> bool {
        match self.about() {
            About::Emission => true,
            About::Equipment => !tells_of_emission(kind),
            About::Nothing => false,
        }
    }

    /// Whether the code alone says too little.
    pub const fn needs_words(self) -> bool {
        matches!(self, Reason::OtherCause | Reason::FalseAlarm)
    }
}

const fn tells_of_emission(kind: AlertKind) -> bool {
    match kind {
        AlertKind::Exceedance
        | AlertKind::HourForecast
        | AlertKind::HourToDate
        | AlertKind::EarlyWarning
        | AlertKind::NotConvertible
        | AlertKind::AssessmentAtRisk
        | AlertKind::Quota => true,
        AlertKind::SilentAnalyser
        | AlertKind::SilentOutlet
        | AlertKind::SilentGateway
        | AlertKind::SilentGateways
        | AlertKind::LinkDown
        | AlertKind::AnalyserFault
        | AlertKind::CalibrationOverdue
        | AlertKind::CaptureForecast
        | AlertKind::EfficiencyAtRisk
        | AlertKind::Conflict
        | AlertKind::Quarantine
        | AlertKind::QuarantineFull
        | AlertKind::LostRange
        | AlertKind::GatewayClock
        | AlertKind::GatewaySpool
        | AlertKind::GatewayCertificate
        | AlertKind::Database
        | AlertKind::Backlog
        | AlertKind::ChannelDown
        | AlertKind::DutyGap
        | AlertKind::SelfTest => false,
    }
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    TreatmentAdjusted,
    LoadReduced,
    ProductionStopped,
    ReagentAdded,
    FuelChanged,
    Repaired,
    Replaced,
    Recalibrated,
    Restarted,
    ManualMonitoring,
    Marked,
    Reported,
    SettingCorrected,
    NoneNeeded,
}

impl Action {
    pub const ALL: [Action; 14] = [
        Action::TreatmentAdjusted,
        Action::LoadReduced,
        Action::ProductionStopped,
        Action::ReagentAdded,
        Action::FuelChanged,
        Action::Repaired,
        Action::Replaced,
        Action::Recalibrated,
        Action::Restarted,
        Action::ManualMonitoring,
        Action::Marked,
        Action::Reported,
        Action::SettingCorrected,
        Action::NoneNeeded,
    ];

    /// As written in tables and messages.
    pub const fn name(self) -> &'static str {
        self.words().0
    }

    /// For people.
    pub const fn text(self, language: Language) -> &'static str {
        match language {
            Language::Zh => self.words().1,
            Language::En => self.words().2,
        }
    }

    /// The reverse of [`Action::name`].
    pub fn from_name(name: &str) -> Option<Action> {
        Action::ALL.into_iter().find(|action| action.name() == name)
    }

    const fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Action::TreatmentAdjusted => ("treatment-adjusted", "调整治理设施", "treatment adjusted"),
            Action::LoadReduced => ("load-reduced", "降低负荷", "load reduced"),
            Action::ProductionStopped => ("production-stopped", "停产", "production stopped"),
            Action::ReagentAdded => ("reagent-added", "补充药剂", "reagent added"),
            Action::FuelChanged => ("fuel-changed", "更换燃料", "fuel changed"),
            Action::Repaired => ("repaired", "已维修", "repaired"),
            Action::Replaced => ("replaced", "已更换", "replaced"),
            Action::Recalibrated => ("recalibrated", "重新校准", "recalibrated"),
            Action::Restarted => ("restarted", "重新启动", "restarted"),
            Action::ManualMonitoring => ("manual-monitoring", "人工监测", "measured by hand"),
            Action::Marked => ("marked", "已标记数据", "data marked"),
            Action::Reported => ("reported", "已上报", "reported"),
            Action::SettingCorrected => ("setting-corrected", "更正设置", "setting corrected"),
            Action::NoneNeeded => ("none-needed", "无需处置", "none needed"),
        }
    }
}

/// Closed episodes of something, and those of them whose alert was right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Precision {
    pub closed: u64,
    pub confirmed: u64,
}

impl Precision {
    /// 0 to 1; `None` while nothing is closed.
    #[expect(clippy::cast_precision_loss, reason = "numbers of episodes are far below 2^52")]
    pub fn share(self) -> Option<f64> {
        (self.closed > 0).then(|| self.confirmed as f64 / self.closed as f64)
    }
}

/// One closing of an episode by an audience.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    pub episode: i64,
    /// The rule of alerting that it counts for.
    pub rule: String,
    pub kind: AlertKind,
    pub audience: Audience,
    pub reason: Reason,
}

/// How often each rule was right. Of an episode that several audiences have closed the bureau's word counts, and the platform's before
/// the enterprise's: whoever is watched does not say how well it is watched.
pub fn precision(closings: &[Closing]) -> BTreeMap<String, Precision> {
    let weight = |audience: Audience| match audience {
        Audience::Enterprise => 0,
        Audience::Platform => 1,
        Audience::Bureau => 2,
    };
    let mut counts: BTreeMap<i64, &Closing> = BTreeMap::new();
    for closing in closings {
        let known = counts.entry(closing.episode).or_insert(closing);
        if weight(closing.audience) > weight(known.audience) {
            *known = closing;
        }
    }
    let mut rules: BTreeMap<String, Precision> = BTreeMap::new();
    for closing in counts.into_values() {
        let of = rules.entry(closing.rule.clone()).or_default();
        of.closed += 1;
        of.confirmed += u64::from(closing.reason.is_confirmed(closing.kind));
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_name_of_its_own_and_words() {
        let mut names: Vec<&str> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        names.extend(Action::ALL.iter().map(|action| action.name()));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        for reason in Reason::ALL {
            assert_eq!(Reason::from_name(reason.name()), Some(reason));
            assert!(Language::ALL.iter().all(|language| !reason.text(*language).is_empty()));
        }
        for action in Action::ALL {
            assert_eq!(Action::from_name(action.name()), Some(action));
        }
        assert_eq!(Reason::from_name("weather"), None);
    }

    #[test]
    fn a_dead_analyser_confirms_its_silence_and_refutes_an_exceedance() {
        assert!(Reason::InstrumentFault.is_confirmed(AlertKind::SilentAnalyser));
        assert!(!Reason::InstrumentFault.is_confirmed(AlertKind::Exceedance));
        assert!(Reason::TreatmentFailure.is_confirmed(AlertKind::Exceedance));
        assert!(!Reason::DataError.is_confirmed(AlertKind::SilentAnalyser));
        assert!(!Reason::Test.is_confirmed(AlertKind::Exceedance));
    }

    #[test]
    fn of_two_closings_the_bureaus_counts() {
        let closing = |episode: i64, audience: Audience, reason: Reason| Closing {
            episode,
            rule: "exceedance".to_owned(),
            kind: AlertKind::Exceedance,
            audience,
            reason,
        };
        let closings = [
            closing(1, Audience::Enterprise, Reason::InstrumentFault),
            closing(1, Audience::Bureau, Reason::ProcessUpset),
            closing(2, Audience::Bureau, Reason::DataError),
            closing(2, Audience::Enterprise, Reason::ProcessUpset),
            closing(3, Audience::Enterprise, Reason::Bypass),
        ];
        let rules = precision(&closings);
        assert_eq!(rules["exceedance"], Precision { closed: 3, confirmed: 2 });
        assert!(rules["exceedance"].share().is_some_and(|share| (share - 2.0 / 3.0).abs() < 1e-12));
        assert_eq!(Precision::default().share(), None);
    }
}
