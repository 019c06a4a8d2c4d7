//! The centre's figures for `/metrics`.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::telemetry::Metrics;

const BUCKETS: [f64; 14] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0];

/// Figures by channel of notification.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfChannel {
    channel: String,
}

/// Figures by rule of alerting.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRule {
    rule: String,
}

/// Counters and gauges of one centre.
#[derive(Debug, Clone)]
pub struct Meters {
    messages: Counter,
    scans_stored: Counter,
    scans_known: Counter,
    quarantined: Counter,
    withheld: Counter,
    left_out: Counter,
    windows: Counter,
    revisions: Counter,
    deliveries: Family<OfChannel, Counter>,
    failed_deliveries: Family<OfChannel, Counter>,
    waiting_deliveries: Family<OfChannel, Gauge>,
    dead_deliveries: Family<OfChannel, Gauge>,
    test_seconds: Family<OfChannel, Gauge<f64, AtomicU64>>,
    precision: Family<OfRule, Gauge<f64, AtomicU64>>,
    closed: Family<OfRule, Gauge>,
    backlog: Gauge,
    batch_seconds: Histogram,
    delivery_seconds: Family<OfChannel, Histogram>,
}

impl Meters {
    /// Registers all of them.
    pub fn new(metrics: &Metrics) -> Meters {
        let meters = Meters {
            messages: Counter::default(),
            scans_stored: Counter::default(),
            scans_known: Counter::default(),
            quarantined: Counter::default(),
            withheld: Counter::default(),
            left_out: Counter::default(),
            windows: Counter::default(),
            revisions: Counter::default(),
            deliveries: Family::default(),
            failed_deliveries: Family::default(),
            waiting_deliveries: Family::default(),
            dead_deliveries: Family::default(),
            test_seconds: Family::default(),
            precision: Family::default(),
            closed: Family::default(),
            backlog: Gauge::default(),
            batch_seconds: Histogram::new(BUCKETS),
            delivery_seconds: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
        };
        metrics.register(|registry| {
            let registry = registry.sub_registry_with_prefix("cems_central");
            registry.register(
                "messages",
                "MQTT messages taken into a committed batch",
                meters.messages.clone(),
            );
            registry.register("scans_stored", "Scans stored, each once", meters.scans_stored.clone());
            registry.register("scans_known", "Scans that were stored before", meters.scans_known.clone());
            registry.register("quarantined", "Records kept in quarantine", meters.quarantined.clone());
            registry.register(
                "receipts_withheld",
                "Refused records, counted at each try, that got no receipt since quarantine is full for their gateway",
                meters.withheld.clone(),
            );
            registry.register(
                "messages_left_out",
                "MQTT messages that found no room and come again for want of a receipt",
                meters.left_out.clone(),
            );
            registry.register("windows", "Windows computed", meters.windows.clone());
            registry.register(
                "revisions",
                "Window figures that were new or changed",
                meters.revisions.clone(),
            );
            registry.register("deliveries", "Alerts delivered to a channel", meters.deliveries.clone());
            registry.register(
                "deliveries_failed",
                "Attempts at delivery that failed",
                meters.failed_deliveries.clone(),
            );
            registry.register("due_windows", "Windows that wait to be computed", meters.backlog.clone());
            registry.register(
                "batch_seconds",
                "From a batch's start to its COMMIT",
                meters.batch_seconds.clone(),
            );
            let help = "From an alert's creation to its delivery";
            registry.register("delivery_seconds", help, meters.delivery_seconds.clone());
            meters.register_people(registry);
        });
        meters
    }

    fn register_people(&self, registry: &mut Registry) {
        let help = "Deliveries that wait for a channel";
        registry.register("deliveries_waiting", help, self.waiting_deliveries.clone());
        let help = "Deliveries that were given up";
        registry.register("deliveries_dead", help, self.dead_deliveries.clone());
        let help = "How long the newest test of the way to people took";
        registry.register("self_test_seconds", help, self.test_seconds.clone());
        let help =
            "Share of closed episodes of a rule of alerting whose reason confirms the alert, in 90 days";
        registry.register("alert_precision", help, self.precision.clone());
        let help = "Closed episodes of a rule of alerting in 90 days";
        registry.register("alerts_closed", help, self.closed.clone());
    }

    /// What waits on a channel and what was given up.
    pub fn deliveries_waiting(&self, channel: &str, waiting: i64, dead: i64) {
        let of = OfChannel { channel: channel.to_owned() };
        self.waiting_deliveries.get_or_create(&of).set(waiting);
        self.dead_deliveries.get_or_create(&of).set(dead);
    }

    /// How long the newest test by a channel took.
    pub fn tested(&self, channel: &str, seconds: f64) {
        self.test_seconds.get_or_create(&OfChannel { channel: channel.to_owned() }).set(seconds);
    }

    /// How often a rule was right, of so many closed episodes.
    pub fn precision(&self, rule: &str, share: f64, closed: u64) {
        let of = OfRule { rule: rule.to_owned() };
        self.precision.get_or_create(&of).set(share);
        self.closed.get_or_create(&of).set(i64::try_from(closed).unwrap_or(i64::MAX));
    }

    /// A batch was committed.
    pub fn batch(&self, messages: usize, seconds: f64) {
        self.messages.inc_by(count(messages));
        self.batch_seconds.observe(seconds);
    }

    /// Of `all` scans, `stored` were new.
    pub fn scans(&self, stored: usize, all: usize) {
        self.scans_stored.inc_by(count(stored));
        self.scans_known.inc_by(count(all.saturating_sub(stored)));
    }

    /// One more record in quarantine.
    pub fn quarantined(&self) {
        self.quarantined.inc();
    }

    /// So many records got no receipt since quarantine is full for their gateway.
    pub fn withheld(&self, records: u64) {
        self.withheld.inc_by(records);
    }

    /// A message found no room.
    pub fn left_out(&self) {
        self.left_out.inc();
    }

    /// Windows were computed; of them `changed` made a revision.
    pub fn windows(&self, computed: usize, changed: usize) {
        self.windows.inc_by(count(computed));
        self.revisions.inc_by(count(changed));
    }

    /// Windows computed and revisions made so far.
    pub fn totals(&self) -> (usize, usize) {
        let number = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        (number(self.windows.get()), number(self.revisions.get()))
    }

    /// So many windows wait.
    pub fn backlog(&self, waiting: i64) {
        self.backlog.set(waiting);
    }

    /// An alert reached a channel.
    pub fn delivered(&self, channel: &str, seconds: f64) {
        let of = OfChannel { channel: channel.to_owned() };
        self.deliveries.get_or_create(&of).inc();
        self.delivery_seconds.get_or_create(&of).observe(seconds);
    }

    /// An attempt failed.
    pub fn delivery_failed(&self, channel: &str) {
        self.failed_deliveries.get_or_create(&OfChannel { channel: channel.to_owned() }).inc();
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
