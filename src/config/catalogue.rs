//! Pollutants, rules and plant of several files, checked together. Reading is in the files of each kind; here they meet.

/// The checks that need more than one entry: unknown codes, overlapping times, units, bases.
mod link;
/// From the checked catalogue to the plant that calculations use.
mod plant;
/// Entries with their places, between reading and checking.
pub(in crate::config) mod written;

use std::sync::Arc;

use jiff::Timestamp;

use crate::config::document::{Document, Overlay};
use crate::config::kind::Source;
use crate::config::problem::Problems;
use crate::config::{plant as plant_file, pollutants, rules, seeds};
use crate::domain::history::History;
use crate::domain::law::Law;
use crate::domain::limit::Rule;
use crate::domain::plant::{ChannelCode, ChannelSettings, Enterprise, Gateway, OutletSettings};
use crate::domain::pollutant::Pollutant;

pub use crate::config::notify::{NotifyChannel, NotifyKind};
pub use plant::Dangling;
use written::Written;

/// The schemas that are checked together.
pub const SCHEMAS: [&str; 3] = ["pollutants/1", "rules/1", "plant/1"];

/// What the platform knows about the world, as far as files say it. Ids are 0 unless it comes from the store.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Catalogue {
    /// By code.
    pub pollutants: Vec<Pollutant>,
    /// By code and start; versions of one rule share the code and do not overlap.
    pub rules: Vec<Rule>,
    /// By code.
    pub enterprises: Vec<Enterprise>,
    /// By code.
    pub outlets: Vec<OutletEntry>,
    /// By name.
    pub gateways: Vec<Gateway>,
    /// By name.
    pub notify: Vec<NotifyChannel>,
    /// Marks, exemptions, checks, orders, assessments, quotas.
    pub law: Law,
}

/// An outlet with all its histories.
#[derive(Debug, Clone, PartialEq)]
pub struct OutletEntry {
    pub id: i32,
    pub code: Arc<str>,
    pub name: String,
    /// Credit code.
    pub enterprise: String,
    pub site: Site,
    pub settings: History<OutletSettings>,
    /// By name.
    pub analysers: Vec<(Arc<str>, History<Analyser>)>,
    /// By position.
    pub channels: Vec<(ChannelCode, History<ChannelSettings>)>,
    /// Which gateway speaks for it: one at a time.
    pub served_by: History<Arc<str>>,
}

/// Where an outlet stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Site {
    /// Degrees, east positive.
    pub longitude: f64,
    /// Degrees, north positive.
    pub latitude: f64,
    pub datum: Datum,
    pub stack_height_m: f64,
}

/// What coordinates refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datum {
    Cgcs2000,
    Wgs84,
}

impl Datum {
    pub const ALL: [Datum; 2] = [Datum::Cgcs2000, Datum::Wgs84];

    /// As written in files.
    pub const fn name(self) -> &'static str {
        match self {
            Datum::Cgcs2000 => "CGCS2000",
            Datum::Wgs84 => "WGS84",
        }
    }
}

/// One instrument, as its plate and papers say.
#[derive(Debug, Clone, PartialEq)]
pub struct Analyser {
    pub maker: String,
    pub model: String,
    pub serial_number: String,
    pub principle: String,
    pub range_note: Option<String>,
}

/// Reads and checks files of [`SCHEMAS`] together. Where no file of `pollutants/1` is among them, the built-in one is
/// taken as if it were.
///
/// # Errors
/// All problems of all files, by file and line.
pub fn parse(sources: &[Source]) -> Result<Catalogue, Problems> {
    let mut written = Written::default();
    let mut names_pollutants = false;
    for source in sources {
        names_pollutants |= read(source, &mut written);
    }
    if !names_pollutants {
        read(&seeds::pollutants(), &mut written);
    }
    let (catalogue, mut problems) = link::link(written);
    problems.sort();
    problems.dedup();
    if problems.is_empty() { Ok(catalogue) } else { Err(Problems(problems)) }
}

/// Reads one file; true when it is of `pollutants/1`.
fn read(source: &Source, written: &mut Written) -> bool {
    let document = match Document::parse(&source.file, &source.text, Overlay::None) {
        Ok(document) => document,
        Err(found) => {
            written.problems.extend(found.0);
            return false;
        }
    };
    let mut root = document.root();
    let words = SCHEMAS.map(|schema| (schema, schema));
    let schema = root.required("schema", crate::config::check::one_of(&words));
    match schema {
        Some("pollutants/1") => pollutants::read(&mut root, written),
        Some("rules/1") => rules::read(&mut root, written),
        Some("plant/1") => plant_file::read(&mut root, written),
        Some(_) | None => {}
    }
    drop(root);
    if let Err(mut found) = document.finish(Some(())) {
        if schema.is_none() {
            // Nothing else was read, so nothing else is unknown.
            found.0.retain(|problem| problem.key == "schema");
        }
        written.problems.extend(found.0);
    }
    schema == Some("pollutants/1")
}

/// Tables that are counted for people.
const NOUNS: [&str; 20] = [
    "pollutant",
    "rule",
    "enterprise",
    "outlet",
    "gateway",
    "notify",
    "source_rule",
    "marking",
    "mark",
    "review",
    "exemption",
    "check_plan",
    "check",
    "efficiency",
    "line",
    "order",
    "assessment",
    "furnace",
    "quota",
    "target",
];

/// How many entries of each kind a file has, for people: `3 outlets, 1 gateway`.
pub fn holds(source: &Source) -> String {
    let Ok(document) = Document::parse(&source.file, &source.text, Overlay::None) else {
        return String::new();
    };
    let mut root = document.root();
    NOUNS
        .into_iter()
        .map(|noun| (noun, root.tables(noun).len()))
        .filter(|(_, count)| *count > 0)
        .map(|(noun, count)| counted(noun, count))
        .collect::<Vec<String>>()
        .join(", ")
}

fn counted(noun: &str, count: usize) -> String {
    let noun = noun.replace('_', " ");
    match (count, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        (_, None) => format!("{count} {noun}s"),
    }
}

impl Catalogue {
    /// Outlets whose process at `at` no rule of the catalogue is about: they would never be judged.
    pub fn outlets_without_rules(&self, at: Timestamp) -> Vec<&str> {
        let judged = |outlet: &OutletEntry| {
            outlet
                .settings
                .at(at)
                .is_none_or(|settings| self.rules.iter().any(|rule| rule.process == settings.process))
        };
        self.outlets.iter().filter(|outlet| !judged(outlet)).map(|outlet| &*outlet.code).collect()
    }
}

#[cfg(test)]
mod tests;
