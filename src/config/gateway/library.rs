//! The templates that a configuration names, read from the folder beside it when they are first asked for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::config::document::Section;
use crate::config::gateway::reading::Mapped;
use crate::config::gateway::template::{self, Template, template_name};
use crate::config::problem::{Problem, Problems};

/// No configuration or template is larger; what is, is some other file.
const LARGEST: u64 = 16 * 1024 * 1024;
/// So many names are told to whom names a template that is not there.
const TOLD: usize = 40;

/// Templates by name, each read once.
pub struct Library {
    /// The configuration's own folder; none for one that is in no file.
    beside: Option<PathBuf>,
    folder: PathBuf,
    read: BTreeMap<String, Read>,
    problems: Vec<Problem>,
}

struct Read {
    text: String,
    /// `None` when there are problems in it.
    template: Option<Rc<Template>>,
}

impl Library {
    /// For a configuration in this folder.
    pub fn beside(folder: &Path) -> Library {
        Library { beside: Some(folder.to_owned()), ..Library::none() }
    }

    /// For one that is in no file.
    pub const fn none() -> Library {
        Library { beside: None, folder: PathBuf::new(), read: BTreeMap::new(), problems: Vec::new() }
    }

    /// Where the configuration says that they are, from its own folder on.
    pub fn look_in(&mut self, folder: &str) {
        self.folder = self.beside.as_deref().unwrap_or(Path::new("")).join(folder);
    }

    /// The template that an analyser names under `template`.
    pub fn of(&mut self, analyser: &mut Section<'_>) -> Mapped {
        match analyser.optional("template", template_name()) {
            Some(None) => Mapped::No,
            Some(Some(name)) => self.named(analyser, name).map_or(Mapped::Wrong, Mapped::By),
            None => Mapped::Wrong,
        }
    }

    fn named(&mut self, analyser: &Section<'_>, name: String) -> Option<Rc<Template>> {
        if let Some(read) = self.read.get(&name) {
            return read.template.clone();
        }
        if self.beside.is_none() {
            let found = format!("{name:?} in a configuration that is in no file");
            analyser.problem("template", &found, "no template: write the registers at each channel");
            return None;
        }
        let path = self.folder.join(format!("{name}.toml"));
        let text = match text_of(&path) {
            Ok(text) => text,
            Err(problems) => {
                let found = problems
                    .0
                    .into_iter()
                    .map(|problem| format!("{name:?}, but {}: {}", problem.file, problem.found));
                analyser.problem("template", &found.collect::<String>(), &self.there());
                return None;
            }
        };
        let template = match template::parse(&path.display().to_string(), &text) {
            Ok(template) => Some(Rc::new(template)),
            Err(problems) => {
                self.problems.extend(problems.0);
                None
            }
        };
        self.read.insert(name, Read { text, template: template.clone() });
        template
    }

    /// What is in the folder, for a remedy.
    fn there(&self) -> String {
        let folder = self.folder.display();
        let Ok(entries) = std::fs::read_dir(&self.folder) else {
            return format!(
                "the name of a template in the folder {folder}, which is not there (gateway.templates_dir)"
            );
        };
        let paths = entries.flatten().map(|entry| entry.path());
        let templates = paths.filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
        let mut names: Vec<String> =
            templates.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
        names.sort();
        names.truncate(TOLD);
        format!("the name of a template in {folder}: {}", names.join(", "))
    }

    /// What was read, by name.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.read.iter().map(|(name, read)| (name.as_str(), read.text.as_str()))
    }

    /// All that is wrong in templates.
    pub fn into_problems(self) -> Vec<Problem> {
        self.problems
    }
}

/// The text of a file.
///
/// # Errors
/// One problem.
pub fn text_of(path: &Path) -> Result<String, Problems> {
    let failed = |found: String| {
        Problems(vec![Problem {
            file: path.display().to_string(),
            line: None,
            key: "file".to_owned(),
            found,
            allowed: "a readable text file".to_owned(),
        }])
    };
    let size =
        std::fs::metadata(path).map_err(|error| failed(format!("that it cannot be read: {error}")))?.len();
    if size > LARGEST {
        return Err(failed(format!("{size} bytes, more than {LARGEST}")));
    }
    std::fs::read_to_string(path).map_err(|error| failed(format!("that it cannot be read: {error}")))
}
