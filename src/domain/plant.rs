//! Enterprises, outlets, channels and gateways. Every property that enters a calculation is effective-dated.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::history::History;
use crate::domain::limit::Rule;
use crate::domain::pollutant::Factor;

/// Public code of a channel: an HJ 212 factor code (`a21026`), with a suffix where an outlet measures the same factor
/// twice (`a21026-2`, `a01901-up1`). At most 15 characters; ordered as text.
#[derive(Clone, Copy)]
pub struct ChannelCode([u8; 16]);

impl ChannelCode {
    /// Compares as the text does, in one step: every scan looks its channels up.
    const fn number(self) -> u128 {
        u128::from_be_bytes(self.0)
    }

    /// From its text; `None` unless it is `[a-z][0-9]{5}` with an optional `-[a-z0-9]{1,8}`.
    pub fn new(text: &str) -> Option<ChannelCode> {
        let (factor, suffix) = match text.split_once('-') {
            Some((factor, suffix)) => (factor, Some(suffix)),
            None => (text, None),
        };
        let (letter, digits) = factor.split_at_checked(1)?;
        let valid = letter.bytes().all(|byte| byte.is_ascii_lowercase())
            && digits.len() == 5
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && suffix.is_none_or(|suffix| {
                (1..=8).contains(&suffix.len())
                    && suffix.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            });
        let mut bytes = [0; 16];
        bytes.get_mut(..text.len()).filter(|_| valid)?.copy_from_slice(text.as_bytes());
        Some(ChannelCode(bytes))
    }

    /// The code as text.
    pub fn as_str(&self) -> &str {
        let length = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        self.0.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    /// The factor code without suffix.
    pub fn factor(&self) -> &str {
        let text = self.as_str();
        text.split_once('-').map_or(text, |(factor, _)| factor)
    }
}

impl PartialEq for ChannelCode {
    fn eq(&self, other: &ChannelCode) -> bool {
        self.number() == other.number()
    }
}

impl Eq for ChannelCode {}

impl PartialOrd for ChannelCode {
    fn partial_cmp(&self, other: &ChannelCode) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ChannelCode {
    fn cmp(&self, other: &ChannelCode) -> std::cmp::Ordering {
        self.number().cmp(&other.number())
    }
}

impl std::hash::Hash for ChannelCode {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u128(self.number());
    }
}

impl fmt::Display for ChannelCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for ChannelCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for ChannelCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ChannelCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ChannelCode, D::Error> {
        let text = String::deserialize(deserializer)?;
        ChannelCode::new(&text).ok_or_else(|| D::Error::custom(format!("{text:?} is no channel code")))
    }
}

/// Whether `code` may be an outlet's: `[A-Za-z0-9._-]{1,64}`.
pub fn is_outlet_code(code: &str) -> bool {
    (1..=64).contains(&code.len())
        && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// Everything that is registered, as the calculations see it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plant {
    /// Sorted by code.
    pub outlets: Vec<Arc<Outlet>>,
    /// Sorted by name.
    pub gateways: Vec<Arc<Gateway>>,
    /// Where they stand: each record asks for both, and a search through thousands costs a cache miss a step.
    by_code: HashMap<Arc<str>, usize>,
    by_name: HashMap<Arc<str>, usize>,
}

impl Plant {
    /// In any order; each code and each name once.
    pub fn new(mut outlets: Vec<Arc<Outlet>>, mut gateways: Vec<Arc<Gateway>>) -> Plant {
        outlets.sort_by(|a, b| a.code.cmp(&b.code));
        gateways.sort_by(|a, b| a.name.cmp(&b.name));
        let codes = outlets.iter().map(|outlet| Arc::clone(&outlet.code)).zip(0..);
        let names = gateways.iter().map(|gateway| Arc::clone(&gateway.name)).zip(0..);
        Plant { by_code: codes.collect(), by_name: names.collect(), outlets, gateways }
    }

    /// The outlet of a public code.
    pub fn outlet(&self, code: &str) -> Option<&Arc<Outlet>> {
        self.outlets.get(*self.by_code.get(code)?)
    }

    /// The gateway of a name.
    pub fn gateway(&self, name: &str) -> Option<&Arc<Gateway>> {
        self.gateways.get(*self.by_name.get(name)?)
    }
}

/// Whether `name` may be a gateway's: `[a-z0-9-]{1,64}`, but not `central`, which is the centre's own name on the broker.
pub fn is_gateway_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && name != "central"
}

/// A field gateway that may speak for outlets.
#[derive(Debug, Clone, PartialEq)]
pub struct Gateway {
    /// Key in the store; 0 where there is no store.
    pub id: i32,
    /// `[a-z0-9-]{1,64}`, equal to its MQTT user name.
    pub name: Arc<str>,
}

/// No outlet has more channels than this.
pub const MAX_CHANNELS: usize = 256;

/// Index into an outlet's channels: append-only, never reordered.
pub type Position = usize;

/// Who operates outlets.
#[derive(Debug, Clone, PartialEq)]
pub struct Enterprise {
    /// Unified social credit code, 18 characters.
    pub code: String,
    pub name: String,
    /// GB/T 4754.
    pub industry: String,
    /// Administrative division, six digits (`410800`).
    pub division: String,
    /// Whom to call, as people write it.
    pub contact: String,
}

/// A permitted discharge point.
#[derive(Debug, Clone, PartialEq)]
pub struct Outlet {
    /// Key in the store; 0 where there is no store.
    pub id: i32,
    /// Public code.
    pub code: Arc<str>,
    pub name: String,
    pub enterprise: Arc<Enterprise>,
    pub settings: History<OutletSettings>,
    /// By position.
    pub channels: Vec<Channel>,
    /// Names of the gateways that may speak for it, each with its time.
    pub gateways: Vec<(Arc<str>, History<()>)>,
    /// Every rule that applies to it at some time.
    pub rules: Vec<Arc<Rule>>,
}

impl Outlet {
    /// Position of a channel.
    pub fn position(&self, code: ChannelCode) -> Option<Position> {
        self.channels.iter().position(|channel| channel.code == code)
    }

    /// The same, looked for at `guess` first.
    pub fn position_near(&self, code: ChannelCode, guess: Position) -> Option<Position> {
        let near = self.channels.get(guess).filter(|channel| channel.code == code);
        near.map_or_else(|| self.position(code), |_there| Some(guess))
    }

    /// Whether `gateway` spoke for this outlet at `at`.
    pub fn served_by(&self, gateway: &str, at: jiff::Timestamp) -> bool {
        self.gateways.iter().any(|(name, times)| &**name == gateway && times.at(at).is_some())
    }
}

/// What an outlet's calculations need besides its channels.
#[derive(Debug, Clone, PartialEq)]
pub struct OutletSettings {
    /// What feeds it, as the rules name it (`cement-kiln`).
    pub process: String,
    /// The outlet's own reference; each rule may name another.
    pub reference_oxygen_percent: Option<f64>,
    pub oxygen_of_air_percent: f64,
    /// Above it a concentration is not convertible (dilution); see [`CutoffPolicy`].
    pub oxygen_cutoff_percent: f64,
    pub cutoff_policy: CutoffPolicy,
    /// Pascal, where no channel measures it.
    pub ambient_pressure_pa: f64,
    /// Volume fraction 0..1, where no channel measures it.
    pub moisture_fraction: Option<f64>,
    /// Duct area at the velocity probe.
    pub area_m2: Option<f64>,
    /// Kv of HJ 212-2017 eq. (29).
    pub velocity_coefficient: f64,
}

/// What happens when oxygen is above the outlet's cut-off. No national rule fixes it; the default is the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CutoffPolicy {
    /// The corrected value is none, nothing is judged, and an alert tells of dilution.
    NotConvertible,
    /// Factor 1: only where a document says so, since it rewards dilution.
    NoConversion,
    /// The oxygen is taken as the cut-off.
    Cap,
}

impl CutoffPolicy {
    pub const ALL: [CutoffPolicy; 3] =
        [CutoffPolicy::NotConvertible, CutoffPolicy::NoConversion, CutoffPolicy::Cap];

    /// As written in files and answers.
    pub const fn name(self) -> &'static str {
        match self {
            CutoffPolicy::NotConvertible => "not-convertible",
            CutoffPolicy::NoConversion => "no-conversion",
            CutoffPolicy::Cap => "cap",
        }
    }
}

/// One measured quantity of an outlet.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel {
    pub code: ChannelCode,
    pub factor: Arc<Factor>,
    pub settings: History<ChannelSettings>,
}

/// How to read a channel's values.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelSettings {
    /// Public name of the analyser, unique within the outlet.
    pub analyser: Arc<str>,
    pub unit: Unit,
    pub moisture_basis: MoistureBasis,
    pub state_basis: StateBasis,
    pub expression: Expression,
    /// Lower and upper end of the measuring range, in the unit.
    pub range: (f64, f64),
    /// Time between scans that carry this channel, milliseconds; for a slow channel its cycle.
    pub period_ms: u32,
    /// For display only.
    pub decimals: u8,
}

/// The unit of a channel's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    MgPerM3,
    Ppm,
    Percent,
    Celsius,
    Pascal,
    Kilopascal,
    MetrePerSecond,
    CubicMetrePerHour,
    CubicMetrePerSecond,
    /// Of a process signal (load, current), not converted.
    Plain,
}

impl Unit {
    pub const ALL: [Unit; 10] = [
        Unit::MgPerM3,
        Unit::Ppm,
        Unit::Percent,
        Unit::Celsius,
        Unit::Pascal,
        Unit::Kilopascal,
        Unit::MetrePerSecond,
        Unit::CubicMetrePerHour,
        Unit::CubicMetrePerSecond,
        Unit::Plain,
    ];

    /// As it is written in files and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Unit::MgPerM3 => "mg/m3",
            Unit::Ppm => "ppm",
            Unit::Percent => "%",
            Unit::Celsius => "C",
            Unit::Pascal => "Pa",
            Unit::Kilopascal => "kPa",
            Unit::MetrePerSecond => "m/s",
            Unit::CubicMetrePerHour => "m3/h",
            Unit::CubicMetrePerSecond => "m3/s",
            Unit::Plain => "1",
        }
    }

    /// The reverse of [`Unit::name`].
    pub fn from_name(name: &str) -> Option<Unit> {
        Unit::ALL.into_iter().find(|unit| unit.name() == name)
    }
}

/// Whether a concentration counts the water vapour in the gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MoistureBasis {
    Dry,
    Wet,
}

impl MoistureBasis {
    pub const ALL: [MoistureBasis; 2] = [MoistureBasis::Dry, MoistureBasis::Wet];

    /// As written in files and answers.
    pub const fn name(self) -> &'static str {
        match self {
            MoistureBasis::Dry => "dry",
            MoistureBasis::Wet => "wet",
        }
    }
}

/// Whether a concentration is per cubic metre as it flows or at standard state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StateBasis {
    Standard,
    Actual,
}

/// As what a mass concentration is expressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Expression {
    /// As the factor's name says (NOx as NO2, NMHC as C).
    AsNamed,
    /// An NOx channel whose analyser reports NO; its value is multiplied by M(NO2)/M(NO).
    AsNo,
}

impl Expression {
    pub const ALL: [Expression; 2] = [Expression::AsNamed, Expression::AsNo];

    /// As written in files.
    pub const fn name(self) -> &'static str {
        match self {
            Expression::AsNamed => "as-named",
            Expression::AsNo => "as-no",
        }
    }
}

impl StateBasis {
    pub const ALL: [StateBasis; 2] = [StateBasis::Standard, StateBasis::Actual];

    /// As written in files and answers.
    pub const fn name(self) -> &'static str {
        match self {
            StateBasis::Standard => "standard",
            StateBasis::Actual => "actual",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channel_codes_are_checked_and_ordered_as_text() {
        for good in ["a21026", "a21026-2", "a01901-up1", "i13007", "a21026-12345678"] {
            assert_eq!(ChannelCode::new(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "a2102",
            "a210260",
            "A21026",
            "a21026-",
            "a21026-123456789",
            "a21026-A",
            "é2102",
            "a21026-2-3",
        ] {
            assert_eq!(ChannelCode::new(bad), None, "{bad}");
        }
        assert!(ChannelCode::new("a21026").unwrap() < ChannelCode::new("a21026-2").unwrap());
        assert!(ChannelCode::new("a21026-2").unwrap() < ChannelCode::new("a21027").unwrap());
        assert_eq!(ChannelCode::new("a21026-2").unwrap().factor(), "a21026");
    }
}
