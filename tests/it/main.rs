//! Integration tests on real parts, one file a topic.
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

/// The gateway between misbehaving analysers and a real broker.
mod gateway;
