//! Whether a reading counts, and under which flag. The record's own flag is never changed in storage; this is what the
//! calculations make of it.

use crate::domain::flag::Flag;
use crate::domain::plant::ChannelSettings;
use crate::domain::pollutant::Role;
use crate::domain::scan::Reading;

/// Oxygen of air as the formulas print it, percent.
const MOST_OXYGEN: f64 = 21.0;

/// A reading after validation: a value only when it counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Checked {
    pub value: Option<f64>,
    pub flag: Flag,
}

/// Validates one reading against its channel's range and what is possible at all.
///
/// Above the range the flag is `T` (HJ 212-2017 table 8). Below the range, oxygen below 0 or above 21 %, moisture outside
/// 0..100 % and anything that is no finite number is a fault (`D`): the instrument cannot have measured it. Where the
/// procedure takes 20.9 % for air, oxygen between the two is air, not a fault: it is above every cut-off.
pub fn validate(
    reading: Reading,
    channel: &ChannelSettings,
    role: Role,
    oxygen_of_air_percent: f64,
) -> Checked {
    let Some(value) = reading.value.filter(|_| reading.flag == Flag::Normal) else {
        let flag = if reading.flag == Flag::Normal { Flag::Fault } else { reading.flag };
        return Checked { value: None, flag };
    };
    let (low, high) = channel.range;
    let impossible = !value.is_finite()
        || value < low
        || (role == Role::Oxygen && !(0.0..=oxygen_of_air_percent.max(MOST_OXYGEN)).contains(&value))
        || (role == Role::Moisture && !(0.0..100.0).contains(&value));
    if impossible {
        return Checked { value: None, flag: Flag::Fault };
    }
    if value > high {
        return Checked { value: None, flag: Flag::OverRange };
    }
    Checked { value: Some(value), flag: Flag::Normal }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::plant::{Expression, MoistureBasis, StateBasis, Unit};

    #[test]
    fn only_a_plausible_normal_value_counts() {
        let channel = ChannelSettings {
            analyser: "gas".into(),
            unit: Unit::MgPerM3,
            moisture_basis: MoistureBasis::Dry,
            state_basis: StateBasis::Standard,
            expression: Expression::AsNamed,
            range: (0.0, 100.0),
            period_ms: 1000,
            decimals: 1,
        };
        let check = |value: Option<f64>, flag, role| {
            let checked = validate(Reading { value, flag }, &channel, role, 21.0);
            (checked.value, checked.flag)
        };
        let pollutant = Role::Pollutant;
        assert_eq!(check(Some(31.2), Flag::Normal, pollutant), (Some(31.2), Flag::Normal));
        assert_eq!(check(Some(31.2), Flag::Calibration, pollutant), (None, Flag::Calibration));
        assert_eq!(check(None, Flag::Communication, pollutant), (None, Flag::Communication));
        assert_eq!(check(Some(100.1), Flag::Normal, pollutant), (None, Flag::OverRange));
        assert_eq!(check(Some(-0.1), Flag::Normal, pollutant), (None, Flag::Fault));
        assert_eq!(check(Some(f64::NAN), Flag::Normal, pollutant), (None, Flag::Fault));
        assert_eq!(check(Some(f64::INFINITY), Flag::Normal, pollutant), (None, Flag::Fault));
        assert_eq!(check(Some(21.5), Flag::Normal, Role::Oxygen), (None, Flag::Fault));
        let air = Reading { value: Some(20.95), flag: Flag::Normal };
        assert_eq!(validate(air, &channel, Role::Oxygen, 20.9).value, Some(20.95));
        assert_eq!(check(Some(100.0), Flag::Normal, Role::Moisture), (None, Flag::Fault));
        assert_eq!(check(None, Flag::Normal, pollutant), (None, Flag::Fault));
    }
}
