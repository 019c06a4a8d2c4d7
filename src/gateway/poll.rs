//! One task an outlet, which makes a scan at each tick of what the analysers answered. A slow analyser delays nobody: an outlet
//! waits for it no longer than to the end of its period, and then the scan says that there was no answer. An answer after that
//! belongs to no scan.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::clock;
use crate::config::gateway::Gateway;
use crate::gateway::assemble::{Answers, Assembly};
use crate::gateway::event;
use crate::gateway::health::{Board, Whole};
use crate::gateway::line::{self, Report, Request};
use crate::gateway::metrics::OutletLabels;
use crate::gateway::plan::Inquiry;
use crate::gateway::schedule::{ClockWatch, Next, Ticks};
use crate::gateway::spool::keeper::Keeper;
use crate::mqtt::record::{Body, event as name};
use crate::shutdown::Shutdown;

/// At the end, a scan that has begun gets so long to be finished: what an analyser has answered is not thrown away.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
const CLOCK_LOOK: Duration = Duration::from_millis(500);

/// The ways to the lines, by index of the analyser.
pub type Ways = Arc<[mpsc::Sender<Request>]>;

/// Starts a task for each line; gives the way to each analyser.
pub fn lines(config: &Gateway, report: &Report) -> Ways {
    let on = |index: usize| {
        let analysers =
            config.analysers.iter().enumerate().filter(move |(_, analyser)| analyser.line == index);
        analysers.map(|(index, analyser)| (index, analyser.clone())).collect::<Vec<_>>()
    };
    let lines = config.lines.iter().enumerate();
    let lines: Vec<_> =
        lines.map(|(index, one)| line::serve(one.clone(), on(index), report.clone())).collect();
    let ways = config.analysers.iter().filter_map(|analyser| lines.get(analyser.line).cloned());
    ways.collect()
}

/// Starts polling all outlets until `stop`.
pub fn start(config: &Gateway, keeper: &Keeper, report: &Report, stop: &Shutdown) -> JoinSet<()> {
    let ways = lines(config, report);
    let mut tasks = JoinSet::new();
    for outlet in &config.outlets {
        let assembly = Assembly::new(config, outlet);
        let labels = OutletLabels { outlet: outlet.code.clone() };
        let names = assembly.inquiries.iter().filter_map(|inquiry| config.analysers.get(inquiry.analyser));
        let polling = Polling {
            period: outlet.period,
            ways: Arc::clone(&ways),
            keeper: keeper.clone(),
            board: report.board.clone(),
            scans: report.metrics.scans.get_or_create(&labels).clone(),
            capture: names.map(|analyser| report.metrics.capture_of(&analyser.name)).collect(),
            assembly,
        };
        tasks.spawn(polling.watch(stop.clone()));
    }
    tasks
}

/// One outlet being scanned.
struct Polling {
    period: Duration,
    assembly: Assembly,
    ways: Ways,
    keeper: Keeper,
    board: Board,
    scans: Counter,
    /// By inquiry.
    capture: Vec<Gauge<f64, AtomicU64>>,
}

impl Polling {
    /// Makes the scans of the outlet until `stop`.
    async fn watch(mut self, stop: Shutdown) {
        let mut ticks = Ticks::new(self.period, clock::now());
        loop {
            if stop.is_cancelled() {
                return;
            }
            // The deadline is by the monotonic clock of the moment that the tick was due at: a process that is stopped in between asks
            // nobody for a scan of long ago.
            let (now, moment) = clock::both();
            match ticks.next(now) {
                Next::Wait(time) => {
                    tokio::select! {
                        () = tokio::time::sleep(time) => {}
                        () = stop.cancelled() => return,
                    }
                }
                Next::Scan(at) => {
                    let deadline = moment + ticks.time_left(at, now);
                    let asked = (&self.assembly.inquiries[..], &self.ways);
                    let answered = collect(asked, (at, deadline), &stop).await;
                    // Nothing that was read counts when the time is over.
                    let over = ticks.is_over(at, clock::now());
                    let answered =
                        if over { answered.into_iter().map(|_late| None).collect() } else { answered };
                    self.close(at, &answered);
                }
            }
        }
    }

    /// Makes the scan of a tick and has it kept.
    fn close(&mut self, at: Timestamp, answered: &[Option<Answers>]) {
        self.note_capture(at, answered);
        let (scan, findings) = self.assembly.scan(at, answered);
        let mut bodies = Vec::with_capacity(1 + findings.len());
        // An outlet whose channels are all slower than its period has ticks without any.
        if !scan.readings.is_empty() {
            self.scans.inc();
            self.board.scanned(&scan);
            bodies.push(Body::Scan(scan));
        }
        for finding in &findings {
            let (analyser, check) = (&finding.analyser, &finding.check);
            if finding.agrees {
                tracing::info!(analyser, check, "the analyser agrees with the configuration again");
            } else {
                let (expected, found) = (&finding.expected, &finding.found);
                tracing::warn!(
                    analyser,
                    check,
                    expected,
                    found,
                    "the analyser does not agree with the configuration"
                );
            }
            bodies.push(event::check(finding));
        }
        if !bodies.is_empty() {
            self.keeper.keep(bodies);
        }
    }

    fn note_capture(&self, at: Timestamp, answered: &[Option<Answers>]) {
        for ((inquiry, answers), gauge) in self.assembly.inquiries.iter().zip(answered).zip(&self.capture) {
            let whole = is_whole(inquiry, answers.as_ref(), at);
            let Some(mut health) = self.board.of(inquiry.analyser) else { continue };
            health.served(at, whole);
            gauge.set(health.recent_capture().unwrap_or(f64::NAN));
        }
    }
}

/// Whether all that was due was answered without a hole.
fn is_whole(inquiry: &Inquiry, answers: Option<&Answers>, at: Timestamp) -> Whole {
    let Some(answers) = answers else { return Whole::No };
    let mut due = inquiry.blocks.iter().zip(answers).filter(|(planned, _)| planned.is_due(at));
    let whole = due.all(|(_, answer)| answer.as_ref().is_some_and(|answer| answer.holes.is_empty()));
    if whole { Whole::Yes } else { Whole::No }
}

/// Asks all analysers at once and waits for all of them, or for the time to be up; after `stop` not for long.
pub async fn collect(
    (wanted, ways): (&[Arc<Inquiry>], &Ways),
    (tick, deadline): (Timestamp, Instant),
    stop: &Shutdown,
) -> Vec<Option<Answers>> {
    let asked = wanted.iter().map(|inquiry| async move {
        let (reply, answer) = oneshot::channel();
        let request = Request { inquiry: Arc::clone(inquiry), tick, deadline, reply };
        ways.get(inquiry.analyser)?.try_send(request).ok()?;
        let over = async {
            stop.cancelled().await;
            tokio::time::sleep(LAST_ANSWERS).await;
        };
        tokio::select! {
            answered = tokio::time::timeout_at(deadline.into(), answer) => answered.ok()?.ok(),
            () = over => None,
        }
    });
    join_all(asked).await
}

/// Records each step of the wall clock until `shutdown`.
pub async fn watch_clock(keeper: Keeper, shutdown: Shutdown) {
    let (wall, moment) = clock::both();
    let mut clock_watch = ClockWatch::new(wall, moment);
    loop {
        tokio::select! {
            () = tokio::time::sleep(CLOCK_LOOK) => {}
            () = shutdown.cancelled() => return,
        }
        let (wall, moment) = clock::both();
        if let Some(step) = clock_watch.look(wall, moment) {
            tracing::warn!(expected = %step.expected, found = %step.found, "the wall clock was set");
            keeper.keep(vec![event::now(
                name::CLOCK_STEP,
                [("expected", milliseconds(step.expected)), ("found", milliseconds(step.found))],
            )]);
        }
    }
}

fn milliseconds(at: Timestamp) -> String {
    crate::mqtt::record::time_text(at)
}
