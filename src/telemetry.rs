//! Logging, metrics and readiness: what the program says about itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::clock;

/// Where log lines go and how they look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people at a terminal.
    Text,
    /// One JSON object a line, for log collectors.
    Json,
}

/// Starts logging to standard error. The level comes from `CEMS_LOG` (default `info`). A second call does nothing.
pub fn start_logging(format: LogFormat) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_env("CEMS_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,rumqttc=warn,tokio_postgres=warn"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // An error means that logging runs already, which is what was asked for.
    let _already_running = match format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}

/// One part that must work before the whole is ready.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Part {
    pub ready: bool,
    /// What is wrong and what to do about it; "ok", or what is in use, when ready.
    pub detail: String,
    /// Since when it is so.
    pub since: Timestamp,
}

/// Which parts work. Cloned freely; all clones show the same.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<&'static str, Part>>>);

impl Readiness {
    /// Notes the state of one part; the first note of a part makes it a part of the whole.
    pub fn set(&self, part: &'static str, ready: bool, detail: &str) {
        let mut parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = match parts.get(part) {
            Some(known) if known.ready == ready => known.since,
            Some(_) | None => clock::now(),
        };
        parts.insert(part, Part { ready, detail: detail.to_owned(), since });
    }

    /// All parts with their state.
    pub fn parts(&self) -> BTreeMap<&'static str, Part> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// True when there is at least one part and all are ready.
    pub fn all_ready(&self) -> bool {
        let parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !parts.is_empty() && parts.values().all(|part| part.ready)
    }
}

/// The registry behind `/metrics`. Every role registers its own figures in it once, at start.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Arc<Mutex<Registry>>);

impl Metrics {
    /// Hands the registry to `register`.
    pub fn register(&self, register: impl FnOnce(&mut Registry)) {
        register(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The text that Prometheus reads.
    ///
    /// # Errors
    /// Only when formatting into memory fails.
    pub fn render(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        let registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        Ok(text)
    }
}

/// The parts for Prometheus: `cems_ready{part="database"}` is 1 while the part is ready, 0 while it is not.
#[derive(Debug)]
struct Parts(Readiness);

impl Collector for Parts {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let parts = self.0.parts();
        if parts.is_empty() {
            return Ok(());
        }
        let help = "1 while this part is ready; /readyz says what is wrong";
        let mut family = encoder.encode_descriptor("cems_ready", help, None, MetricType::Gauge)?;
        for (name, part) in parts {
            let labels = [("part", name)];
            ConstGauge::new(i64::from(part.ready)).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// What every role gets to report with. The figures say of each part whether it is ready.
#[derive(Debug, Clone)]
pub struct Reporting {
    pub readiness: Readiness,
    pub metrics: Metrics,
}

impl Default for Reporting {
    fn default() -> Reporting {
        let (readiness, metrics) = (Readiness::default(), Metrics::default());
        metrics.register(|registry| registry.register_collector(Box::new(Parts(readiness.clone()))));
        Reporting { readiness, metrics }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_has_a_figure_of_its_own() {
        let reporting = Reporting::default();
        assert!(!reporting.metrics.render().unwrap().contains("cems_ready"), "nothing has said anything yet");
        reporting.readiness.set("database", false, "away");
        reporting.readiness.set("broker", true, "ok");
        let text = reporting.metrics.render().unwrap();
        assert!(text.contains("# TYPE cems_ready gauge\n"), "{text}");
        assert!(text.contains("cems_ready{part=\"broker\"} 1\n"), "{text}");
        assert!(text.contains("cems_ready{part=\"database\"} 0\n"), "{text}");
        reporting.readiness.set("database", true, "ok");
        assert!(reporting.metrics.render().unwrap().contains("cems_ready{part=\"database\"} 1\n"));
        assert!(reporting.metrics.render().unwrap().ends_with("# EOF\n"));
    }
}
