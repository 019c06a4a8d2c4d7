//! The gas in the duct at any moment: a pure function of the process, its noise and the time. Load swings slowly; air leaks
//! in and dilutes pollutants and moisture exactly as it brings oxygen, so that a value corrected to reference oxygen does not
//! see the leak.

use crate::config::scenario::{Process, Quantity};
use crate::simulator::noise::Noise;

/// Oxygen of air in percent, as the conversion formulas count it (HJ 75-2017 C.28).
const AIR_OXYGEN_PERCENT: f64 = 21.0;
const AMBIENT_CELSIUS: f64 = 18.0;
const ATMOSPHERE_KPA: f64 = 101.325;
/// Standard state by HJ 75-2017 C.18 is 273 K, not 273.15.
const ZERO_CELSIUS_KELVIN: f64 = 273.0;

const MINUTE: i32 = 60_000;
const HOUR: i32 = 60 * MINUTE;

/// The gas of one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gas {
    /// mg/m3, dry, standard state.
    pub dust: f64,
    /// mg/m3, dry, standard state.
    pub sulphur_dioxide: f64,
    /// mg/m3 as NO2, dry, standard state.
    pub nitrogen_oxides: f64,
    /// Of the dry gas.
    pub oxygen_percent: f64,
    pub temperature_celsius: f64,
    /// Relative to the ambient.
    pub static_pressure_kpa: f64,
    pub moisture_percent: f64,
    pub velocity_m_s: f64,
}

/// The gas at full load without leakage. Levels stay below the ultra-low limits of the process, corrected, in every swing.
const fn usual(process: Process) -> Gas {
    match process {
        // 10/35/100 at 10 % oxygen
        Process::CementKiln => Gas {
            dust: 5.0,
            sulphur_dioxide: 20.0,
            nitrogen_oxides: 32.0,
            oxygen_percent: 9.2,
            temperature_celsius: 105.0,
            static_pressure_kpa: -0.35,
            moisture_percent: 9.0,
            velocity_m_s: 14.0,
        },
        // 10/50/200 at 8 % oxygen
        Process::GlassFurnace => Gas {
            dust: 4.8,
            sulphur_dioxide: 27.0,
            nitrogen_oxides: 120.0,
            oxygen_percent: 8.6,
            temperature_celsius: 190.0,
            static_pressure_kpa: -0.22,
            moisture_percent: 11.0,
            velocity_m_s: 11.0,
        },
        // 10/35/50, no conversion
        Process::CarbonRoasting => Gas {
            dust: 5.0,
            sulphur_dioxide: 20.0,
            nitrogen_oxides: 30.0,
            oxygen_percent: 15.0,
            temperature_celsius: 72.0,
            static_pressure_kpa: -0.41,
            moisture_percent: 6.5,
            velocity_m_s: 9.0,
        },
    }
}

/// The gas of a process at a time (Unix milliseconds), events apart.
pub fn gas(process: Process, noise: Noise, at_ms: i64) -> Gas {
    let usual = usual(process);
    let swing = |stream: u64, period: i32| noise.at(stream, period, at_ms);
    let load = 1.0
        + 0.05 * noise.wave(1, 24 * HOUR, at_ms)
        + 0.06 * swing(2, 30 * MINUTE)
        + 0.02 * swing(3, 2 * MINUTE);
    let more = load - 1.0;
    let slow_and_fast = |stream: u64, slow: f64, fast: f64| {
        slow * swing(stream, 5 * MINUTE) + fast * swing(stream + 1, 20_000)
    };
    let undiluted = Gas {
        dust: usual.dust * (1.0 + 0.8 * more + slow_and_fast(10, 0.12, 0.06)),
        sulphur_dioxide: usual.sulphur_dioxide * (1.0 + 0.8 * more + slow_and_fast(20, 0.12, 0.05)),
        nitrogen_oxides: usual.nitrogen_oxides * (1.0 + 0.8 * more + slow_and_fast(30, 0.12, 0.04)),
        oxygen_percent: usual.oxygen_percent - 3.0 * more + 0.3 * swing(40, 3 * MINUTE),
        temperature_celsius: usual.temperature_celsius * (1.0 + 0.3 * more) + 1.5 * swing(50, 4 * MINUTE),
        static_pressure_kpa: usual.static_pressure_kpa * load * load + 0.015 * swing(60, 15_000),
        moisture_percent: usual.moisture_percent * (1.0 + 0.3 * more) + 0.3 * swing(70, 10 * MINUTE),
        velocity_m_s: usual.velocity_m_s * load + 0.2 * swing(80, 10_000),
    };
    undiluted.diluted(0.02 + 0.015 * swing(4, 15 * MINUTE))
}

impl Gas {
    /// With air mixed in until it is `fraction` (0 to 1) of the dry gas.
    #[must_use]
    pub fn diluted(self, fraction: f64) -> Gas {
        let rest = 1.0 - fraction;
        // Moisture counts by the wet gas: the water for each part of dry gas is what is diluted.
        let water = self.moisture_percent / (100.0 - self.moisture_percent) * rest;
        Gas {
            dust: self.dust * rest,
            sulphur_dioxide: self.sulphur_dioxide * rest,
            nitrogen_oxides: self.nitrogen_oxides * rest,
            oxygen_percent: self.oxygen_percent * rest + AIR_OXYGEN_PERCENT * fraction,
            temperature_celsius: self.temperature_celsius * rest + AMBIENT_CELSIUS * fraction,
            static_pressure_kpa: self.static_pressure_kpa,
            moisture_percent: 100.0 * water / (1.0 + water),
            velocity_m_s: self.velocity_m_s * (1.0 + 0.3 * fraction),
        }
    }

    /// With air leaking in until the gas has this much oxygen; unchanged when it has as much already.
    #[must_use]
    pub fn leaking_to(self, oxygen_percent: f64) -> Gas {
        if oxygen_percent <= self.oxygen_percent {
            return self;
        }
        let fraction = (oxygen_percent - self.oxygen_percent) / (AIR_OXYGEN_PERCENT - self.oxygen_percent);
        self.diluted(fraction.clamp(0.0, 1.0))
    }

    /// Some way (0 to 1) from burning to stopped: the gas is replaced by air at once, what is hot cools slowly.
    #[must_use]
    pub fn stopped(self, flow: f64, heat: f64) -> Gas {
        let towards = |from: f64, to: f64, way: f64| from + (to - from) * way;
        Gas {
            dust: towards(self.dust, 0.0, flow),
            sulphur_dioxide: towards(self.sulphur_dioxide, 0.0, flow),
            nitrogen_oxides: towards(self.nitrogen_oxides, 0.0, flow),
            oxygen_percent: towards(self.oxygen_percent, 20.9, flow),
            temperature_celsius: towards(self.temperature_celsius, AMBIENT_CELSIUS, heat),
            static_pressure_kpa: towards(self.static_pressure_kpa, -0.01, flow),
            moisture_percent: towards(self.moisture_percent, 1.5, flow),
            velocity_m_s: towards(self.velocity_m_s, 0.3, flow),
        }
    }

    /// What an ideal instrument shows.
    pub fn measured(&self, quantity: Quantity) -> f64 {
        match quantity {
            Quantity::Dust => self.dust * self.actual_wet_share(),
            Quantity::SulphurDioxide => self.sulphur_dioxide,
            Quantity::NitrogenOxides => self.nitrogen_oxides,
            Quantity::Oxygen => self.oxygen_percent,
            Quantity::Temperature => self.temperature_celsius,
            Quantity::StaticPressure => self.static_pressure_kpa,
            Quantity::Moisture => self.moisture_percent,
            Quantity::Velocity => self.velocity_m_s,
        }
    }

    /// Cubic metres of dry gas at standard state in one cubic metre of gas as it is.
    fn actual_wet_share(&self) -> f64 {
        (1.0 - self.moisture_percent / 100.0) * ZERO_CELSIUS_KELVIN
            / (ZERO_CELSIUS_KELVIN + self.temperature_celsius)
            * (ATMOSPHERE_KPA + self.static_pressure_kpa)
            / ATMOSPHERE_KPA
    }
}

/// What an analyser shows while span gas is fed to it; `None` where there is no such gas and the process is shown.
pub const fn span_gas(quantity: Quantity) -> Option<f64> {
    match quantity {
        Quantity::Dust => Some(15.0),
        Quantity::SulphurDioxide => Some(160.0),
        Quantity::NitrogenOxides => Some(240.0),
        Quantity::Oxygen => Some(20.0),
        Quantity::Temperature | Quantity::StaticPressure | Quantity::Moisture | Quantity::Velocity => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PROCESSES: [Process; 3] = [Process::CementKiln, Process::GlassFurnace, Process::CarbonRoasting];

    proptest! {
        #[test]
        fn dilution_lowers_pollutants_raises_oxygen_and_leaves_the_corrected_value(
            process in prop::sample::select(&PROCESSES[..]), seed: u64,
            at in 0_i64..4_000_000_000_000, fraction in 0.01_f64..0.9,
        ) {
            let before = gas(process, Noise::new(seed, "x"), at);
            let after = before.diluted(fraction);
            prop_assert!(after.sulphur_dioxide < before.sulphur_dioxide);
            prop_assert!(after.nitrogen_oxides < before.nitrogen_oxides);
            prop_assert!(after.dust < before.dust);
            prop_assert!(after.moisture_percent < before.moisture_percent);
            prop_assert!(after.temperature_celsius < before.temperature_celsius);
            prop_assert!(after.oxygen_percent > before.oxygen_percent && after.oxygen_percent < 21.0);
            let corrected = |gas: Gas| gas.sulphur_dioxide * (21.0 - 10.0) / (21.0 - gas.oxygen_percent);
            prop_assert!((corrected(after) - corrected(before)).abs() < 1e-9);
        }

        #[test]
        fn a_leak_reaches_its_oxygen(seed: u64, at in 0_i64..4_000_000_000_000, to in 11.0_f64..20.0) {
            let leaking = gas(Process::CementKiln, Noise::new(seed, "x"), at).leaking_to(to);
            prop_assert!((leaking.oxygen_percent - to).abs() < 1e-9);
        }

        #[test]
        fn undisturbed_processes_keep_their_limits(seed: u64, at in 0_i64..4_000_000_000_000) {
            let limits = [(10.0, 35.0, 100.0, Some(10.0)), (10.0, 50.0, 200.0, Some(8.0)), (10.0, 35.0, 50.0, None)];
            for (process, (dust, sulphur_dioxide, nitrogen_oxides, reference)) in PROCESSES.into_iter().zip(limits) {
                let gas = gas(process, Noise::new(seed, "x"), at);
                let factor = reference.map_or(1.0, |reference: f64| (21.0 - reference) / (21.0 - gas.oxygen_percent));
                prop_assert!(gas.dust * factor < 0.9 * dust);
                prop_assert!(gas.sulphur_dioxide * factor < 0.9 * sulphur_dioxide);
                prop_assert!(gas.nitrogen_oxides * factor < 0.9 * nitrogen_oxides);
                prop_assert!(gas.oxygen_percent > 5.0 && gas.moisture_percent > 1.0 && gas.velocity_m_s > 1.0);
            }
        }
    }

    #[test]
    fn the_in_situ_meter_sees_wet_hot_gas() {
        let mut gas = usual(Process::CementKiln);
        gas.dust = 10.0;
        gas.moisture_percent = 10.0;
        gas.temperature_celsius = 136.5;
        gas.static_pressure_kpa = 0.0;
        // 10 * 0.9 * 273/409.5 = 6
        assert!((gas.measured(Quantity::Dust) - 6.0).abs() < 1e-12);
    }

    #[test]
    fn a_stopped_source_is_air() {
        let gas = usual(Process::GlassFurnace).stopped(1.0, 1.0);
        assert_eq!(
            (gas.sulphur_dioxide, gas.oxygen_percent, gas.temperature_celsius),
            (0.0, 20.9, AMBIENT_CELSIUS)
        );
    }
}
