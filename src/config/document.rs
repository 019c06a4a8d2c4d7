//! A configuration file as written: a tree of values with their lines, overlaid by the environment
//! (`CEMS__SECTION__KEY`), read section by section. Reading never stops at the first problem.
//!
//! ```ignore
//! let document = Document::parse("gateway.toml", text, Overlay::Environment)?;
//! let mut root = document.root();
//! let mut mqtt = root.table("mqtt");
//! let url = mqtt.required("url", check::text("mqtt://HOST[:PORT]", |url| parse_url(url)));
//! drop((mqtt, root)); // dropping a section reports its unknown keys
//! document.finish(build(url))?
//! ```
//! Each read returns an `Option`: `None` means that a problem is noted (or that an optional value is absent).

/// Which line each value stands in.
mod lines;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use config::{Value, ValueKind};

use crate::config::check::Check;
use crate::config::problem::{Place, Problem, Problems};

use lines::{LineEnds, note_lines};

/// Whether environment variables may replace values of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlay {
    /// For configurations of a role.
    Environment,
    /// For data: plants, rules, scenarios.
    None,
}

/// One file, being read.
#[derive(Debug)]
pub struct Document {
    file: String,
    root: Value,
    lines: BTreeMap<String, usize>,
    overlaid: BTreeMap<String, String>,
    problems: RefCell<Vec<Problem>>,
}

impl Document {
    /// Parses the text of `file`.
    ///
    /// # Errors
    /// One problem with line and column when the text is no TOML, or when an environment variable cannot be laid over it.
    pub fn parse(file: &str, text: &str, overlay: Overlay) -> Result<Document, Problems> {
        let table = toml::de::DeTable::parse(text).map_err(|error| {
            let (line, column) = error.span().map_or((1, 1), |span| line_and_column(text, span.start));
            let problem = Problem {
                file: file.to_owned(),
                line: Some(line),
                key: format!("column {column}"),
                found: "text that is no TOML".to_owned(),
                allowed: error.message().replace('\n', " "),
            };
            Problems(vec![problem])
        })?;
        let mut places = BTreeMap::new();
        note_lines(&LineEnds::of(text), "", table.get_ref(), &mut places);
        // A large configuration takes much room as a tree; it is not held twice.
        drop(table);
        let environment = match overlay {
            Overlay::Environment => environment(),
            Overlay::None => Vec::new(),
        };
        let merged = merge(text, &environment).map_err(|error| {
            Problems(vec![Problem {
                file: file.to_owned(),
                line: None,
                key: "environment".to_owned(),
                found: "settings that cannot be combined".to_owned(),
                allowed: error.to_string(),
            }])
        })?;
        let overlaid = environment.into_iter().collect();
        Ok(Document {
            file: file.to_owned(),
            root: merged,
            lines: places,
            overlaid,
            problems: RefCell::new(Vec::new()),
        })
    }

    /// The outermost section.
    pub fn root(&self) -> Section<'_> {
        let entries = if let ValueKind::Table(entries) = &self.root.kind { Some(entries) } else { None };
        Section { document: self, path: String::new(), entries, read: BTreeSet::new() }
    }

    /// Values that the environment laid over the file, by key path.
    pub fn overlaid(&self) -> &BTreeMap<String, String> {
        &self.overlaid
    }

    /// Whether any problem was noted so far.
    pub fn is_clean(&self) -> bool {
        self.problems.borrow().is_empty()
    }

    /// Notes problems of other files that this one uses.
    pub fn also(&self, problems: Vec<Problem>) {
        self.problems.borrow_mut().extend(problems);
    }

    /// What was built, if nothing was wrong.
    ///
    /// # Errors
    /// All problems, those of the file first, sorted by line.
    pub fn finish<T>(self, built: Option<T>) -> Result<T, Problems> {
        let mut problems = self.problems.into_inner();
        let order =
            |a: &Problem| (a.line.is_some() && a.file != self.file, a.file.clone(), a.line, a.key.clone());
        problems.sort_by_cached_key(order);
        problems.dedup();
        match built {
            Some(built) if problems.is_empty() => Ok(built),
            Some(_) | None => {
                if problems.is_empty() {
                    problems.push(Problem {
                        file: self.file,
                        line: None,
                        key: "document".to_owned(),
                        found: "an incomplete document".to_owned(),
                        allowed: "every required key".to_owned(),
                    });
                }
                Err(Problems(problems))
            }
        }
    }

    fn note(&self, path: &str, found: String, allowed: String) {
        let variable = format!("CEMS__{}", path.to_uppercase().replace('.', "__"));
        let overlaid = self.overlaid.contains_key(&path.to_lowercase());
        let (file, line) =
            if overlaid { (variable, None) } else { (self.file.clone(), Some(self.line_of(path))) };
        self.problems.borrow_mut().push(Problem { file, line, key: path.to_owned(), found, allowed });
    }

    /// The line of the key, or of the closest table around it.
    fn line_of(&self, path: &str) -> usize {
        let mut path = path;
        loop {
            if let Some(line) = self.lines.get(path) {
                return *line;
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = path.get(..end).unwrap_or_default(),
                None => return 1,
            }
        }
    }
}

/// One table of a document. Dropping it reports keys that nobody read.
#[derive(Debug)]
pub struct Section<'d> {
    document: &'d Document,
    path: String,
    entries: Option<&'d config::Map<String, Value>>,
    read: BTreeSet<String>,
}

#[expect(clippy::needless_pass_by_value, reason = "checks are made where they are used")]
impl<'d> Section<'d> {
    /// The section's own key path; empty for the root.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The file as it was named.
    pub fn file(&self) -> &'d str {
        &self.document.file
    }

    /// Line at which the section begins.
    pub fn line(&self) -> usize {
        self.document.line_of(&self.path)
    }

    fn key_path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn entry(&mut self, key: &str) -> Option<&'d Value> {
        self.read.insert(key.to_owned());
        self.entries?.get(key).filter(|value| !matches!(value.kind, ValueKind::Nil))
    }

    /// A value that must be there.
    pub fn required<T>(&mut self, key: &str, check: Check<'_, T>) -> Option<T> {
        if let Some(value) = self.entry(key) {
            return self.checked(key, value, &check);
        }
        // A missing section has been reported already.
        if self.entries.is_some() {
            self.problem(key, "nothing", check.allowed());
        }
        None
    }

    /// A value that may be absent: `Some(None)` then, `None` only after a problem.
    pub fn optional<T>(&mut self, key: &str, check: Check<'_, T>) -> Option<Option<T>> {
        match self.entry(key) {
            Some(value) => self.checked(key, value, &check).map(Some),
            None => Some(None),
        }
    }

    /// A value with a default.
    pub fn with_default<T>(&mut self, key: &str, check: Check<'_, T>, default: T) -> Option<T> {
        match self.entry(key) {
            Some(value) => self.checked(key, value, &check),
            None => Some(default),
        }
    }

    /// A list of values, empty when absent. Each element is checked by itself.
    pub fn list<T>(&mut self, key: &str, check: Check<'_, T>) -> Option<Vec<T>> {
        let Some(value) = self.entry(key) else { return Some(Vec::new()) };
        let ValueKind::Array(elements) = &value.kind else {
            self.problem(key, &shown(value), &format!("a list, each element: {}", check.allowed()));
            return None;
        };
        let checked: Vec<Option<T>> = elements
            .iter()
            .enumerate()
            .map(|(index, element)| self.checked(&format!("{key}[{index}]"), element, &check))
            .collect();
        checked.into_iter().collect()
    }

    /// A table that must be there. When it is not, that is noted once and every read in it gives `None`.
    #[must_use]
    pub fn table(&mut self, key: &str) -> Section<'d> {
        let section = self.optional_table(key);
        if section.is_none() && self.entries.is_some() && !self.was_wrong_kind(key) {
            self.problem(key, "nothing", &format!("a table [{}]", self.key_path(key)));
        }
        section.unwrap_or(Section {
            document: self.document,
            path: self.key_path(key),
            entries: None,
            read: BTreeSet::new(),
        })
    }

    fn was_wrong_kind(&self, key: &str) -> bool {
        self.entries
            .and_then(|entries| entries.get(key))
            .is_some_and(|value| !matches!(value.kind, ValueKind::Nil))
    }

    /// A table that may be absent.
    pub fn optional_table(&mut self, key: &str) -> Option<Section<'d>> {
        let value = self.entry(key)?;
        let path = self.key_path(key);
        if let ValueKind::Table(entries) = &value.kind {
            return Some(Section {
                document: self.document,
                path,
                entries: Some(entries),
                read: BTreeSet::new(),
            });
        }
        self.problem(key, &shown(value), &format!("a table [{path}]"));
        None
    }

    /// All tables of an array of tables (`[[key]]`), empty when absent.
    pub fn tables(&mut self, key: &str) -> Vec<Section<'d>> {
        let Some(value) = self.entry(key) else { return Vec::new() };
        let path = self.key_path(key);
        let ValueKind::Array(elements) = &value.kind else {
            self.problem(key, &shown(value), &format!("tables [[{path}]]"));
            return Vec::new();
        };
        let mut sections = Vec::with_capacity(elements.len());
        for (index, element) in elements.iter().enumerate() {
            if let ValueKind::Table(entries) = &element.kind {
                let path = format!("{path}[{index}]");
                sections.push(Section {
                    document: self.document,
                    path,
                    entries: Some(entries),
                    read: BTreeSet::new(),
                });
            } else {
                self.problem(&format!("{key}[{index}]"), &shown(element), &format!("tables [[{path}]]"));
            }
        }
        sections
    }

    /// One table (`[key]`) or several (`[[key]]`), empty when absent.
    pub fn one_or_more(&mut self, key: &str) -> Vec<Section<'d>> {
        let value = self.entries.and_then(|entries| entries.get(key));
        if value.is_some_and(|value| matches!(value.kind, ValueKind::Table(_))) {
            return self.optional_table(key).into_iter().collect();
        }
        self.tables(key)
    }

    /// A key that means nothing here: refused where it is written, with the reason.
    pub fn refuse(&mut self, key: &str, allowed: &str) {
        if let Some(value) = self.entry(key) {
            self.problem(key, &shown(value), allowed);
        }
    }

    /// Whether the key is written at all.
    pub fn has(&self, key: &str) -> bool {
        self.entries.is_some_and(|entries| entries.contains_key(key))
    }

    /// Where a key of this section stands, for rules that need more than one file.
    pub fn place(&self, key: &str) -> Place {
        let key = self.key_path(key);
        Place { file: self.document.file.clone(), line: self.document.line_of(&key), key }
    }

    /// Notes a problem with one key of this section, for rules that need more than one value.
    pub fn problem(&self, key: &str, found: &str, allowed: &str) {
        self.document.note(&self.key_path(key), found.to_owned(), allowed.to_owned());
    }

    fn checked<T>(&self, key: &str, value: &Value, check: &Check<'_, T>) -> Option<T> {
        let result = check.apply(&value.kind);
        if result.is_none() {
            self.problem(key, &shown(value), check.allowed());
        }
        result
    }
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        let Some(entries) = self.entries else { return };
        let unknown = entries.keys().filter(|key| !self.read.contains(*key));
        for key in unknown {
            let mut known: Vec<&str> = self.read.iter().map(String::as_str).collect();
            known.sort_unstable();
            self.problem(key, "an unknown key", &format!("known here: {}", known.join(", ")));
        }
    }
}

/// A value as a person would recognise it; long ones are cut.
fn shown(value: &Value) -> String {
    let kind = &value.kind;
    let text = if let ValueKind::String(text) = kind {
        format!("{text:?}")
    } else if let ValueKind::Table(_) = kind {
        "a table".to_owned()
    } else if let ValueKind::Array(elements) = kind {
        format!("a list of {}", elements.len())
    } else {
        kind.to_string()
    };
    if text.chars().count() > 80 { text.chars().take(77).chain("...".chars()).collect() } else { text }
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// `CEMS__A__B=v` as (`a.b`, `v`); sorted. `CEMS_LOG` and the like (one underscore) are no settings.
fn environment() -> Vec<(String, String)> {
    let mut settings: Vec<(String, String)> = std::env::vars()
        .filter_map(|(name, value)| {
            let key = name.strip_prefix("CEMS__")?.to_lowercase().replace("__", ".");
            (!key.is_empty()).then_some((key, value))
        })
        .collect();
    settings.sort();
    settings
}

fn merge(text: &str, environment: &[(String, String)]) -> Result<Value, config::ConfigError> {
    let file = config::File::from_str(text, config::FileFormat::Toml);
    if environment.is_empty() {
        return Ok(Value::new(None, ValueKind::Table(config::Source::collect(&file)?)));
    }
    let mut builder = config::Config::builder().add_source(file);
    for (key, value) in environment {
        builder = builder.set_override(key, value.as_str())?;
    }
    Ok(builder.build()?.cache)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::check;

    const TEXT: &str = "name = \"x\"\n\n[mqtt]\nport = 70000\ncolour = 1\n\n[[analyser]]\nunit = 1\n\n[[analyser]]\nunit = 900\n";

    #[test]
    fn all_problems_are_found_with_line_and_key() {
        let document = Document::parse("f.toml", TEXT, Overlay::None).unwrap();
        let mut root = document.root();
        assert_eq!(root.required("name", check::any_text()), Some("x".to_owned()));
        let mut mqtt = root.table("mqtt");
        assert_eq!(mqtt.required("port", check::integer(1..=65535)), None);
        assert_eq!(mqtt.required("host", check::any_text()), None);
        drop(mqtt);
        for mut analyser in root.tables("analyser") {
            let _checked = analyser.required("unit", check::integer(1..=247));
        }
        let mut absent = root.table("database");
        assert_eq!(absent.required("url", check::any_text()), None);
        drop(absent);
        drop(root);
        let problems = document.finish(Some(())).unwrap_err();
        let found: Vec<(Option<usize>, &str)> = problems.0.iter().map(|p| (p.line, p.key.as_str())).collect();
        assert_eq!(
            found,
            [
                (Some(1), "database"),
                (Some(3), "mqtt.host"),
                (Some(4), "mqtt.port"),
                (Some(5), "mqtt.colour"),
                (Some(11), "analyser[1].unit")
            ]
        );
    }

    #[test]
    fn what_is_no_toml_names_line_and_column() {
        let problems = Document::parse("f.toml", "a = 1\nb = = 2\n", Overlay::None).unwrap_err();
        assert_eq!(problems.0[0].line, Some(2));
        assert!(problems.0[0].key.starts_with("column"));
    }
}
