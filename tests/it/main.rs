//! Integration tests on real parts: one binary, one file a topic.
#![allow(
    clippy::float_cmp,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "a test that meets the unexpected is to fail loudly"
)]

/// `cems check-config` as a user runs it.
mod check_config;
/// Pollutants, rules and plant in a real PostgreSQL.
mod plant;
