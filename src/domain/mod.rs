//! What the numbers mean. Nothing here does IO, reads a clock, waits or logs: time and data go in, results come out.

/// Flags of readings (HJ 212) and statuses of windows (HJ 76).
pub mod flag;
/// Values that hold for a time, and which one holds when.
pub mod history;
/// Rules: the law's numbers and when they apply.
pub mod limit;
/// Enterprises, outlets, channels, gateways: what must be known about a plant, effective-dated.
pub mod plant;
/// Factor codes of HJ 212 with unit and molar mass.
pub mod pollutant;
/// All channels of an outlet at one tick.
pub mod scan;
