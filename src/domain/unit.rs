//! Units of what analysers measure, and the way from one to another.

/// value = given x factor + shift
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UnitConversion {
    pub factor: f64,
    pub shift: f64,
}

impl UnitConversion {
    /// The unit stays.
    pub const NONE: UnitConversion = UnitConversion { factor: 1.0, shift: 0.0 };
}
