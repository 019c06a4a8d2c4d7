//! What the terminal shows: where to look, a table of outlets with live values, limits and state, the past's progress, and
//! alerts as they arrive. On something that is no terminal, only lines.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::{Mutex, watch};

use crate::cli::demo::past::Progress;
use crate::cli::demo::receiver::Received;
use crate::config::scenario::EventKind;
use crate::domain::limit::AveragingPeriod;
use crate::domain::plant::{Outlet, Plant};
use crate::domain::pollutant::Role;
use crate::gateway::spool::keeper::State;
use crate::simulator::server;
use crate::store::plant;
use crate::store::read::live::{Newest, newest};
use crate::store::session::Session;

/// The terminal.
pub(super) struct Screen {
    session: Mutex<(Session, Option<Plant>)>,
    address: SocketAddr,
    folder: PathBuf,
    progress: Progress,
    spool: watch::Receiver<State>,
    terminal: bool,
    /// Lines that the next drawing replaces.
    drawn: AtomicUsize,
}

/// One alert, told.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) text: String,
    /// It is about the event that the demonstration waits for.
    pub(super) is_the_rise: bool,
    /// From the change of the register to the webhook.
    pub(super) latency_ms: i64,
    pub(super) body: Value,
}

impl Screen {
    pub(super) fn new(
        session: Session,
        address: SocketAddr,
        folder: &Path,
        progress: Progress,
        spool: watch::Receiver<State>,
    ) -> Screen {
        let terminal = std::io::stdout().is_terminal();
        let screen = Screen {
            session: Mutex::new((session, None)),
            address,
            folder: folder.to_path_buf(),
            progress,
            spool,
            terminal,
            drawn: AtomicUsize::new(0),
        };
        screen.say(&format!(
            "look here:  http://{address}/                  outlets at a glance\n            \
             http://{address}/api/v1/outlets    the same as JSON\n            \
             http://{address}/readyz, /metrics  is all well?\n            \
             {}   configurations, ledger, spool\n\
             after about 20 s the kiln's SO2 rises; Ctrl-C stops everything",
            screen.folder.display()
        ));
        screen
    }

    /// What is to be said of an alert.
    pub(super) fn alert(received: &Received, simulator: &server::Running) -> Told {
        let text = |key: &str| received.body.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let changed = rise(simulator);
        let latency_ms =
            changed.as_ref().map_or(0, |changed| received.at.duration_since(changed.1).as_millis());
        let outlet = received.body.pointer("/outlet/code").and_then(Value::as_str).unwrap_or_default();
        let is_the_rise = changed.is_some_and(|(code, at)| {
            code == outlet
                && text("channel") == "a21026"
                && text("kind") == "early-warning"
                && received.at >= at
        });
        let mut line = format!("ALERT [{}] {}", text("kind"), text("summary"));
        if is_the_rise {
            let _always = write!(
                line,
                "\n      {latency_ms} ms from the change of the register to the webhook\n      {}",
                received.body
            );
        }
        Told {
            text: line,
            is_the_rise,
            latency_ms: i64::try_from(latency_ms).unwrap_or(i64::MAX),
            body: received.body.clone(),
        }
    }

    /// Says something above the table.
    pub(super) fn say(&self, text: &str) {
        self.wipe();
        println!("{text}");
    }

    /// Draws the table anew. A database that is away leaves the old one standing.
    pub(super) async fn draw(&self, now: Timestamp) {
        if !self.terminal {
            return;
        }
        let mut guard = self.session.lock().await;
        let (session, known) = &mut *guard;
        let Ok(client) = session.client().await else { return };
        if known.is_none() {
            *known = plant::load(client).await.ok();
        }
        let Some(plant) = known.as_ref() else { return };
        let ids: Vec<i32> = plant.outlets.iter().map(|outlet| outlet.id).collect();
        let span = (now - SignedDuration::from_mins(5), now + SignedDuration::from_secs(5));
        let Ok(scans) = newest(client, &ids, span).await else {
            session.discard();
            return;
        };
        let table = self.table(plant, &scans, now);
        self.wipe();
        print!("{table}");
        self.drawn.store(table.lines().count(), Ordering::Relaxed);
        // A closed terminal is no reason to stop.
        let _closed = std::io::stdout().flush();
    }

    /// The table stays as it is.
    pub(super) fn close(&self) {
        self.drawn.store(0, Ordering::Relaxed);
    }

    fn wipe(&self) {
        let lines = self.drawn.swap(0, Ordering::Relaxed);
        if self.terminal && lines > 0 {
            print!("\x1b[{lines}A\x1b[J");
        }
    }

    fn table(&self, plant: &Plant, scans: &[Newest], now: Timestamp) -> String {
        let mut table = String::new();
        let _always = writeln!(
            table,
            "\n{:<22} {:>16} {:>16} {:>16} {:>7}  state",
            "outlet", "PM", "SO2", "NOx", "O2 %"
        );
        for outlet in &plant.outlets {
            let scan = scans.iter().find(|scan| scan.outlet_id == outlet.id);
            let _always = writeln!(table, "{}", row(outlet, scan, now));
        }
        let spool = self.spool.borrow().records;
        let _always = writeln!(
            table,
            "mg/m3 at reference oxygen / strictest hourly limit; spool: {spool} records   http://{}/",
            self.address
        );
        if let Some((done, all)) = self.progress.get().filter(|(done, all)| done < all || spool > 1000) {
            let sent = done.saturating_sub(spool);
            let share = usize::try_from(sent * 40 / all.max(1)).unwrap_or(40).min(40);
            let bar = format!("{}{}", "#".repeat(share), "-".repeat(40 - share));
            let _always = writeln!(table, "past 24 h  [{bar}] {sent} of {all} scans delivered");
        }
        table
    }
}

/// The outlet and the instant of the first rise of the scenario.
fn rise(simulator: &server::Running) -> Option<(String, Timestamp)> {
    let simulation = simulator.simulation();
    let events = &simulation.scenario().events;
    let first = events.iter().find(|event| matches!(event.kind, EventKind::Rise { .. }))?;
    let after = SignedDuration::try_from(first.after).ok()?;
    let outlet = simulation.scenario().outlets.get(first.outlet)?;
    Some((outlet.code.clone(), simulator.started() + after))
}

fn row(outlet: &Outlet, scan: Option<&Newest>, now: Timestamp) -> String {
    let Some(scan) = scan else {
        return format!("{:<22} {:>16} {:>16} {:>16} {:>7}  no data yet", outlet.code, "", "", "", "");
    };
    let mut over = false;
    let mut cell = |factor: &str| {
        let position = outlet.channels.iter().position(|channel| channel.factor.code == factor);
        let Some(position) = position else { return String::new() };
        let rules = outlet.rules.iter().filter(|rule| {
            rule.factor == factor && rule.period == AveragingPeriod::Hour && rule.limit.holds(scan.at)
        });
        let limit = rules.map(|rule| rule.limit.value).min_by(f64::total_cmp);
        let flag = scan.flags.chars().nth(position).unwrap_or('-');
        let limit_text = limit.map_or("-".to_owned(), |limit| limit.to_string());
        match scan.corrected.get(position).copied().flatten() {
            Some(value) => {
                over |= limit.is_some_and(|limit| value > limit);
                format!("{value:.1} / {limit_text}")
            }
            None => format!("{flag} / {limit_text}"),
        }
    };
    let (pm, so2, nox) = (cell("a34013"), cell("a21026"), cell("a21002"));
    let oxygen = outlet.channels.iter().position(|channel| channel.factor.role == Role::Oxygen);
    let oxygen = oxygen.and_then(|position| scan.measured.get(position)).copied().flatten();
    let oxygen = oxygen.map_or(String::new(), |value| format!("{value:.2}"));
    let age = now.duration_since(scan.at).as_secs();
    let state = if age > 10 {
        format!("silent for {age} s")
    } else if over {
        "ABOVE A LIMIT".to_owned()
    } else {
        "ok".to_owned()
    };
    format!("{:<22} {pm:>16} {so2:>16} {nox:>16} {oxygen:>7}  {state}", outlet.code)
}
