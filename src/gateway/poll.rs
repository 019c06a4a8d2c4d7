//! One task an analyser, which asks it; one task an outlet, which makes a scan at each tick of what the analysers answered.
//! A slow analyser delays nobody: an outlet waits for it no longer than to the end of its period, and then the scan says
//! that there was no answer. An answer after that belongs to no scan.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use crate::clock;
use crate::config::gateway::{Analyser, Gateway, Outlet};
use crate::domain::scan::Scan;
use crate::gateway::event;
use crate::gateway::metrics::{Metrics, OutletLabels};
use crate::gateway::modbus::{Fault, Link};
use crate::gateway::plan::{Answers, Inquiry, assemble, inquiries};
use crate::gateway::schedule::{ClockWatch, Next, Ticks};
use crate::gateway::spool::keeper::Keeper;
use crate::mqtt::record::{Body, event as name};
use crate::shutdown::Shutdown;

/// Outlets that may wait for one analyser at the same time.
const QUEUE: usize = 64;
/// At the end, a scan that has begun gets so long to be finished: what an analyser has answered is not thrown away.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
const CLOCK_LOOK: Duration = Duration::from_millis(500);

/// What an outlet wants to know from one analyser.
#[derive(Debug)]
pub struct Request {
    inquiry: Inquiry,
    /// After this nobody waits for the answers any more.
    deadline: Instant,
    reply: oneshot::Sender<Answers>,
}

/// Starts the task that asks one analyser; it ends when nobody can ask any more.
pub fn serve(analyser: Analyser, metrics: Metrics) -> mpsc::Sender<Request> {
    let (sender, mut requests) = mpsc::channel::<Request>(QUEUE);
    tokio::spawn(async move {
        let mut link = Link::new(&analyser);
        let mut healthy = None;
        while let Some(request) = requests.recv().await {
            let (answers, fault) = ask(&mut link, &request, &analyser.name, &metrics).await;
            report(&analyser.name, &mut healthy, fault.as_ref());
            // An outlet that has closed its scan needs no answer.
            let _closed = request.reply.send(answers);
        }
    });
    sender
}

/// Asks for all blocks; after a fault that is no exception the rest is not asked for.
async fn ask(
    link: &mut Link,
    request: &Request,
    analyser: &str,
    metrics: &Metrics,
) -> (Answers, Option<Fault>) {
    let mut answers = Answers::with_capacity(request.inquiry.blocks.len());
    let mut worst: Option<Fault> = None;
    for block in &request.inquiry.blocks {
        if worst.as_ref().is_some_and(|fault| !fault.is_exception()) || clock::monotonic() >= request.deadline
        {
            answers.push(None);
            continue;
        }
        match link.read(*block, request.deadline).await {
            Ok(words) => {
                metrics.polled(analyser, "ok");
                answers.push(Some(words));
            }
            Err(fault) => {
                metrics.polled(analyser, fault.outcome());
                answers.push(None);
                worst = Some(fault);
            }
        }
    }
    (answers, worst)
}

/// Says when an analyser falls silent and when it answers again; not at every poll.
fn report(analyser: &str, healthy: &mut Option<bool>, fault: Option<&Fault>) {
    let now = fault.is_none();
    if healthy.replace(now) == Some(now) {
        return;
    }
    if let Some(fault) = fault {
        tracing::warn!(analyser, %fault, "the analyser gives no usable answer");
    } else {
        tracing::info!(analyser, "the analyser answers");
    }
}

/// Makes the scans of one outlet until `shutdown`.
pub async fn watch(
    config: Arc<Gateway>,
    outlet: Outlet,
    analysers: Arc<[mpsc::Sender<Request>]>,
    outcome: (Keeper, Metrics),
    shutdown: Shutdown,
) {
    let (keeper, metrics) = outcome;
    let wanted = inquiries(&config, &outlet);
    let mut ticks = Ticks::new(outlet.period, clock::now());
    loop {
        if shutdown.is_cancelled() {
            return;
        }
        // The deadline is by the monotonic clock of the moment that the tick was due at: a process that is stopped in between asks nobody for
        // a scan of long ago.
        let (now, moment) = clock::both();
        match ticks.next(now) {
            Next::Wait(time) => {
                tokio::select! {
                    () = tokio::time::sleep(time) => {}
                    () = shutdown.cancelled() => return,
                }
            }
            Next::Scan(at) => {
                let deadline = moment + ticks.time_left(at, now);
                let over = async {
                    shutdown.cancelled().await;
                    tokio::time::sleep(LAST_ANSWERS).await;
                };
                let answered = tokio::select! {
                    answered = collect(&wanted, &analysers, deadline) => answered,
                    () = over => return,
                };
                let answered = if ticks.is_over(at, clock::now()) { unanswered(answered) } else { answered };
                let scan: Scan = assemble(&config, &outlet, at, &answered);
                metrics.scans.get_or_create(&OutletLabels { outlet: outlet.code.clone() }).inc();
                keeper.keep(vec![Body::Scan(scan)]);
            }
        }
    }
}

/// Nothing that was read counts.
fn unanswered(answered: Vec<(Inquiry, Option<Answers>)>) -> Vec<(Inquiry, Option<Answers>)> {
    answered.into_iter().map(|(inquiry, _late)| (inquiry, None)).collect()
}

/// Asks all analysers at once and waits for all of them, or for the time to be up.
async fn collect(
    wanted: &[Inquiry],
    analysers: &[mpsc::Sender<Request>],
    deadline: Instant,
) -> Vec<(Inquiry, Option<Answers>)> {
    let asked = wanted.iter().map(|inquiry| async move {
        let (reply, answer) = oneshot::channel();
        let request = Request { inquiry: inquiry.clone(), deadline, reply };
        let sent = analysers.get(inquiry.analyser).is_some_and(|analyser| analyser.try_send(request).is_ok());
        let answers = if sent { tokio::time::timeout_at(deadline.into(), answer).await.ok() } else { None };
        (inquiry.clone(), answers.and_then(Result::ok))
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
