//! Factor codes of HJ 212-2017 table B.2, as far as calculations know them. The catalogue with names is in seeds/.

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
