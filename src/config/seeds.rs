//! The files of `seeds/`, carried in the binary so that it works anywhere.

use crate::config::kind::Source;

const POLLUTANTS: (&str, &str) = ("seeds/pollutants.toml", include_str!("../../seeds/pollutants.toml"));
const RULES: (&str, &str) = ("seeds/rules.toml", include_str!("../../seeds/rules.toml"));
const SECTORS: (&str, &str) = ("seeds/rules-sectors.toml", include_str!("../../seeds/rules-sectors.toml"));
const TARGETS: (&str, &str) = ("seeds/targets.toml", include_str!("../../seeds/targets.toml"));
const DEMO: (&str, &str) = ("seeds/plant-demo.toml", include_str!("../../seeds/plant-demo.toml"));

fn source((file, text): (&str, &str)) -> Source {
    Source { file: file.to_owned(), text: text.to_owned() }
}

/// Factor codes of HJ 212-2017.
pub fn pollutants() -> Source {
    source(POLLUTANTS)
}

/// Limits with their documents.
pub fn rules() -> Source {
    source(RULES)
}

/// Limits of the sectors that [`rules`] does not have.
pub fn sectors() -> Source {
    source(SECTORS)
}

/// What cities aim at, with their documents.
pub fn targets() -> Source {
    source(TARGETS)
}

/// A plant that does not exist, for demonstrations and tests.
pub fn demonstration() -> Source {
    source(DEMO)
}
