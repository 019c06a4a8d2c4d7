//! Configuration: as written -> checked. All problems at once; unknown keys refused; nothing is opened before all is clean.

/// What a single value may be.
pub mod check;
/// A file as written: values with their lines, overlaid by the environment.
pub mod document;
/// The gateway's configuration.
pub mod gateway;
/// What is wrong, where, and what is allowed.
pub mod problem;
