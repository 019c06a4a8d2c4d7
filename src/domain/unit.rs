//! Units of what analysers measure, and the way from one to another. A mass concentration is one at standard state (273 K, 101.325 kPa)
//! where it comes from a fraction, since a mole of gas takes 22.4 L there (HJ 75-2017 App. D.2, equation 20: mg/m3 = M / 22.4 x ppm).

use std::fmt;

/// Litres that a mole of gas takes at 273 K and 101.325 kPa, as the standard rounds it.
const MOLAR_VOLUME_L_MOL: f64 = 22.4;

/// What a unit measures. Only units of one quantity are turned into each other, and fractions into mass concentrations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quantity {
    /// Of the volume.
    Fraction,
    MassConcentration,
    Pressure,
    Temperature,
    Speed,
    Flow,
    MassFlow,
}

/// A unit as it is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unit {
    name: &'static str,
    quantity: Quantity,
    /// number x factor + shift is the number in the quantity's smallest unit.
    factor: f64,
    shift: f64,
}

impl Unit {
    /// Every unit, by quantity.
    pub const ALL: [Unit; 22] = [
        Unit::new("ppb", Quantity::Fraction, 1.0),
        Unit::new("ppm", Quantity::Fraction, 1e3),
        Unit::new("%", Quantity::Fraction, 1e7),
        Unit::new("ug/m3", Quantity::MassConcentration, 1.0),
        Unit::new("mg/m3", Quantity::MassConcentration, 1e3),
        Unit::new("g/m3", Quantity::MassConcentration, 1e6),
        Unit::new("Pa", Quantity::Pressure, 1.0),
        Unit::new("hPa", Quantity::Pressure, 1e2),
        Unit::new("mbar", Quantity::Pressure, 1e2),
        Unit::new("mmHg", Quantity::Pressure, 133.322_387_415),
        Unit::new("kPa", Quantity::Pressure, 1e3),
        Unit::new("bar", Quantity::Pressure, 1e5),
        Unit::new("MPa", Quantity::Pressure, 1e6),
        Unit::new("K", Quantity::Temperature, 1.0),
        Unit { name: "C", quantity: Quantity::Temperature, factor: 1.0, shift: 273.15 },
        Unit { name: "F", quantity: Quantity::Temperature, factor: 5.0 / 9.0, shift: 459.67 * 5.0 / 9.0 },
        Unit::new("m/s", Quantity::Speed, 1.0),
        Unit::new("m3/h", Quantity::Flow, 1.0),
        Unit::new("m3/s", Quantity::Flow, 3600.0),
        Unit::new("kg/h", Quantity::MassFlow, 1e3),
        Unit::new("g/s", Quantity::MassFlow, 3600.0),
        Unit::new("t/h", Quantity::MassFlow, 1e6),
    ];

    const fn new(name: &'static str, quantity: Quantity, factor: f64) -> Unit {
        Unit { name, quantity, factor, shift: 0.0 }
    }

    /// The unit that is written so.
    pub fn named(name: &str) -> Option<Unit> {
        Unit::ALL.into_iter().find(|unit| unit.name == name)
    }

    /// As it is written.
    pub const fn name(self) -> &'static str {
        self.name
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Why there is no way from one unit to another.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum NoConversion {
    #[error("{from} and {to} measure different quantities")]
    OtherQuantity { from: Unit, to: Unit },
    /// Nobody but the plant knows as which gas it is to be counted (NOx as NO2).
    #[error("from {from} to {to} it takes the molar mass of the gas")]
    NoMolarMass { from: Unit, to: Unit },
    #[error("from {from} to {to} no molar mass has a part")]
    NeedlessMolarMass { from: Unit, to: Unit },
}

/// value = given x factor + shift
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UnitConversion {
    pub factor: f64,
    pub shift: f64,
}

impl UnitConversion {
    /// The unit stays.
    pub const NONE: UnitConversion = UnitConversion { factor: 1.0, shift: 0.0 };

    /// The way from one unit to another; exactly [`UnitConversion::NONE`] between a unit and itself. `molar_mass` (g/mol) only
    /// between a fraction and a mass concentration.
    ///
    /// # Errors
    /// Different quantities; a molar mass that is missing or has no part.
    pub fn between(from: Unit, to: Unit, molar_mass: Option<f64>) -> Result<UnitConversion, NoConversion> {
        let ratio = from.factor / to.factor;
        match ((from.quantity, to.quantity), molar_mass) {
            ((Quantity::Fraction, Quantity::MassConcentration), Some(mass)) => {
                Ok(UnitConversion { factor: ratio * (mass / MOLAR_VOLUME_L_MOL), shift: 0.0 })
            }
            ((Quantity::MassConcentration, Quantity::Fraction), Some(mass)) => {
                Ok(UnitConversion { factor: ratio * (MOLAR_VOLUME_L_MOL / mass), shift: 0.0 })
            }
            (
                (Quantity::Fraction, Quantity::MassConcentration)
                | (Quantity::MassConcentration, Quantity::Fraction),
                None,
            ) => Err(NoConversion::NoMolarMass { from, to }),
            ((one, other), _) if one != other => Err(NoConversion::OtherQuantity { from, to }),
            (_, Some(_)) => Err(NoConversion::NeedlessMolarMass { from, to }),
            (_, None) => Ok(UnitConversion { factor: ratio, shift: (from.shift - to.shift) / to.factor }),
        }
    }

    /// What `given` is in the other unit.
    pub fn of(self, given: f64) -> f64 {
        given * self.factor + self.shift
    }
}

#[cfg(test)]
mod tests;
