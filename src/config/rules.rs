//! `rules/1`: the law's numbers, each with its document.
//!
//! ```toml
//! schema = "rules/1"
//! [[rule]]
//! code = "example-so2"
//! name = "Example ultra-low, SO2"
//! document = "Example plan"         # and where in it:
//! clause = "section IV (3)"
//! mark = "V"                        # how sure: V read in the document, V2 second hand, M from memory, ? doubtful
//! kind = "assessment"               # violation, assessment, order
//! division = "4108"                 # prefix of the division; "" is everywhere
//! industry = "C3011"                # prefix of GB/T 4754; absent is every industry
//! process = "cement-kiln"
//! pollutant = "a21026"
//! limit = 35                        # mg/m3
//! period = "hour"
//! reference_oxygen_percent = 10     # or excess_air; neither is no conversion
//! comparison = "full-value"
//! from = "2020-01-01T00:00:00+08:00"
//! until = "2030-01-01T00:00:00+08:00"   # absent: until further notice
//! early_warning_ratio = 1.0         # of the limit, for single scans
//! ```

use crate::config::catalogue::written::{Places, Written, WrittenRule};
use crate::config::check;
use crate::config::document::Section;
use crate::config::law;
use crate::config::plant::period::{code, dated};
use crate::config::pollutants::factor_code;
use crate::domain::limit::{AveragingPeriod, Comparison, Kind, Reference, Rule};

/// Reads every `[[rule]]`, and the lists that a jurisdiction may give beside them.
pub(in crate::config) fn read(root: &mut Section<'_>, written: &mut Written) {
    for mut section in root.tables("rule") {
        let places = Places::of(&section, &["code", "pollutant", "from"]);
        if let Some(rule) = rule(&mut section) {
            written.rules.push(WrittenRule { places, rule });
        }
    }
    law::read_shared(root, written);
}

fn rule(section: &mut Section<'_>) -> Option<Rule> {
    let kinds = Kind::ALL.map(|kind| (kind.name(), kind));
    let comparisons = Comparison::ALL.map(|comparison| (comparison.name(), comparison));
    let periods = AveragingPeriod::ALL.map(|period| (period.name(), period));
    let marks = ["V", "V2", "M", "?"].map(|mark| (mark, mark));

    let code = section.required("code", self::code());
    let name = section.required("name", check::any_text());
    let document = section.required("document", check::any_text());
    let clause = section.required("clause", check::any_text());
    let mark = section.required("mark", check::one_of(&marks));
    let kind = section.required("kind", check::one_of(&kinds));
    let division = section.required("division", division_prefix());
    let industry = section.with_default("industry", industry_prefix(), String::new());
    let process = section.required("process", self::code());
    let factor = section.required("pollutant", factor_code());
    let limit = section.required("limit", check::number(0.000_001..=1_000_000.0));
    let period = section.required("period", check::one_of(&periods));
    let reference = reference(section);
    let comparison = section.required("comparison", check::one_of(&comparisons));
    let ratio = section.with_default("early_warning_ratio", check::number(0.1..=10.0), 1.0);
    let limit = dated(section, limit);
    Some(Rule {
        id: 0,
        code: code?,
        name: name?,
        document: format!("{}, {}", document?, clause?),
        kind: kind?,
        mark: mark?.to_owned(),
        division: division?,
        industry: industry?,
        process: process?,
        factor: factor?,
        limit: limit?,
        period: period?,
        reference: reference?,
        comparison: comparison?,
        early_warning_ratio: ratio?,
    })
}

fn reference(section: &mut Section<'_>) -> Option<Reference> {
    let oxygen = section.optional("reference_oxygen_percent", check::number(0.0..=20.0))?;
    let air = section.optional("excess_air", check::number(1.0..=20.0))?;
    match (oxygen, air) {
        (None, None) => Some(Reference::None),
        (Some(oxygen), None) => Some(Reference::OxygenPercent(oxygen)),
        (None, Some(air)) => Some(Reference::ExcessAir(air)),
        (Some(_), Some(air)) => {
            let allowed = "either reference_oxygen_percent or excess_air, or neither for no conversion";
            section.problem("excess_air", &air.to_string(), allowed);
            None
        }
    }
}

pub(in crate::config) fn division_prefix<'c>() -> check::Check<'c, String> {
    check::text("0 to 6 digits, the beginning of a division code (\"\" is everywhere)", |text| {
        (text.len() <= 6 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.to_owned())
    })
}

pub(in crate::config) fn industry_prefix<'c>() -> check::Check<'c, String> {
    check::text("the beginning of a GB/T 4754 code, as \"C30\" or \"C3011\"", |text| {
        let (letter, digits) = text.split_at_checked(1)?;
        let valid = letter.bytes().all(|byte| byte.is_ascii_uppercase())
            && digits.len() <= 4
            && digits.bytes().all(|byte| byte.is_ascii_digit());
        valid.then(|| text.to_owned())
    })
}
