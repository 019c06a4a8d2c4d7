//! `schema = "analyser/1"`: the map of an analyser's registers, for every plant that has one. config/analysers/ holds those that come with
//! the program; docs/gateway.md says how to write one.

use crate::config::check::{self, Check, any_text, text};
use crate::config::document::{Document, Overlay, Section};
use crate::config::gateway::reading::{
    Signal, Trust, checks, named_once, signal, statuses, trust, value_place,
};
use crate::config::gateway::{Blocks, Place, StatusRegister};
use crate::config::problem::Problems;

/// The longest answer that the protocol has room for.
const WHOLE_REQUEST: Blocks = Blocks { max_registers: 125, max_gap: 0 };

/// A template, checked.
#[derive(Debug, Clone)]
pub struct Template {
    pub maker: String,
    pub model: String,
    pub origin: Origin,
    /// After those of the analyser itself.
    pub statuses: Vec<StatusRegister>,
    pub checks: Vec<crate::config::gateway::Check>,
    pub(super) points: Vec<Point>,
}

/// Where the map is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A document that everybody can read: what it is, and its address.
    Source(String),
    /// Invented, to show the form.
    Example,
}

/// One quantity that the analyser measures.
#[derive(Debug, Clone)]
pub(super) struct Point {
    pub name: String,
    pub place: Place,
    pub signal: Signal,
    pub trust: Trust,
}

impl Template {
    /// The names of its points.
    pub fn points(&self) -> impl Iterator<Item = &str> {
        self.points.iter().map(|point| point.name.as_str())
    }
}

/// Reads a template.
///
/// # Errors
/// All problems at once.
pub fn parse(file: &str, text: &str) -> Result<Template, Problems> {
    let document = Document::parse(file, text, Overlay::None)?;
    let built = template(&mut document.root());
    document.finish(built)
}

/// The name of a template: its file without `.toml`.
pub fn template_name<'c>() -> Check<'c, String> {
    text("the name of a template: 1 to 64 of a-z, 0-9 and '-', without \".toml\"", |text| {
        is_name(text, 64, b"-").then(|| text.to_owned())
    })
}

fn is_name(text: &str, longest: usize, marks: &[u8]) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || marks.contains(&byte);
    (1..=longest).contains(&text.len()) && text.bytes().all(plain)
}

fn template(root: &mut Section<'_>) -> Option<Template> {
    let schema = root.required("schema", check::one_of(&[("analyser/1", ())]));
    let maker = root.required("maker", any_text());
    let model = root.required("model", any_text());
    let origin = origin(root);
    let statuses = statuses(root);
    let checks = checks(root, WHOLE_REQUEST);
    named_once(&checks, &[]);
    let checks = checks.into_iter().map(|(_section, check)| check).collect::<Option<_>>();
    let sections = root.tables("point");
    if sections.is_empty() && !root.has("point") {
        root.problem("point", "nothing", "at least one table [[point]]");
    }
    let mut points: Vec<Option<Point>> = Vec::new();
    for mut section in sections {
        let point = point(&mut section);
        if let Some(point) = &point
            && points.iter().flatten().any(|other| other.name == point.name)
        {
            section.problem("name", &format!("{:?} again", point.name), "each point of a template once");
        }
        points.push(point);
    }
    schema?;
    Some(Template {
        maker: maker?,
        model: model?,
        origin: origin?,
        statuses: statuses?,
        checks: checks?,
        points: points.into_iter().collect::<Option<_>>()?,
    })
}

/// Nobody can check a map whose origin is not told.
fn origin(root: &mut Section<'_>) -> Option<Origin> {
    let allowed = "the document that the map is from, with its address, as \"Maker, manual 4711, page 12, https://...\"";
    let source = root.optional(
        "source",
        text(allowed, |text| {
            let has_address = ["https://", "http://"].iter().any(|start| text.contains(start));
            (has_address && text.chars().count() <= 1000).then(|| text.to_owned())
        }),
    );
    let example = root.optional("example", check::boolean());
    match (source?, example?) {
        (Some(source), None) => Some(Origin::Source(source)),
        (None, Some(true)) => Some(Origin::Example),
        (None, Some(false)) => {
            root.problem("example", "false", "example = true, or instead of it `source`");
            None
        }
        (None, None) => {
            root.problem("source", "nothing", &format!("{allowed}; or example = true for what is invented"));
            None
        }
        (Some(_), Some(_)) => {
            root.problem("example", "both `source` and `example`", "one of them");
            None
        }
    }
}

fn point(section: &mut Section<'_>) -> Option<Point> {
    let name = section.required(
        "name",
        text("a name of 1 to 40 of a-z, 0-9, '_' and '-'", |text| {
            is_name(text, 40, b"_-").then(|| text.to_owned())
        }),
    );
    let place = value_place(section);
    let signal = signal(section);
    let trust = trust(section);
    let signal = signal?;
    signal.check_ends(section);
    Some(Point { name: name?, place: place?, signal, trust: trust? })
}

#[cfg(test)]
mod tests;
