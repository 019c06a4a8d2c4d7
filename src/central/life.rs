//! Signs of life, noted in memory by the writers and written down by the watch every few seconds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use crate::domain::plant::Outlet;
use crate::domain::scan::Reading;

#[derive(Debug, Default)]
struct Noted {
    outlets: HashMap<i32, Heard>,
    gateways: HashMap<String, (Timestamp, Option<String>)>,
    /// Since when the broker is connected; `None` while it is not.
    connected: Option<Timestamp>,
    lost: Option<Timestamp>,
}

/// When an outlet was last heard, and its analysers: a few.
#[derive(Debug, Default)]
struct Heard {
    itself: Option<Timestamp>,
    analysers: Vec<(Arc<str>, Timestamp)>,
}

impl Heard {
    /// The outlet itself.
    fn note(&mut self, at: Timestamp) {
        self.itself = self.itself.max(Some(at));
    }

    /// An analyser. Names of a plant are mostly the very same one.
    fn note_analyser(&mut self, name: &Arc<str>, at: Timestamp) {
        match self.analysers.iter_mut().find(|(other, _)| Arc::ptr_eq(other, name) || other == name) {
            Some((_, last)) => *last = at.max(*last),
            None => self.analysers.push((Arc::clone(name), at)),
        }
    }
}

/// What was heard since it was last written down. Cloned freely; all clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Life(Arc<Mutex<Noted>>);

/// What is to be written down.
#[derive(Debug, Default)]
pub struct Taken {
    /// Outlet, analyser and time; the empty analyser is the outlet itself.
    pub outlets: Vec<(i32, String, Timestamp)>,
    pub gateways: Vec<(String, Timestamp, Option<String>)>,
}

impl Life {
    fn with<T>(&self, act: impl FnOnce(&mut Noted) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A scan of `at`, which was a sign of life at `heard_at`: every analyser with at least one answer was alive, and with it
    /// the outlet. A reading that says "no answer" is no sign of life.
    pub fn heard(&self, outlet: &Outlet, (at, heard_at): (Timestamp, Timestamp), readings: &[Reading]) {
        let answers = outlet.channels.iter().zip(readings).filter(|(_, reading)| reading.is_answer());
        let mut alive = answers.filter_map(|(channel, _)| Some(&channel.settings.at(at)?.analyser));
        let Some(first) = alive.next() else { return };
        self.with(|noted| {
            let heard = noted.outlets.entry(outlet.id).or_default();
            heard.note(heard_at);
            heard.note_analyser(first, heard_at);
            alive.for_each(|name| heard.note_analyser(name, heard_at));
        });
    }

    /// A message of a gateway; its status as JSON when it said one.
    pub fn heard_gateway(&self, name: &str, at: Timestamp, status: Option<String>) {
        self.with(|noted| {
            // Nearly always known: the name is copied once.
            if !noted.gateways.contains_key(name) {
                noted.gateways.insert(name.to_owned(), (at, None));
            }
            let Some(entry) = noted.gateways.get_mut(name) else { return };
            entry.0 = at.max(entry.0);
            if status.is_some() {
                entry.1 = status;
            }
        });
    }

    /// The broker connection was made (`true`) or lost.
    pub fn connection(&self, up: Connection, at: Timestamp) {
        self.with(|noted| match up {
            Connection::Up => (noted.connected, noted.lost) = (Some(at), None),
            Connection::Down => {
                noted.lost = noted.lost.or(Some(at));
                noted.connected = None;
            }
        });
    }

    /// Since when the broker is connected.
    pub fn connected_since(&self) -> Option<Timestamp> {
        self.with(|noted| noted.connected)
    }

    /// Since when the broker is away.
    pub fn lost_since(&self) -> Option<Timestamp> {
        self.with(|noted| noted.lost)
    }

    /// Takes what is to be written down.
    pub fn take(&self) -> Taken {
        self.with(|noted| Taken {
            outlets: noted
                .outlets
                .drain()
                .flat_map(|(outlet, heard)| {
                    let itself = heard.itself.map(|at| (String::new(), at));
                    let analysers = heard.analysers.into_iter().map(|(name, at)| (name.to_string(), at));
                    itself.into_iter().chain(analysers).map(move |(name, at)| (outlet, name, at))
                })
                .collect(),
            gateways: noted.gateways.drain().map(|(name, (at, status))| (name, at, status)).collect(),
        })
    }

    /// Puts back what could not be written down; newer signs of life stay.
    pub fn put_back(&self, taken: Taken) {
        self.with(|noted| {
            for (outlet, analyser, at) in taken.outlets {
                let heard = noted.outlets.entry(outlet).or_default();
                if analyser.is_empty() {
                    heard.note(at);
                } else {
                    heard.note_analyser(&analyser.into(), at);
                }
            }
            for (name, at, status) in taken.gateways {
                let entry = noted.gateways.entry(name).or_insert((at, None));
                entry.0 = at.max(entry.0);
                entry.1 = entry.1.take().or(status);
            }
        });
    }
}

/// Whether the broker can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    Up,
    Down,
}
