//! From the raw number to the value in the analyser's unit: `scale` and `offset`, or `raw_range` and `value_range`; `raw_min`, `raw_max`,
//! `unit`. A template's point and the channel that takes it may share them between them, each said once.

use config::ValueKind;

use crate::config::check::{Check, number, text};
use crate::config::document::Section;
use crate::config::gateway::Conversion;
use crate::domain::unit::{NoConversion, Unit, UnitConversion};

/// As written; `None` for what is not.
#[derive(Debug, Clone, Copy)]
pub struct Signal {
    scaling: Scaling,
    under: Option<f64>,
    over: Option<f64>,
    unit: Option<Unit>,
}

#[derive(Debug, Clone, Copy)]
enum Scaling {
    /// The raw number is the value.
    Unsaid,
    Linear {
        scale: f64,
        offset: f64,
    },
}

impl Scaling {
    const fn is_said(self) -> bool {
        match self {
            Scaling::Unsaid => false,
            Scaling::Linear { .. } => true,
        }
    }
}

/// Keys of the scale, by whichever of them it is written.
const SCALING: [&str; 4] = ["scale", "offset", "raw_range", "value_range"];
const LARGEST: f64 = 1e12;

/// Reads what is written of it.
pub fn signal(section: &mut Section<'_>) -> Option<Signal> {
    let scaling = scaling(section);
    let under = section.optional("raw_min", number(-LARGEST..=LARGEST));
    let over = section.optional("raw_max", number(-LARGEST..=LARGEST));
    let unit = section.optional("unit", unit());
    Some(Signal { scaling: scaling?, under: under?, over: over?, unit: unit? })
}

fn scaling(section: &mut Section<'_>) -> Option<Scaling> {
    let scale = section.optional("scale", number(-LARGEST..=LARGEST));
    let offset = section.optional("offset", number(-LARGEST..=LARGEST));
    let raw = section.optional("raw_range", range());
    let value = section.optional("value_range", range());
    let (scale, offset, raw, value) = (scale?, offset?, raw?, value?);
    if scale.is_some_and(|scale| scale.abs() < f64::MIN_POSITIVE) {
        section.problem("scale", "0", "a scale other than 0");
        return None;
    }
    let [raw, value] = match (raw, value) {
        (None, None) => {
            let written = scale.is_some() || offset.is_some();
            let linear = Scaling::Linear { scale: scale.unwrap_or(1.0), offset: offset.unwrap_or(0.0) };
            return Some(if written { linear } else { Scaling::Unsaid });
        }
        (Some(raw), Some(value)) => [raw, value],
        (Some(_), None) => {
            section.problem("value_range", "nothing", "the values at both ends of raw_range, as [0, 200]");
            return None;
        }
        (None, Some(_)) => {
            section.problem(
                "raw_range",
                "nothing",
                "the raw numbers at both ends of value_range, as [4000, 20000]",
            );
            return None;
        }
    };
    if scale.is_some() || offset.is_some() {
        let key = if scale.is_some() { "scale" } else { "offset" };
        section.problem(key, "raw_range as well", "either scale and offset, or raw_range and value_range");
        return None;
    }
    let ([raw_low, raw_high], [low, high]) = (raw, value);
    let scale = (high - low) / (raw_high - raw_low);
    if scale.abs() < f64::MIN_POSITIVE || !scale.is_finite() {
        section.problem("value_range", "a scale that is no number", "ends that are farther apart");
        return None;
    }
    Some(Scaling::Linear { scale, offset: low - raw_low * scale })
}

/// Both ends of a range, which may fall.
fn range<'c>() -> Check<'c, [f64; 2]> {
    let inner = number(-LARGEST..=LARGEST);
    Check::new("two different numbers, as [4000, 20000]", move |value| {
        let ValueKind::Array(ends) = value else { return None };
        let [low, high] = ends.as_slice() else { return None };
        let (low, high) = (inner.apply(&low.kind)?, inner.apply(&high.kind)?);
        ((high - low).abs() > 0.0).then_some([low, high])
    })
}

fn unit<'c>() -> Check<'c, Unit> {
    let names = Unit::ALL.map(Unit::name);
    text(&format!("one of the units {}", names.join(" ")), Unit::named)
}

/// The channel's own unit, where it is another than the analyser's: `convert_to`, `molar_mass_g_mol`.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    to: Option<Unit>,
    molar_mass: Option<f64>,
}

/// Reads what is written of it.
pub fn target(section: &mut Section<'_>) -> Option<Target> {
    let to = section.optional("convert_to", unit());
    let molar_mass = section.optional("molar_mass_g_mol", number(1.0..=1000.0));
    Some(Target { to: to?, molar_mass: molar_mass? })
}

impl Signal {
    /// What the channel in `section` adds to a template's point. Nothing is said twice.
    pub fn completed(self, section: &Section<'_>, by: Signal) -> Option<Signal> {
        let first = SCALING.into_iter().find(|key| section.has(key)).unwrap_or("scale");
        let twice = [
            (first, self.scaling.is_said() && by.scaling.is_said()),
            ("raw_min", self.under.is_some() && by.under.is_some()),
            ("raw_max", self.over.is_some() && by.over.is_some()),
            ("unit", self.unit.is_some() && by.unit.is_some()),
        ];
        for (key, _) in twice.into_iter().filter(|(_, twice)| *twice) {
            let found = "what the template's point says already";
            section.problem(
                key,
                found,
                "nothing here, or a channel with its own registers instead of `point`",
            );
        }
        if twice.iter().any(|(_, twice)| *twice) {
            return None;
        }
        Some(Signal {
            scaling: if self.scaling.is_said() { self.scaling } else { by.scaling },
            under: self.under.or(by.under),
            over: self.over.or(by.over),
            unit: self.unit.or(by.unit),
        })
    }

    /// The two ends must leave something between them.
    pub fn check_ends(&self, section: &Section<'_>) {
        if let (Some(under), Some(over)) = (self.under, self.over)
            && under >= over
        {
            section.problem("raw_max", &over.to_string(), &format!("more than raw_min = {under}"));
        }
    }

    /// With the unit that the channel in `section` converts to.
    pub fn conversion(&self, section: &Section<'_>, target: Target) -> Option<Conversion> {
        let unit = self.unit_conversion(section, target)?;
        let (scale, offset) = match self.scaling {
            Scaling::Unsaid => (1.0, 0.0),
            Scaling::Linear { scale, offset } => (scale, offset),
        };
        Some(Conversion { scale, offset, under: self.under, over: self.over, unit })
    }

    fn unit_conversion(
        &self,
        section: &Section<'_>,
        Target { to, molar_mass }: Target,
    ) -> Option<UnitConversion> {
        let Some(to) = to else {
            if molar_mass.is_some() {
                section.problem(
                    "molar_mass_g_mol",
                    "no convert_to",
                    "a molar mass only together with convert_to",
                );
                return None;
            }
            return Some(UnitConversion::NONE);
        };
        let Some(from) = self.unit else {
            let found = format!("{:?} without `unit`", to.name());
            section.problem("convert_to", &found, "also `unit`, in which the analyser gives the value");
            return None;
        };
        match UnitConversion::between(from, to, molar_mass) {
            Ok(conversion) => Some(conversion),
            Err(reason) => {
                let (key, allowed) = match reason {
                    NoConversion::OtherQuantity { .. } => (
                        "convert_to",
                        "two units of one quantity, or a fraction (ppm) and a mass concentration (mg/m3)",
                    ),
                    NoConversion::NoMolarMass { .. } => (
                        "molar_mass_g_mol",
                        "the molar mass as which the gas is counted: SO2 64.06, NOx as NO2 46, CO 28.01",
                    ),
                    NoConversion::NeedlessMolarMass { .. } => {
                        ("molar_mass_g_mol", "no molar mass, which is for ppm <-> mg/m3 and the like")
                    }
                };
                section.problem(key, &format!("that {reason}"), allowed);
                None
            }
        }
    }
}
