//! Continuous emissions monitoring. Read the modules in this order and you follow one reading from the
//! analyser's register to the alert; ARCHITECTURE.md tells the same story in sentences.
#![cfg_attr(
    test,
    allow(
        clippy::float_cmp,
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_possible_wrap,
        reason = "a test that meets the unexpected is to fail loudly"
    )
)]

/// What the numbers mean: flags, plant, correction, averages, verdicts. No IO, clock, async or logging.
pub mod domain;
/// Configuration files, as written and as checked; every problem at once.
pub mod config;
/// Stands in for stack analysers: process physics behind Modbus registers. Knows nothing of `gateway`.
pub mod simulator;
/// Polls analysers, makes scans, keeps them in the spool until the centre has receipted them.
pub mod gateway;
/// The contract between gateway and centre: topics, records, receipts, status.
pub mod mqtt;
/// Receives records, validates, corrects, stores, receipts, averages, judges, alerts.
pub mod central;
/// All SQL.
pub mod store;
/// HTTP: health, metrics, read-only API.
pub mod web;
/// PostgreSQL and mosquitto as private child processes, for the demo, the tests and small sites.
pub mod embedded;
/// One file a subcommand; wiring only.
pub mod cli;

/// The only reader of the clock.
pub mod clock;
/// One token that asks everything to stop.
pub mod shutdown;
/// Logging, metrics, readiness.
pub mod telemetry;
