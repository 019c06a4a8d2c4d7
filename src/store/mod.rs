//! All SQL. Nothing here decides anything that a rule of the domain decides.

/// A connection with time-outs on everything.
pub mod connect;
/// Brings the tables to the version of this program.
pub mod migrate;
/// Pollutants, rules, enterprises, outlets, gateways: saved repeatably, loaded whole.
pub mod plant;
