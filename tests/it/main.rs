//! Integration tests on real parts: one file a topic, each test with a database and, where it needs one, a broker of its own.
#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected is to fail loudly"
)]

/// Databases, brokers and waiting, for all tests.
mod support;

/// The private servers: start, outage, and that nothing outlives us.
mod embedded;
/// House rules, as a test.
mod tidy;
