//! The gateway's figures for Prometheus.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::gateway::modbus::Fault;
use crate::gateway::publish::offset::Offset;
use crate::gateway::spool::keeper::State;
use crate::telemetry;

/// Upper bounds of the buckets of answer times.
const ANSWER_SECONDS: [f64; 8] = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0];

/// Which analyser, and what became of the request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PollLabels {
    pub analyser: String,
    /// `ok`, `timeout`, `link`, `exception` or `answer`.
    pub outcome: String,
}

/// Which analyser.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AnalyserLabels {
    pub analyser: String,
}

/// Which line.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LineLabels {
    pub line: String,
}

/// What is counted of one analyser, looked up once.
#[derive(Debug, Clone)]
pub struct AnalyserCounters {
    ok: Counter,
    /// By [`Fault::outcome`].
    failed: [(&'static str, Counter); 4],
    seconds: Histogram,
}

impl AnalyserCounters {
    /// Counts one request.
    pub fn count(&self, fault: Option<&Fault>) {
        let Some(fault) = fault else {
            self.ok.inc();
            return;
        };
        if let Some((_, counter)) = self.failed.iter().find(|(outcome, _)| *outcome == fault.outcome()) {
            counter.inc();
        }
    }

    /// Notes how long an answer took.
    pub fn took(&self, time: Duration) {
        self.seconds.observe(time.as_secs_f64());
    }
}

/// Which outlet.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutletLabels {
    pub outlet: String,
}

/// By which way.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LaneLabels {
    pub lane: String,
}

/// What a gateway counts. Clones share the figures.
#[derive(Debug, Clone)]
pub struct Metrics {
    pub polls: Family<PollLabels, Counter>,
    pub answer_seconds: Family<AnalyserLabels, Histogram, fn() -> Histogram>,
    pub capture: Family<AnalyserLabels, Gauge<f64, AtomicU64>>,
    pub late_answers: Family<LineLabels, Counter>,
    pub scans: Family<OutletLabels, Counter>,
    pub published: Family<LaneLabels, Counter>,
    pub receipts: Counter,
    /// Seconds since 1970; 0 before the first.
    pub last_receipt: Gauge,
    pub spool_records: Gauge,
    pub spool_bytes: Gauge,
    pub oldest_age: Gauge,
    pub spool_level: Gauge,
    pub spool_alarm: Gauge,
    pub spool_hours: Gauge<f64, AtomicU64>,
    pub spool_hours_left: Gauge<f64, AtomicU64>,
    pub scan_bytes: Gauge<f64, AtomicU64>,
    pub scans_left_out: Gauge,
    pub clock_offset: Gauge<f64, AtomicU64>,
    pub clock_offset_error: Gauge<f64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics {
            polls: Family::default(),
            answer_seconds: Family::new_with_constructor(|| Histogram::new(ANSWER_SECONDS)),
            capture: Family::default(),
            late_answers: Family::default(),
            scans: Family::default(),
            published: Family::default(),
            receipts: Counter::default(),
            last_receipt: Gauge::default(),
            spool_records: Gauge::default(),
            spool_bytes: Gauge::default(),
            oldest_age: Gauge::default(),
            spool_level: Gauge::default(),
            spool_alarm: Gauge::default(),
            spool_hours: Gauge::default(),
            spool_hours_left: Gauge::default(),
            scan_bytes: Gauge::default(),
            scans_left_out: Gauge::default(),
            clock_offset: Gauge::default(),
            clock_offset_error: Gauge::default(),
        }
    }
}

impl Metrics {
    /// Registers them, each labelled with the gateway's name.
    pub fn register(&self, metrics: &telemetry::Metrics, gateway: &str) {
        metrics.register(|registry| self.enter(registry, gateway));
    }

    fn enter(&self, registry: &mut Registry, gateway: &str) {
        let label = ("gateway".into(), gateway.to_owned().into());
        let registry = registry.sub_registry_with_prefix("cems_gateway").sub_registry_with_label(label);
        registry.register("polls", "Modbus requests by analyser and outcome", self.polls.clone());
        let seconds = "Seconds from a Modbus request to its answer";
        registry.register("answer_seconds", seconds, self.answer_seconds.clone());
        let capture = "Share of the last hour's scans that an analyser served whole";
        registry.register("capture_ratio", capture, self.capture.clone());
        let late = "Answers on RTU lines that came after their time-out and were read away";
        registry.register("late_answers", late, self.late_answers.clone());
        registry.register("scans", "Scans made", self.scans.clone());
        registry.register("records_published", "Records sent, repeats included", self.published.clone());
        registry.register("receipts", "Receipts taken", self.receipts.clone());
        let last = "When the last receipt came, in seconds since 1970; 0 before the first";
        registry.register("last_receipt_timestamp_seconds", last, self.last_receipt.clone());
        registry.register("spool_records", "Records without a receipt", self.spool_records.clone());
        registry.register("spool_bytes", "Bytes of these records", self.spool_bytes.clone());
        let oldest = "Age in seconds of the oldest record without a receipt";
        registry.register("oldest_unreceipted_seconds", oldest, self.oldest_age.clone());
        let level = "Highest of 80, 90, 95 and 100 percent that the spool has reached, 0 for none";
        registry.register("spool_level_percent", level, self.spool_level.clone());
        registry.register(
            "spool_alarm",
            "1 while something is wrong with the spool",
            self.spool_alarm.clone(),
        );
        let hours = "Hours of scans at their full rate that an empty spool holds";
        registry.register("spool_capacity_hours", hours, self.spool_hours.clone());
        let left = "Hours until the spool is full when nothing is receipted";
        registry.register("spool_hours_left", left, self.spool_hours_left.clone());
        registry.register("scan_bytes", "Bytes of one scan's record, running mean", self.scan_bytes.clone());
        let left_out = "Scans not kept because the spool was full, since the start";
        registry.register("scans_left_out", left_out, self.scans_left_out.clone());
        let offset = "The gateway's clock minus the centre's, seconds; NaN while unknown";
        registry.register("clock_offset_seconds", offset, self.clock_offset.clone());
        let error = "How wrong the clock offset may be, seconds; NaN while unknown";
        registry.register("clock_offset_error_seconds", error, self.clock_offset_error.clone());
        self.note_offset(None);
    }

    /// Takes over what the spool says of itself.
    pub fn note_spool(&self, state: &State, now: Timestamp) {
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.spool_records.set(gauge(state.records));
        self.spool_bytes.set(gauge(state.bytes));
        self.oldest_age.set(state.oldest.map_or(0, |oldest| now.duration_since(oldest).as_secs()));
        self.spool_level.set(i64::from(state.level));
        self.spool_alarm.set(i64::from(state.alarm.is_some()));
        self.spool_hours.set(state.hours.unwrap_or(f64::NAN));
        self.spool_hours_left.set(state.hours_left.unwrap_or(f64::NAN));
        self.scan_bytes.set(state.scan_bytes);
        self.scans_left_out.set(gauge(state.left_out));
    }

    /// The counters of one analyser.
    pub fn of_analyser(&self, analyser: &str) -> AnalyserCounters {
        let counter = |outcome: &str| {
            let labels = PollLabels { analyser: analyser.to_owned(), outcome: outcome.to_owned() };
            self.polls.get_or_create(&labels).clone()
        };
        let labels = AnalyserLabels { analyser: analyser.to_owned() };
        AnalyserCounters {
            ok: counter("ok"),
            failed: ["timeout", "link", "exception", "answer"].map(|outcome| (outcome, counter(outcome))),
            seconds: self.answer_seconds.get_or_create(&labels).clone(),
        }
    }

    /// The share of its scans that an analyser served.
    pub fn capture_of(&self, analyser: &str) -> Gauge<f64, AtomicU64> {
        self.capture.get_or_create(&AnalyserLabels { analyser: analyser.to_owned() }).clone()
    }

    /// Counts answers that came when nobody waited for them any more.
    pub fn late(&self, line: &str, answers: u64) {
        if answers > 0 {
            self.late_answers.get_or_create(&LineLabels { line: line.to_owned() }).inc_by(answers);
        }
    }

    /// Takes over how far the clocks are apart.
    pub fn note_offset(&self, offset: Option<Offset>) {
        let seconds = |ms: i64| jiff::SignedDuration::from_millis(ms).as_secs_f64();
        self.clock_offset.set(offset.map_or(f64::NAN, |offset| seconds(offset.offset_ms)));
        self.clock_offset_error.set(offset.map_or(f64::NAN, |offset| seconds(offset.error_ms)));
    }
}
