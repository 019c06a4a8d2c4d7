//! Event records: what happened at the gateway itself.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::clock;
use crate::gateway::assemble::Finding;
use crate::gateway::spool::keeper::State;
use crate::gateway::spool::witness::Witness;
use crate::mqtt::record::{Body, Event, Hash, event};

/// Characters of one detail that comes from elsewhere.
const DETAIL_CHARACTERS: usize = 400;

/// An event record's body, of this moment.
pub fn now<const N: usize>(name: &str, detail: [(&str, String); N]) -> Body {
    let time = clock::now();
    let detail: BTreeMap<String, String> =
        detail.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let at = Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time);
    Body::Event(Event { at, event: name.to_owned(), detail })
}

/// The spool of before is gone, or damaged and set aside.
pub fn lost_spool(before: Option<&Witness>, aside: Option<(PathBuf, String)>) -> Body {
    let (file, reason) = match aside {
        Some((file, reason)) => (file.display().to_string(), reason),
        None => (String::new(), "the spool's file is gone".to_owned()),
    };
    let detail = [
        ("epoch", before.map_or("unknown".to_owned(), |before| before.epoch.clone())),
        ("next", before.map_or("unknown".to_owned(), |before| before.next.to_string())),
        ("file", file),
        ("reason", reason),
    ];
    now(event::LOST_RANGE, detail)
}

/// An analyser refuses registers that the configuration asks for.
pub fn registers_refused(analyser: &str, registers: &str) -> Body {
    let registers: String = registers.chars().take(DETAIL_CHARACTERS).collect();
    now(event::REGISTERS_REFUSED, [("analyser", analyser.to_owned()), ("registers", registers)])
}

/// A register that must hold what the configuration says does not, or does again.
pub fn check(finding: &Finding) -> Body {
    let short = |text: &str| text.chars().take(DETAIL_CHARACTERS).collect::<String>();
    let detail = [
        ("analyser", finding.analyser.clone()),
        ("check", finding.check.clone()),
        ("expected", short(&finding.expected)),
        ("found", short(&finding.found)),
        ("agrees", finding.agrees.to_string()),
    ];
    now(event::ANALYSER_CHECK, detail)
}

/// The spool is fuller, or emptier, than it was.
pub fn spool_level(before: u8, state: &State) -> Body {
    let hours = state.hours_left.map_or("unknown".to_owned(), |hours| hours.to_string());
    let detail = [
        ("level", state.level.to_string()),
        ("before", before.to_string()),
        ("records", state.records.to_string()),
        ("bytes", state.bytes.to_string()),
        ("hours_left", hours),
    ];
    now(event::SPOOL_ALARM, detail)
}

/// From here on records are made under another configuration.
pub fn configuration(previous: Hash, current: Hash) -> Body {
    now(event::CONFIGURATION, [("previous", previous.to_string()), ("current", current.to_string())])
}

/// What a start has to tell: a configuration other than that of the run before, and the start itself.
pub fn start(cfg: Hash, previous: Option<Hash>) -> Vec<Body> {
    let mut events = Vec::new();
    if let Some(previous) = previous.filter(|previous| *previous != cfg) {
        events.push(configuration(previous, cfg));
    }
    events.push(now(event::START, [("version", env!("CARGO_PKG_VERSION").to_owned())]));
    events
}
