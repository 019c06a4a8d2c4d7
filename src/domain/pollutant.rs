//! Factor codes of HJ 212-2017 table B.2, as far as calculations know them. The catalogue with names is in seeds/.

use crate::domain::plant::Unit;

/// What a factor is to the calculations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// A concentration that is corrected and judged.
    Pollutant,
    Oxygen,
    Temperature,
    /// Static pressure of the gas relative to the ambient.
    StaticPressure,
    AmbientPressure,
    Moisture,
    Velocity,
    Flow,
    /// Anything else: kept, averaged, not converted.
    Other,
}

impl Role {
    pub const ALL: [Role; 9] = [
        Role::Pollutant,
        Role::Oxygen,
        Role::Temperature,
        Role::StaticPressure,
        Role::AmbientPressure,
        Role::Moisture,
        Role::Velocity,
        Role::Flow,
        Role::Other,
    ];

    /// As written in files and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Pollutant => "pollutant",
            Role::Oxygen => "oxygen",
            Role::Temperature => "temperature",
            Role::StaticPressure => "static-pressure",
            Role::AmbientPressure => "ambient-pressure",
            Role::Moisture => "moisture",
            Role::Velocity => "velocity",
            Role::Flow => "flow",
            Role::Other => "other",
        }
    }

    /// The units in which such a factor may be measured.
    pub const fn units(self) -> &'static [Unit] {
        match self {
            Role::Pollutant => &[Unit::MgPerM3, Unit::Ppm],
            Role::Oxygen | Role::Moisture => &[Unit::Percent],
            Role::Temperature => &[Unit::Celsius],
            Role::StaticPressure | Role::AmbientPressure => &[Unit::Pascal, Unit::Kilopascal],
            Role::Velocity => &[Unit::MetrePerSecond],
            Role::Flow => &[Unit::CubicMetrePerHour, Unit::CubicMetrePerSecond],
            Role::Other => &Unit::ALL,
        }
    }

    /// Whether a value depends on the water vapour in the gas, so that its basis must be known.
    pub const fn has_moisture_basis(self) -> bool {
        matches!(self, Role::Pollutant | Role::Oxygen | Role::Flow)
    }

    /// Whether a value depends on the gas's temperature and pressure, so that its basis must be known.
    pub const fn has_state_basis(self) -> bool {
        matches!(self, Role::Pollutant | Role::Flow)
    }
}

/// One factor.
#[derive(Debug, Clone, PartialEq)]
pub struct Factor {
    /// `a21026`
    pub code: String,
    /// `SO2`
    pub symbol: String,
    pub role: Role,
    /// Grams per mole, for ppm; as the pollutant is expressed (NOx as NO2, NMHC as C).
    pub molar_mass: Option<f64>,
}

/// One line of the catalogue: a factor with its names and the unit of HJ 212-2017 table B.2.
#[derive(Debug, Clone, PartialEq)]
pub struct Pollutant {
    pub factor: Factor,
    pub name_en: String,
    pub name_zh: String,
    /// As HJ 212 transports it; a channel may have another one that its role admits.
    pub unit: Unit,
}
