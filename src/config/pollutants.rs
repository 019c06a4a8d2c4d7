//! `pollutants/1`: what HJ 212 factor codes mean.
//!
//! ```toml
//! schema = "pollutants/1"
//! [[pollutant]]
//! code = "a21026"          # HJ 212-2017 table B.2
//! symbol = "SO2"
//! name_en = "Sulphur dioxide"
//! name_zh = "二氧化硫"
//! role = "pollutant"       # what it is to the calculations
//! unit = "mg/m3"
//! molar_mass = 64.06       # g/mol, where it may be measured in ppm
//! ```

use crate::config::catalogue::written::Written;
use crate::config::check;
use crate::config::document::Section;
use crate::domain::plant::{ChannelCode, Unit};
use crate::domain::pollutant::{Factor, Pollutant, Role};

/// Reads every `[[pollutant]]`.
pub(in crate::config) fn read(root: &mut Section<'_>, written: &mut Written) {
    for mut section in root.tables("pollutant") {
        let place = section.place("code");
        let code = section.required("code", factor_code());
        if let Some(code) = &code {
            written.declare("pollutant", code, &place);
        }
        if let (Some(code), Some(pollutant)) = (code, pollutant(&mut section)) {
            let factor = Factor { code, ..pollutant.factor };
            written.pollutants.push(Pollutant { factor, ..pollutant });
        }
    }
}

/// Everything but the code.
fn pollutant(section: &mut Section<'_>) -> Option<Pollutant> {
    let roles = Role::ALL.map(|role| (role.name(), role));
    let symbol = section.required("symbol", check::any_text());
    let name_en = section.required("name_en", check::any_text());
    let name_zh = section.required("name_zh", check::any_text());
    let role = section.required("role", check::one_of(&roles));
    let unit = section.required("unit", unit());
    let molar_mass = section.optional("molar_mass", check::number(1.0..=1000.0));
    if let (Some(role), Some(unit)) = (role, unit)
        && !role.units().contains(&unit)
    {
        section.problem("unit", &format!("{:?}", unit.name()), &units_of(role));
        return None;
    }
    let factor = Factor { code: String::new(), symbol: symbol?, role: role?, molar_mass: molar_mass? };
    Some(Pollutant { factor, name_en: name_en?, name_zh: name_zh?, unit: unit? })
}

/// A factor code without suffix.
pub(in crate::config) fn factor_code<'c>() -> check::Check<'c, String> {
    check::text("a factor code of HJ 212: one small letter and five digits, as \"a21026\"", |text| {
        ChannelCode::new(text).filter(|code| code.factor() == text).map(|_| text.to_owned())
    })
}

/// A unit by its written name.
pub(in crate::config) fn unit<'c>() -> check::Check<'c, Unit> {
    let names: Vec<String> = Unit::ALL.iter().map(|unit| format!("{:?}", unit.name())).collect();
    check::text(&format!("one of {}", names.join(", ")), Unit::from_name)
}

/// The units of a role, for the message.
pub(in crate::config) fn units_of(role: Role) -> String {
    let names: Vec<String> = role.units().iter().map(|unit| format!("{:?}", unit.name())).collect();
    format!("a unit that fits the role {:?}: {}", role.name(), names.join(", "))
}
