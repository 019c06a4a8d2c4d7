//! The gateway's figures for Prometheus.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::telemetry;

/// Which analyser, and what became of the request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PollLabels {
    pub analyser: String,
    /// `ok`, `timeout`, `link`, `exception` or `answer`.
    pub outcome: String,
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
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    pub polls: Family<PollLabels, Counter>,
    pub scans: Family<OutletLabels, Counter>,
    pub published: Family<LaneLabels, Counter>,
    pub receipts: Counter,
    pub spool_records: Gauge,
    pub spool_bytes: Gauge,
    pub oldest_age: Gauge,
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
        registry.register("scans", "Scans made", self.scans.clone());
        registry.register("records_published", "Records sent, repeats included", self.published.clone());
        registry.register("receipts", "Receipts taken", self.receipts.clone());
        registry.register("spool_records", "Records without a receipt", self.spool_records.clone());
        registry.register("spool_bytes", "Bytes of these records", self.spool_bytes.clone());
        let oldest = "Age in seconds of the oldest record without a receipt";
        registry.register("oldest_unreceipted_seconds", oldest, self.oldest_age.clone());
    }

    /// Counts one request to an analyser.
    pub fn polled(&self, analyser: &str, outcome: &str) {
        let labels = PollLabels { analyser: analyser.to_owned(), outcome: outcome.to_owned() };
        self.polls.get_or_create(&labels).inc();
    }
}
