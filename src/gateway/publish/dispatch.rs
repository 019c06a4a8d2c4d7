//! What to send, and when. Pure: nothing here sends, reads the disk or looks at a clock; the time goes in with each call.
//!
//! Every record in the spool is in exactly one of two sets: **waiting** (to go by backfill when it is due) or **under way**
//! (sent, no receipt yet, time not up). A fresh record is sent at once and starts under way. When its time is up it
//! waits; each further try waits twice as long, with jitter. Of the records that are due, those with the fewest tries go
//! first, and of these the newest: what nobody wants to receipt does not hold up the rest. Backfill keeps to a rate and
//! to a window of records under way; fresh records keep to neither, so they never wait behind the past. Only when as many
//! again are under way does a fresh record wait too, so that no more than two windows ever are. While nobody receipts
//! anything, backfill only knocks now and then; the first receipt opens it again.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::config::gateway::Publish;
use crate::mqtt::receipt::Ranges;

const BACK_OFF_MAX: Duration = Duration::from_mins(5);
const KNOCK_MAX: Duration = Duration::from_secs(30);
/// Records of one backfill message at most.
const MESSAGE_RECORDS: u64 = 1000;
/// Backfill waits until it may send this many in one message, if there are as many: a large message costs everybody less than
/// many small ones.
const WORTH_A_MESSAGE: u64 = 100;
/// Starts of centres remembered, so that several centres that repeat theirs by turns are each heard once.
const STARTS: usize = 64;

/// Consecutive records in the same state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    last: u64,
    /// How often these were sent in vain.
    attempts: u32,
    /// Waiting: when they are due. Under way: when their time is up.
    at: Instant,
}

type Spans = BTreeMap<u64, Span>;

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Send the newest run within this range by backfill, at most so many records; then call [`Dispatch::sent`].
    Backfill { within: (u64, u64), most: usize },
    /// Nothing until then, unless something happens.
    Wait(Option<Instant>),
}

/// The state of all records that are not receipted.
#[derive(Debug)]
pub struct Dispatch {
    rules: Publish,
    connected: bool,
    /// Announced starts of centres, oldest first.
    starts: VecDeque<String>,
    waiting: Spans,
    under_way: Spans,
    /// Records that the rate allows at the moment.
    allowance: u64,
    allowed_at: Instant,
    heard: Instant,
    /// Nobody receipts: how often we have knocked, and when to knock next.
    silence: Option<(u32, Instant)>,
    random: fastrand::Rng,
}

impl Dispatch {
    /// Knows of no records yet, and of no connection.
    pub fn new(rules: Publish, now: Instant, random: fastrand::Rng) -> Dispatch {
        Dispatch {
            rules,
            connected: false,
            starts: VecDeque::new(),
            waiting: Spans::new(),
            under_way: Spans::new(),
            allowance: 0,
            allowed_at: now,
            heard: now,
            silence: None,
            random,
        }
    }

    /// The spool holds these and no others.
    pub fn opened(&mut self, now: Instant, held: &Ranges) {
        self.waiting.clear();
        self.under_way.clear();
        self.past(now, held);
    }

    /// These were just made. `true`: send them live now; they are under way. Otherwise they wait, the newest of those that
    /// wait.
    pub fn fresh(&mut self, now: Instant, first: u64, last: u64) -> bool {
        let room = (u64::from(self.rules.window) * 2).saturating_sub(self.records_under_way());
        // With nothing under way they go whatever the window is.
        let fits = last - first < room || self.under_way.is_empty();
        let goes = self.connected && fits;
        if goes {
            let at = now + self.rules.receipt_timeout;
            self.under_way.insert(first, Span { last, attempts: 0, at });
        } else {
            self.wait(first, Span { last, attempts: 0, at: now });
        }
        goes
    }

    /// These were just made and are about the past.
    pub fn past(&mut self, now: Instant, made: &Ranges) {
        for (first, last) in made.iter() {
            self.wait(first, Span { last, attempts: 0, at: now });
        }
    }

    /// The centre has these. Gives those of them that were outstanding: only these may be deleted. What is not made yet
    /// cannot be receipted.
    pub fn receipt(&mut self, now: Instant, ranges: &Ranges) -> Ranges {
        let mut settled = Vec::new();
        for (first, last) in ranges.iter() {
            let waiting = carve(&mut self.waiting, first, last);
            let under_way = carve(&mut self.under_way, first, last);
            settled.extend(waiting.iter().chain(&under_way).map(|(first, span)| (*first, span.last)));
        }
        let settled = Ranges::from_pairs(settled);
        if settled.is_empty() {
            return settled;
        }
        self.heard = now;
        if self.silence.take().is_some() {
            for (first, span) in std::mem::take(&mut self.waiting) {
                self.wait(first, Span { at: now, ..span });
            }
        }
        settled
    }

    /// A centre has announced a start. When it is a new one, all that is not receipted goes again at once.
    pub fn centre_started(&mut self, now: Instant, start: &str) {
        if self.starts.iter().any(|known| known == start) {
            return;
        }
        if self.starts.len() >= STARTS {
            self.starts.pop_front();
        }
        self.starts.push_back(start.to_owned());
        self.all_wait(now);
        self.silence = None;
        self.hurry(now);
    }

    pub fn connected(&mut self, now: Instant) {
        self.connected = true;
        self.heard = now;
        self.silence = None;
        self.hurry(now);
    }

    /// Nothing is known of what was under way: it waits again.
    pub fn disconnected(&mut self, now: Instant) {
        self.connected = false;
        self.all_wait(now);
    }

    /// These could not be handed to the connection although [`Dispatch::fresh`] said so.
    pub fn unsent(&mut self, now: Instant, first: u64, last: u64) {
        for (first, span) in carve(&mut self.under_way, first, last) {
            self.wait(first, Span { at: now + self.rules.receipt_timeout, ..span });
        }
    }

    /// Of the range that [`Next::Backfill`] named, this run was sent, the newest that the spool has. What is newer than the
    /// run is not in the spool any more.
    pub fn sent(&mut self, now: Instant, within: (u64, u64), run: Option<(u64, u64)>) {
        let Some((first, last)) = run else {
            carve(&mut self.waiting, within.0, within.1);
            return;
        };
        if last < within.1 {
            carve(&mut self.waiting, last + 1, within.1);
        }
        let at = now + self.rules.receipt_timeout;
        for (first, span) in carve(&mut self.waiting, first, last) {
            self.allowance = self.allowance.saturating_sub(span.last - first + 1);
            self.under_way.insert(first, Span { at, ..span });
        }
    }

    /// What to do now.
    pub fn next(&mut self, now: Instant) -> Next {
        self.expire(now);
        let time_up = self.under_way.values().map(|span| span.at).min();
        if !self.connected {
            return Next::Wait(time_up);
        }
        if let Some((_, knock)) = self.silence
            && knock > now
        {
            return Next::Wait(earliest(time_up, Some(knock)));
        }
        let due = self.waiting.iter().rev().filter(|(_, span)| span.at <= now);
        // The first of equals: the newest.
        let Some((&first, &Span { last, .. })) = due.min_by_key(|(_, span)| span.attempts) else {
            let next_due = self.waiting.values().map(|span| span.at).min();
            return Next::Wait(earliest(time_up, next_due));
        };
        let room = u64::from(self.rules.window).saturating_sub(self.records_under_way());
        let enough = (last - first + 1).min(WORTH_A_MESSAGE);
        if room < enough.min(u64::from(self.rules.window)) {
            return Next::Wait(time_up);
        }
        self.refill(now);
        let missing = enough.min(self.burst()).saturating_sub(self.allowance);
        if missing > 0 {
            return Next::Wait(Some(self.allowed_at + self.time_for(missing)));
        }
        if let Some((knocks, _)) = self.silence {
            self.silence = Some((knocks + 1, now + self.back_off(knocks + 1).min(KNOCK_MAX)));
        }
        let most = room.min(self.allowance).min(MESSAGE_RECORDS);
        Next::Backfill { within: (first, last), most: usize::try_from(most).unwrap_or(usize::MAX) }
    }

    /// Records without a receipt, sent or not.
    pub fn outstanding(&self) -> u64 {
        self.records_under_way() + count(&self.waiting)
    }

    /// Records that were sent and whose time for a receipt is not up.
    pub fn records_under_way(&self) -> u64 {
        count(&self.under_way)
    }

    /// What was sent and not receipted in time waits for its next try.
    fn expire(&mut self, now: Instant) {
        let late: Vec<(u64, Span)> = self
            .under_way
            .iter()
            .filter(|(_, span)| span.at <= now)
            .map(|(first, span)| (*first, *span))
            .collect();
        if !late.is_empty()
            && self.silence.is_none()
            && now.saturating_duration_since(self.heard) > self.rules.receipt_timeout * 2
        {
            self.silence = Some((0, now + self.back_off(0)));
        }
        for (first, span) in late {
            self.under_way.remove(&first);
            let at = now + self.back_off(span.attempts);
            self.wait(first, Span { attempts: span.attempts + 1, at, ..span });
        }
    }

    /// The receipt time-out doubled for each attempt, times 0.5 to 1.5; 5 minutes at most before the jitter.
    fn back_off(&mut self, attempts: u32) -> Duration {
        let doubled = self.rules.receipt_timeout.saturating_mul(1 << attempts.min(12));
        doubled.min(BACK_OFF_MAX).mul_f64(0.5 + self.random.f64())
    }

    /// Adds a span to those that wait, joined with its neighbours where they are alike.
    fn wait(&mut self, mut first: u64, mut span: Span) {
        let before = self.waiting.range(..first).next_back().map(|(first, span)| (*first, *span));
        if let Some((before_first, before)) = before
            && before.last.checked_add(1) == Some(first)
            && before.attempts == span.attempts
        {
            self.waiting.remove(&before_first);
            first = before_first;
            span.at = span.at.min(before.at);
        }
        let after_first = span.last.saturating_add(1);
        if let Some(after) = self.waiting.get(&after_first).copied()
            && after.attempts == span.attempts
        {
            self.waiting.remove(&after_first);
            span.last = after.last;
            span.at = span.at.min(after.at);
        }
        self.waiting.insert(first, span);
    }

    fn all_wait(&mut self, now: Instant) {
        for (first, span) in std::mem::take(&mut self.under_way) {
            self.wait(first, Span { at: now, ..span });
        }
    }

    /// All that waits is due now, as if never sent.
    fn hurry(&mut self, now: Instant) {
        for (first, span) in std::mem::take(&mut self.waiting) {
            self.wait(first, Span { attempts: 0, at: now, ..span });
        }
    }

    fn refill(&mut self, now: Instant) {
        let rate = u128::from(self.rules.backfill_records_per_s);
        let passed = now.saturating_duration_since(self.allowed_at).as_micros();
        let earned = passed * rate / 1_000_000;
        // Only whole records are taken off the clock, so that frequent looks do not lose the rest.
        let taken = Duration::from_micros(u64::try_from(earned * 1_000_000 / rate).unwrap_or(0));
        self.allowed_at += taken;
        let earned = u64::try_from(earned).unwrap_or(u64::MAX);
        self.allowance = self.allowance.saturating_add(earned).min(self.burst());
    }

    /// Records that may go at once after a pause.
    fn burst(&self) -> u64 {
        u64::from(self.rules.backfill_records_per_s / 5).max(1)
    }

    /// Until so many records are allowed; never so little that waiting for it would be a busy loop.
    fn time_for(&self, records: u64) -> Duration {
        let micros = records.saturating_mul(1_000_000) / u64::from(self.rules.backfill_records_per_s) + 1;
        Duration::from_micros(micros).max(Duration::from_millis(5))
    }
}

fn count(spans: &Spans) -> u64 {
    spans.iter().map(|(first, span)| span.last - first + 1).sum()
}

fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

/// Takes the records `first..=last` out; gives what was taken.
fn carve(spans: &mut Spans, first: u64, last: u64) -> Vec<(u64, Span)> {
    let before = spans.range(..first).next_back().filter(|(_, span)| span.last >= first).map(|(key, _)| *key);
    let within = spans.range(first..=last).map(|(key, _)| *key);
    let touched: Vec<u64> = before.into_iter().chain(within).collect();
    let mut taken = Vec::with_capacity(touched.len());
    for key in touched {
        let Some(span) = spans.remove(&key) else { continue };
        if key < first {
            spans.insert(key, Span { last: first - 1, ..span });
        }
        if span.last > last {
            spans.insert(last + 1, span);
        }
        taken.push((key.max(first), Span { last: span.last.min(last), ..span }));
    }
    taken
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
