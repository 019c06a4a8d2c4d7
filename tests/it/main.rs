//! Integration tests on real parts: one file a topic, each test with a database and, where it needs one, a broker of its own.
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

/// Databases, brokers and waiting, for all tests.
mod support;

/// The private servers: start, outage, and that nothing outlives us.
mod embedded;
/// The simulated plant, as a slave that others can poll.
mod simulator;
/// House rules, as a test.
mod tidy;
