//! Configuration: as written -> checked. All problems at once; unknown keys refused; nothing is opened before all is clean.

/// Pollutants, rules and plant of all files together, checked against each other.
pub mod catalogue;
/// Where the broker is and how the way to it is protected.
pub mod broker;
/// `central/1`: the centre.
pub mod central;
/// What a single value may be.
pub mod check;
/// A file as written: values with their lines, overlaid by the environment.
pub mod document;
/// The gateway's configuration.
pub mod gateway;
/// The kinds of document, by `schema`: one function that checks any file.
pub mod kind;
/// `plant/1`: enterprises, outlets with their analysers and channels, gateways, who is told.
pub mod plant;
/// `pollutants/1`: factor codes with names and units.
pub mod pollutants;
/// Marks, exemptions, checks, orders, assessments, quotas: lists of `plant/1` and `rules/1`.
pub(in crate::config) mod law;
/// `[[notify]]` of `plant/1`: where alerts go, by kind.
pub mod notify;
/// What is wrong, where, and what is allowed.
pub mod problem;
/// `readings.csv`: what `cems replay` works on.
pub mod readings;
/// `rules/1`: limits with their documents.
pub mod rules;
/// What the simulator serves, and what happens when.
pub mod scenario;
/// The data that the binary carries: pollutants, rules, the demonstration plant.
pub mod seeds;
/// Texts with places to be filled in.
pub mod template;

pub use kind::{check_file, check_files};
