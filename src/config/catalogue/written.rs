//! What the files say, entry by entry, each with its place: between reading one file and checking all together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::catalogue::{Analyser, NotifyChannel, Site};
use crate::config::document::Section;
use crate::config::law::WrittenLaw;
use crate::config::problem::{Place, Problem};
use crate::domain::history::Dated;
use crate::domain::limit::Rule;
use crate::domain::plant::{ChannelCode, ChannelSettings, Enterprise, OutletSettings};
use crate::domain::pollutant::Pollutant;

/// Everything that all files say.
#[derive(Debug, Default)]
pub(in crate::config) struct Written {
    pub pollutants: Vec<Pollutant>,
    pub rules: Vec<WrittenRule>,
    pub enterprises: Vec<Enterprise>,
    pub outlets: Vec<WrittenOutlet>,
    pub gateways: Vec<Arc<str>>,
    pub servings: Vec<WrittenServing>,
    pub notify: Vec<NotifyChannel>,
    pub law: WrittenLaw,
    pub problems: Vec<Problem>,
    /// Codes by noun, also of entries that are wrong otherwise, so that one mistake is one problem.
    declared: BTreeMap<(&'static str, String), Place>,
}

impl Written {
    /// Notes a code; a second entry of the same noun and code is a problem.
    pub fn declare(&mut self, noun: &'static str, code: &str, place: &Place) {
        if let Some(first) = self.declared.get(&(noun, code.to_owned())) {
            let allowed = format!("a code of its own for each {noun}; the first {code:?} is at {first}");
            self.problems.push(place.problem(format!("{code:?}"), allowed));
        } else {
            self.declared.insert((noun, code.to_owned()), place.clone());
        }
    }

    /// Notes the code of a noun whose entries have versions: the same code comes again with each.
    pub fn declare_version(&mut self, noun: &'static str, code: &str, place: &Place) {
        self.declared.entry((noun, code.to_owned())).or_insert_with(|| place.clone());
    }

    /// Whether such a code is declared in any file.
    pub fn knows(&self, noun: &'static str, code: &str) -> bool {
        self.declared.contains_key(&(noun, code.to_owned()))
    }

    /// Notes a problem at `place` unless the code is declared.
    pub fn require(&mut self, noun: &'static str, code: &str, place: &Place) -> bool {
        let known = self.knows(noun, code);
        if !known {
            let allowed =
                format!("the code of a {noun} in the files given together; add the entry or its file");
            self.problems.push(place.problem(format!("{code:?}"), allowed));
        }
        known
    }
}

/// Places of some keys of one section.
#[derive(Debug, Clone)]
pub(in crate::config) struct Places {
    section: Place,
    keys: Vec<(&'static str, Place)>,
}

impl Default for Places {
    fn default() -> Self {
        Places { section: Place { file: String::new(), line: 1, key: String::new() }, keys: Vec::new() }
    }
}

impl Places {
    pub fn of(section: &Section<'_>, keys: &[&'static str]) -> Places {
        let keys: Vec<(&'static str, Place)> = keys.iter().map(|key| (*key, section.place(key))).collect();
        let of_section =
            Place { file: section.file().to_owned(), line: section.line(), key: section.path().to_owned() };
        Places { section: of_section, keys }
    }

    /// The section itself.
    pub fn section(&self) -> &Place {
        &self.section
    }

    /// One of the keys given to [`Places::of`].
    pub fn at(&self, key: &str) -> &Place {
        self.keys.iter().find(|(name, _)| *name == key).map_or(&self.section, |(_, place)| place)
    }
}

/// A rule and where it stands.
#[derive(Debug)]
pub(in crate::config) struct WrittenRule {
    pub places: Places,
    pub rule: Rule,
}

/// An outlet with everything below it; `head` is `None` when its own keys are wrong.
#[derive(Debug, Default)]
pub(in crate::config) struct WrittenOutlet {
    pub places: Places,
    pub head: Option<Head>,
    pub settings: Vec<WrittenSetting>,
    pub analysers: Vec<WrittenAnalyser>,
    /// Also of analysers whose other keys are wrong.
    pub analyser_names: BTreeSet<Arc<str>>,
    pub channels: Vec<WrittenChannel>,
    /// Whether some setting, analyser or channel could not be read, so that its absence means nothing.
    pub faulty_entries: bool,
}

/// An outlet's own keys.
#[derive(Debug)]
pub(in crate::config) struct Head {
    pub code: Arc<str>,
    pub name: String,
    pub enterprise: String,
    pub site: Site,
}

#[derive(Debug)]
pub(in crate::config) struct WrittenSetting {
    pub places: Places,
    pub settings: Dated<OutletSettings>,
}

#[derive(Debug)]
pub(in crate::config) struct WrittenAnalyser {
    pub places: Places,
    pub name: Arc<str>,
    pub details: Dated<Analyser>,
}

#[derive(Debug)]
pub(in crate::config) struct WrittenChannel {
    pub places: Places,
    pub code: ChannelCode,
    pub names_moisture_basis: bool,
    pub names_state_basis: bool,
    pub settings: Dated<ChannelSettings>,
}

#[derive(Debug)]
pub(in crate::config) struct WrittenServing {
    pub places: Places,
    pub outlet: String,
    pub gateway: Arc<str>,
    pub times: Dated<()>,
}
