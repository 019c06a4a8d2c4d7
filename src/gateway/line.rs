//! One task a line: it asks the analysers on it, one request at a time, for what the outlets want to know. An analyser that is
//! silent is asked after those that answer, and then not at all for a while. A block that an analyser refuses is divided until the
//! guilty register is found; the rest of it goes on being read.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use crate::clock;
use crate::config::gateway::{Analyser, Line};
use crate::gateway::assemble::{Answer, Answers};
use crate::gateway::event;
use crate::gateway::health::Board;
use crate::gateway::metrics::{AnalyserCounters, Metrics};
use crate::gateway::modbus::{Asked, Client, Fault};
use crate::gateway::plan::{Block, Divided, Inquiry, Planned, divide};
use crate::gateway::spool::keeper::Keeper;

/// Outlets that may wait for one line at the same time.
const QUEUE: usize = 1024;
/// A refused register is asked for again after this, then after twice as long each time, up to a bound.
const REFUSED_AGAIN: Duration = Duration::from_secs(2);
const REFUSED_AGAIN_MAX: Duration = Duration::from_mins(1);
/// Requests beyond the plan that one scan may spend on dividing refused blocks.
const DIVIDE_AT_ONCE: usize = 16;

/// What an outlet wants to know from one analyser.
#[derive(Debug)]
pub struct Request {
    pub inquiry: Arc<Inquiry>,
    pub tick: Timestamp,
    /// After this nobody waits for the answers any more.
    pub deadline: Instant,
    pub reply: oneshot::Sender<Answers>,
}

/// Where the line tells what happens on it.
#[derive(Clone)]
pub struct Report {
    pub metrics: Metrics,
    pub board: Board,
    /// For events; `None` where there is no spool.
    pub keeper: Option<Keeper>,
}

/// Starts the task of one line; it ends when nobody can ask any more. `analysers` are those on it, with their indices.
pub fn serve(line: Line, analysers: Vec<(usize, Analyser)>, report: Report) -> mpsc::Sender<Request> {
    let (sender, requests) = mpsc::channel::<Request>(QUEUE);
    tokio::spawn(Worker::new(line, analysers, report).work(requests));
    sender
}

struct Worker {
    name: String,
    client: Client,
    analysers: HashMap<usize, Asking>,
    report: Report,
}

/// One analyser of the line.
struct Asking {
    analyser: Analyser,
    counters: AnalyserCounters,
    /// Whether it answered last; unknown before it was asked.
    healthy: Option<bool>,
    /// What blocks that were refused are asked as instead.
    divided: HashMap<Block, Vec<Part>>,
}

#[derive(Debug, Clone, Copy)]
struct Part {
    block: Block,
    /// Refused, and not asked for before this.
    refused: Option<Instant>,
    /// How often it, or what it is a part of, was refused.
    times: u32,
}

impl Part {
    const fn new(block: Block) -> Part {
        Part { block, refused: None, times: 0 }
    }

    fn refused_again(self) -> Part {
        let rest = (REFUSED_AGAIN * (1 << self.times.min(10))).min(REFUSED_AGAIN_MAX);
        Part { refused: Some(clock::monotonic() + rest), times: self.times.saturating_add(1), ..self }
    }
}

/// What one inquiry came to.
#[derive(Default)]
struct Outcome {
    fault: Option<Fault>,
    /// Registers that turned out to be refused.
    guilty: Vec<Block>,
    /// Requests spent on dividing.
    divided: usize,
}

impl Worker {
    fn new(line: Line, analysers: Vec<(usize, Analyser)>, report: Report) -> Worker {
        let analysers = analysers.into_iter().map(|(index, analyser)| {
            let counters = report.metrics.of_analyser(&analyser.name);
            (index, Asking { analyser, counters, healthy: None, divided: HashMap::new() })
        });
        let analysers = analysers.collect();
        Worker { name: line.name.clone(), client: Client::new(line), analysers, report }
    }

    async fn work(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut waiting = VecDeque::new();
        while let Some(request) = requests.recv().await {
            waiting.push_back(request);
            // The outlets ask at the same tick: let them all have done so.
            tokio::task::yield_now().await;
            loop {
                while let Ok(request) = requests.try_recv() {
                    waiting.push_back(request);
                }
                let Some(request) = self.next(&mut waiting) else { break };
                self.answer(request).await;
            }
        }
    }

    /// The first whose analyser is well; the first of the others when there is none.
    fn next(&self, waiting: &mut VecDeque<Request>) -> Option<Request> {
        let is_well = |request: &Request| {
            let asking = self.analysers.get(&request.inquiry.analyser);
            asking.is_some_and(|asking| self.client.is_well(asking.analyser.unit))
        };
        let first = waiting.iter().position(is_well).unwrap_or(0);
        waiting.remove(first)
    }

    async fn answer(&mut self, request: Request) {
        let index = request.inquiry.analyser;
        let Some(asking) = self.analysers.get_mut(&index) else { return };
        let late = self.client.late_answers();
        let mut outcome = Outcome::default();
        let mut answers = Answers::with_capacity(request.inquiry.blocks.len());
        for planned in &request.inquiry.blocks {
            let silent = outcome.fault.as_ref().is_some_and(|fault| !fault.is_exception());
            if silent || !planned.is_due(request.tick) || clock::monotonic() >= request.deadline {
                answers.push(None);
                continue;
            }
            let board = &self.report.board;
            let work =
                asking.ask(&mut self.client, (planned, request.deadline), &mut outcome, (board, index));
            answers.push(work.await);
        }
        self.report.metrics.late(&self.name, self.client.late_answers() - late);
        asking.tell(&outcome, &self.report, index);
        // An outlet that has closed its scan needs no answer.
        let _closed = request.reply.send(answers);
    }
}

impl Asking {
    /// Asks for one block of the plan, in as many requests as it takes.
    async fn ask(
        &mut self,
        client: &mut Client,
        (planned, deadline): (&Planned, Instant),
        outcome: &mut Outcome,
        (board, index): (&Board, usize),
    ) -> Option<Answer> {
        let whole = vec![Part::new(planned.block)];
        let mut parts: VecDeque<Part> = self.divided.get(&planned.block).cloned().unwrap_or(whole).into();
        let before = parts.len();
        let (mut done, mut filled, mut changed) =
            (Vec::with_capacity(before), Filled::of(planned.block), false);
        while let Some(mut part) = parts.pop_front() {
            let silent = outcome.fault.as_ref().is_some_and(|fault| !fault.is_exception());
            if silent || part.refused.is_some_and(|until| clock::monotonic() < until) {
                filled.hole(part.block);
                done.push(part);
                continue;
            }
            let asked = Asked { unit: self.analyser.unit, timeout: self.analyser.timeout, deadline };
            let started = clock::monotonic();
            let result = client.read(part.block, asked).await;
            self.counters.count(result.as_ref().err());
            match result {
                Ok(words) => {
                    let time = started.elapsed();
                    self.counters.took(time);
                    if let Some(mut health) = board.of(index) {
                        health.answered(clock::now(), time);
                    }
                    changed |= part.refused.is_some();
                    part = Part::new(part.block);
                    filled.fill(part.block, words);
                    done.push(part);
                }
                Err(fault) => {
                    if let Some(mut health) = board.of(index) {
                        health.failed += 1;
                    }
                    let divided = fault.is_about_registers().then(|| divide(part.block, &planned.used));
                    outcome.fault = Some(fault);
                    match divided {
                        Some(Divided::Parts(halves)) if outcome.divided < DIVIDE_AT_ONCE => {
                            outcome.divided += halves.len();
                            changed = true;
                            let half = |block| Part { block, ..part };
                            halves.into_iter().rev().for_each(|block| parts.push_front(half(block)));
                        }
                        Some(Divided::Guilty(block)) => {
                            if part.times == 0 {
                                outcome.guilty.push(block);
                            }
                            changed = true;
                            filled.hole(part.block);
                            done.push(part.refused_again());
                        }
                        Some(Divided::Parts(_)) | None => {
                            filled.hole(part.block);
                            done.push(part);
                        }
                    }
                }
            }
        }
        if changed {
            // Nothing of it is readable: asked as a whole again, and less and less often.
            if done.len() > 1
                && let Some(times) = done.iter().map(|part| part.refused.map(|_| part.times)).min().flatten()
            {
                let whole = Part { times: times.saturating_sub(1), ..Part::new(planned.block) };
                done = vec![whole.refused_again()];
            }
            self.divided.insert(planned.block, done);
        }
        filled.answer()
    }

    /// Says when an analyser falls silent and when it answers again, and which registers it refuses; not at every poll.
    fn tell(&mut self, outcome: &Outcome, report: &Report, index: usize) {
        let name = self.analyser.name.as_str();
        let refusals = self.refusals();
        // What is known to be refused is told once, as such.
        let fault = outcome.fault.as_ref().filter(|fault| !fault.is_about_registers() || refusals.is_empty());
        if let Some(mut health) = report.board.of(index) {
            // While it is not asked, what was wrong when it was.
            if !matches!((fault, &health.fault), (Some(Fault::Resting), Some(_))) {
                health.fault = fault.map(ToString::to_string);
            }
            health.refused.clone_from(&refusals);
        }
        if !outcome.guilty.is_empty() {
            let registers = outcome.guilty.iter().copied().map(text_of).collect::<Vec<_>>().join(", ");
            tracing::warn!(
                analyser = name,
                registers,
                "the analyser refuses these registers; the others are read on"
            );
            if let Some(keeper) = &report.keeper {
                keeper.keep(vec![event::registers_refused(name, &registers)]);
            }
        }
        let well = fault.is_none();
        if self.healthy.replace(well) == Some(well) {
            return;
        }
        if let Some(fault) = fault {
            tracing::warn!(analyser = name, %fault, "the analyser gives no usable answer");
        } else {
            tracing::info!(analyser = name, "the analyser answers");
        }
    }

    fn refusals(&self) -> Vec<String> {
        let parts = self.divided.values().flatten().filter(|part| part.refused.is_some());
        let mut blocks: Vec<Block> = parts.map(|part| part.block).collect();
        blocks.sort_unstable();
        blocks.iter().copied().map(text_of).collect()
    }
}

/// As an operator writes it: `holding 100-101`.
fn text_of(block: Block) -> String {
    let table = block.table.name();
    match block.count {
        1 => format!("{table} {}", block.address),
        count => format!("{table} {}-{}", block.address, block.address.saturating_add(count - 1)),
    }
}

/// An answer to a planned block, put together from its parts.
struct Filled {
    block: Block,
    answer: Answer,
    any: bool,
}

impl Filled {
    fn of(block: Block) -> Filled {
        Filled { block, answer: Answer::default(), any: false }
    }

    fn offset(&self, part: Block) -> usize {
        usize::from(part.address.saturating_sub(self.block.address))
    }

    fn fill(&mut self, part: Block, words: Vec<u16>) {
        self.any = true;
        if part == self.block {
            self.answer.words = words;
            return;
        }
        self.answer.words.resize(usize::from(self.block.count), 0);
        let from = self.offset(part);
        if let Some(place) = self.answer.words.get_mut(from..from + words.len()) {
            place.copy_from_slice(&words);
        }
    }

    fn hole(&mut self, part: Block) {
        self.answer.holes.push((self.offset(part), usize::from(part.count)));
    }

    fn answer(self) -> Option<Answer> {
        self.any.then_some(self.answer)
    }
}
