//! `[[analyser]]`: a device on a line, with what holds for all of its channels.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use crate::config::check::{any_text, milliseconds, small};
use crate::config::document::Section;
use crate::config::gateway::library::Library;
use crate::config::gateway::reading::channels::channel_code;
use crate::config::gateway::reading::lines::{Lines, network_link};
use crate::config::gateway::reading::place::check_length;
use crate::config::gateway::reading::{checks, named_once, statuses};
use crate::config::gateway::template::Template;
use crate::config::gateway::{Analyser, Blocks, Channel, Check, Outlet};
use crate::domain::plant::ChannelCode;

/// An analyser as far as it is right, so that a channel of a faulty one is not called unknown.
pub struct Known<'d> {
    pub name: Option<String>,
    pub blocks: Option<Blocks>,
    pub analyser: Option<Analyser>,
    pub template: Mapped,
    section: Section<'d>,
    /// Sections of its checks, with the channels that they name.
    checks: Vec<(Section<'d>, Vec<ChannelCode>)>,
}

/// Whether an analyser has a template.
pub enum Mapped {
    /// It names none.
    No,
    /// It names one that cannot be used; that is told already.
    Wrong,
    By(Rc<Template>),
}

impl Mapped {
    fn template(&self) -> Option<&Template> {
        match self {
            Mapped::By(template) => Some(template),
            Mapped::No | Mapped::Wrong => None,
        }
    }
}

/// All analysers.
pub fn read<'d>(root: &mut Section<'d>, lines: &mut Lines<'d>, library: &mut Library) -> Vec<Known<'d>> {
    let sections = root.tables("analyser");
    if sections.is_empty() && !root.has("analyser") {
        root.problem("analyser", "nothing", "at least one table [[analyser]]");
    }
    let mut known: Vec<Known<'d>> = Vec::new();
    for mut section in sections {
        let name = section.required("name", any_text());
        if name.is_some() && known.iter().any(|other| other.name == name) {
            let allowed = "each analyser has a name of its own";
            section.problem("name", "a name that another analyser has", allowed);
        }
        known.push(analyser(section, name, lines, library));
    }
    known
}

fn analyser<'d>(
    mut section: Section<'d>,
    name: Option<String>,
    lines: &mut Lines<'d>,
    library: &mut Library,
) -> Known<'d> {
    let line = line(&mut section, lines);
    let unit = unit(&mut section, lines, line);
    let timeout = section.with_default("timeout_ms", milliseconds(10..=60_000), Duration::from_millis(400));
    let blocks = blocks(&mut section);
    let template = library.of(&mut section);
    let statuses = statuses(&mut section);
    let read = checks(&mut section, blocks.unwrap_or(Blocks::DEFAULT));
    named_once(&read, template.template().map_or(&[], |template| &template.checks));
    let mut own = Vec::new();
    let mut sections = Vec::new();
    for (mut section, check) in read {
        let channels = section.list("channels", channel_code());
        own.push(check.zip(channels.clone()).map(|(check, channels)| Check { channels, ..check }));
        sections.push((section, channels.unwrap_or_default()));
    }
    let mut built = built(line, unit, timeout).zip(name.clone()).zip(blocks).zip(statuses).map(
        |((((line, unit, timeout), name), blocks), statuses)| Analyser {
            name,
            line,
            unit,
            timeout,
            blocks,
            statuses,
            checks: Vec::new(),
        },
    );
    match (&mut built, own.into_iter().collect::<Option<Vec<Check>>>()) {
        (Some(analyser), Some(checks)) => analyser.checks = checks,
        _ => built = None,
    }
    if let (Some(analyser), Some(template)) = (&mut built, template.template()) {
        // What is written here comes first.
        analyser.statuses.extend(template.statuses.iter().cloned());
        for check in &template.checks {
            check_length(&section, "template", check.place, analyser.blocks);
        }
        analyser.checks.extend(template.checks.iter().cloned());
    }
    Known { name, blocks, analyser: built, template, section, checks: sections }
}

fn built(line: Option<usize>, unit: Option<u8>, timeout: Option<Duration>) -> Option<(usize, u8, Duration)> {
    Some((line?, unit?, timeout?))
}

/// Index of its line.
fn line(section: &mut Section<'_>, lines: &mut Lines<'_>) -> Option<usize> {
    let name = section.optional("line", any_text());
    let link = section.optional("link", network_link());
    match (name?, link?) {
        (Some(name), None) => {
            let index = lines.named(&name);
            if index.is_none() {
                section.problem(
                    "line",
                    &format!("{name:?}"),
                    &format!("the name of a [[line]]: {}", lines.names()),
                );
            }
            index
        }
        (None, Some(link)) => lines.with_link(section, link),
        (Some(_), Some(_)) => {
            section.problem("link", "both `line` and `link`", "one of them: the line has the link");
            None
        }
        (None, None) => {
            let allowed =
                "link = \"tcp://HOST:PORT\" or \"rtu+tcp://HOST:PORT\", or line = the name of a [[line]]";
            section.problem("link", "nothing", allowed);
            None
        }
    }
}

fn unit(section: &mut Section<'_>, lines: &Lines<'_>, line: Option<usize>) -> Option<u8> {
    let unit = section.with_default("unit", small::<u8>(0..=255), 1)?;
    let is_rtu = line.and_then(|line| lines.line(line)).is_some_and(|line| line.link.is_rtu());
    if is_rtu && !(1..=247).contains(&unit) {
        let allowed = "1 to 247 on an RTU line, where 0 is for all devices and is never answered";
        section.problem("unit", &unit.to_string(), allowed);
        return None;
    }
    Some(unit)
}

fn blocks(section: &mut Section<'_>) -> Option<Blocks> {
    let defaults = Blocks::DEFAULT;
    let max_registers = section.with_default("max_registers", small(1..=125), defaults.max_registers);
    let max_gap = section.with_default("max_gap", small(0..=120), defaults.max_gap);
    Some(Blocks { max_registers: max_registers?, max_gap: max_gap? })
}

/// What shows only when all is read: devices that answer to the same number, lines that are too quick for them, and checks for
/// channels that are another's.
pub fn check_together(analysers: &[Known<'_>], lines: &Lines<'_>, outlets: Option<&[Outlet]>) {
    let mut taken: BTreeMap<(usize, u8), &str> = BTreeMap::new();
    for (index, Known { section, analyser, checks, .. }) in analysers.iter().enumerate() {
        if let Some(analyser) = analyser {
            if let Some(other) = taken.insert((analyser.line, analyser.unit), &analyser.name) {
                section.problem(
                    "unit",
                    &format!("{}, which {other:?} has on the same line", analyser.unit),
                    "each device once on a line: channels of one device belong to one [[analyser]]",
                );
            }
            lines.check_slowest(analyser.line, section, analyser.timeout);
        }
        let Some(outlets) = outlets else { continue };
        let channels = outlets.iter().flat_map(|outlet| &outlet.channels);
        let own = channels.filter(|channel| channel.analyser() == Some(index));
        let own: BTreeSet<ChannelCode> = own.map(|channel: &Channel| channel.code).collect();
        for (section, named) in checks {
            if let Some(foreign) = named.iter().find(|code| !own.contains(code)) {
                let own: Vec<&str> = own.iter().map(ChannelCode::as_str).collect();
                section.problem(
                    "channels",
                    &format!("\"{foreign}\", which is not asked from this analyser"),
                    &format!(
                        "channels of this analyser: {}; or no `channels` for all of them",
                        own.join(", ")
                    ),
                );
            }
        }
    }
}
