//! The kinds of document, by their `schema`: the one place that lists them.

use std::path::Path;

use crate::config::check;
use crate::config::document::{Document, Overlay};
use crate::config::problem::{Place, Problems};
use crate::config::{catalogue, central, gateway, scenario};

/// A file with its text, as handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// As the caller named it.
    pub file: String,
    pub text: String,
}

/// What a clean file holds.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    pub file: String,
    pub schema: String,
    /// For people: `3 outlets, 24 channels`.
    pub holds: String,
}

/// Every schema that this version reads.
pub const KNOWN: [&str; 7] =
    ["gateway/1", "analyser/1", "central/1", "plant/1", "rules/1", "pollutants/1", "scenario/1"];

/// Checks one file by itself, as its `schema` says; a gateway's with the templates beside it. Codes that a plant or rules file takes from others are looked up in
/// the built-in pollutants; see [`catalogue::parse`] for several files together.
///
/// # Errors
/// All problems of the file.
pub fn check_file(file: &str, text: &str) -> Result<Summary, Problems> {
    let schema = schema(file, text)?;
    let holds = match schema.as_str() {
        "pollutants/1" | "rules/1" | "plant/1" => {
            let source = Source { file: file.to_owned(), text: text.to_owned() };
            let sources = [source];
            catalogue::parse(&sources)?;
            sources.iter().map(catalogue::holds).collect()
        }
        "gateway/1" => {
            let gateway = gateway::parse_beside(Path::new(file), text)?;
            format!("{} analysers, {} outlets", gateway.analysers.len(), gateway.outlets.len())
        }
        "analyser/1" => {
            let template = gateway::template::parse(file, text)?;
            format!("{} {}, {} points", template.maker, template.model, template.points().count())
        }
        "central/1" => {
            central::parse(file, text)?;
            "a centre".to_owned()
        }
        "scenario/1" => format!("{} outlets", scenario::parse(file, text)?.outlets.len()),
        unknown => return Err(unknown_schema(file, text, unknown)),
    };
    Ok(Summary { file: file.to_owned(), schema, holds })
}

/// Checks several files: plants, rules and pollutants together, every other by itself.
///
/// # Errors
/// All problems of all files, by file and line.
pub fn check_files(sources: &[Source]) -> Result<Vec<Summary>, Problems> {
    let mut summaries = Vec::new();
    let mut problems = Vec::new();
    let (data, others): (Vec<&Source>, Vec<&Source>) = sources.iter().partition(|source| {
        schema(&source.file, &source.text).is_ok_and(|schema| catalogue::SCHEMAS.contains(&&*schema))
    });
    for source in others {
        match check_file(&source.file, &source.text) {
            Ok(summary) => summaries.push(summary),
            Err(found) => problems.extend(found.0),
        }
    }
    if !data.is_empty() {
        let data: Vec<Source> = data.into_iter().cloned().collect();
        match catalogue::parse(&data) {
            Ok(_clean) => {
                for source in data {
                    let schema = schema(&source.file, &source.text)?;
                    let holds = catalogue::holds(&source);
                    summaries.push(Summary { file: source.file, schema, holds });
                }
            }
            Err(found) => problems.extend(found.0),
        }
    }
    problems.sort();
    // A template's, when it is named itself as well.
    problems.dedup();
    if problems.is_empty() { Ok(summaries) } else { Err(Problems(problems)) }
}

/// The `schema` of a document, known or not.
///
/// # Errors
/// No TOML, or no text under `schema`.
pub fn schema(file: &str, text: &str) -> Result<String, Problems> {
    let document = Document::parse(file, text, Overlay::None)?;
    let mut root = document.root();
    let schema = root.required("schema", check::any_text());
    let place = root.place("schema");
    schema.ok_or_else(|| Problems(vec![place.problem("no text", allowed())]))
}

fn unknown_schema(file: &str, text: &str, found: &str) -> Problems {
    // The line of the key, where it is written.
    let place = match Document::parse(file, text, Overlay::None) {
        Ok(document) => document.root().place("schema"),
        Err(_no_toml) => first_line(file),
    };
    Problems(vec![place.problem(format!("{found:?}"), allowed())])
}

fn first_line(file: &str) -> Place {
    Place { file: file.to_owned(), line: 1, key: "schema".to_owned() }
}

fn allowed() -> String {
    let known: Vec<String> = KNOWN.iter().map(|schema| format!("{schema:?}")).collect();
    format!("one of {}, at the top of the file", known.join(", "))
}
