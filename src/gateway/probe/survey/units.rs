//! Which units are there: one that answers anything but a converter's "cannot reach it" is there. Over TCP units are asked on
//! several connections at once, so that a silent one costs the others nothing. Not every device bears that (some serve one
//! connection, some converters ask one unit after the other): where there is a sign of it, the silent ones are asked once more,
//! one by one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio_modbus::ExceptionCode;

use crate::clock;
use crate::gateway::modbus::{Asked, Client, Fault};
use crate::gateway::plan::Block;
use crate::gateway::probe::survey::{Progress, Survey, Tell, Unit, Wanted};

/// What a unit said to the first request.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    There(Duration),
    /// It answers, but not to our request.
    Strange(Duration, String),
    OutOfReach,
    Nothing,
    NotAsked,
}

/// Asks every unit for one register.
pub async fn find(wanted: &Wanted, deadline: Instant, tell: &Tell<'_>) -> Survey {
    let connections = wanted.connections();
    let asked = AtomicUsize::new(0);
    let seek = Seek { wanted, deadline, tell, asked: &asked };
    let each = (0..connections)
        .map(|index| seek.ask_all(wanted.units.iter().copied().skip(index).step_by(connections).collect()));
    let mut said: Vec<(u8, Said)> = join_all(each).await.into_iter().flatten().collect();
    if connections > 1 && !seek.bears_many(&said).await {
        let silent: Vec<u8> =
            said.iter().filter(|(_, said)| *said == Said::Nothing).map(|(unit, _)| *unit).collect();
        asked.store(wanted.units.len() - silent.len(), Ordering::Relaxed);
        for (unit, again) in seek.ask_all(silent).await {
            // Out of time: it was asked before.
            if again != Said::NotAsked {
                said.iter_mut().filter(|(one, _)| *one == unit).for_each(|(_, said)| *said = again.clone());
            }
        }
    }
    said.sort_by_key(|(unit, _)| *unit);
    sorted(said)
}

/// Whether a unit that nobody looked for answers as well.
pub async fn answers_to_any(wanted: &Wanted, deadline: Instant) -> bool {
    let Some(stranger) = (1..=246).rev().find(|unit| !wanted.units.contains(unit)) else { return false };
    let seek = Seek { wanted, deadline, tell: &|_progress| (), asked: &AtomicUsize::new(0) };
    matches!(seek.ask(&mut Client::new(wanted.line.clone()), stranger).await, Said::There(_))
}

fn sorted(said: Vec<(u8, Said)>) -> Survey {
    let mut survey = Survey::default();
    for (unit, said) in said {
        let there = |answered_after, remark| Unit { unit, answered_after, remark, tables: Vec::new() };
        match said {
            Said::There(after) => survey.units.push(there(after, None)),
            Said::Strange(after, remark) => survey.units.push(there(after, Some(remark))),
            Said::OutOfReach => survey.out_of_reach.push(unit),
            Said::Nothing => survey.silent.push(unit),
            Said::NotAsked => survey.not_asked.push(unit),
        }
    }
    survey
}

struct Seek<'s> {
    wanted: &'s Wanted,
    deadline: Instant,
    tell: &'s Tell<'s>,
    asked: &'s AtomicUsize,
}

impl Seek<'_> {
    /// One after the other, on one connection.
    async fn ask_all(&self, units: Vec<u8>) -> Vec<(u8, Said)> {
        let mut client = Client::new(self.wanted.line.clone());
        let mut all = Vec::with_capacity(units.len());
        for unit in units {
            let said = self.ask(&mut client, unit).await;
            if let Said::There(after) | Said::Strange(after, _) = &said {
                (self.tell)(Progress::Answers { unit, after: *after });
            }
            let asked = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
            (self.tell)(Progress::Asked { units: asked, of: self.wanted.units.len() });
            all.push((unit, said));
        }
        all
    }

    async fn ask(&self, client: &mut Client, unit: u8) -> Said {
        if clock::monotonic() >= self.deadline {
            return Said::NotAsked;
        }
        let Some(table) = self.wanted.tables.first() else { return Said::NotAsked };
        let block = Block::new(*table, self.wanted.registers.0, 1);
        let started = clock::monotonic();
        let asked = Asked { unit, timeout: self.wanted.timeout, deadline: self.deadline };
        let answer = client.read(block, asked).await;
        let after = clock::monotonic().duration_since(started);
        match answer {
            Err(Fault::Exception(
                ExceptionCode::GatewayPathUnavailable | ExceptionCode::GatewayTargetDevice,
            )) => Said::OutOfReach,
            Ok(_) | Err(Fault::Exception(_)) => Said::There(after),
            Err(fault @ Fault::Answer(_)) => Said::Strange(after, fault.to_string()),
            Err(Fault::NoTime) => Said::NotAsked,
            Err(Fault::Timeout | Fault::Link(_) | Fault::Resting) => Said::Nothing,
        }
    }

    /// Whether silence on one of several connections means what silence on the only one would.
    async fn bears_many(&self, said: &[(u8, Said)]) -> bool {
        if said.iter().all(|(_, said)| *said != Said::Nothing) {
            return true;
        }
        // A converter: what is asked at the same time waits in its queue.
        if said.iter().any(|(_, said)| *said == Said::OutOfReach) {
            return false;
        }
        let Some((unit, _)) = said.iter().find(|(_, said)| matches!(said, Said::There(_))) else {
            return false;
        };
        let (mut first, mut second) =
            (Client::new(self.wanted.line.clone()), Client::new(self.wanted.line.clone()));
        let is_there = |said: Said| matches!(said, Said::There(_));
        is_there(self.ask(&mut first, *unit).await) && is_there(self.ask(&mut second, *unit).await)
    }
}
