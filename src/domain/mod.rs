//! What the numbers mean. Nothing here does IO, reads a clock, waits or logs: time and data go in, results come out.

/// Enterprises, outlets, channels, gateways: what must be known about a plant, effective-dated.
pub mod plant;
/// Factor codes of HJ 212 with unit and molar mass.
pub mod pollutant;
/// Values that hold for a time, and which one holds when.
pub mod history;
/// Flags of readings (HJ 212) and statuses of windows (HJ 76).
pub mod flag;
/// All channels of an outlet at one tick.
pub mod scan;
/// Whether a reading counts, and under which flag.
pub mod validation;
/// From measured to standard, dry and corrected values.
pub mod correction;
/// One number by hand, every step shown.
pub mod calculation;
/// One scan through validation and correction.
pub mod evaluation;
/// Flow and mass.
pub mod emission;
/// The bounds of averaging periods.
pub mod window;
/// What a jurisdiction's procedure prescribes: counts, constants, order of steps.
pub mod regime;
/// Averages of scans and of shorter windows.
pub mod average;
/// Rules: the law's numbers and when they apply.
pub mod limit;
/// Verdicts on windows, early warnings on scans.
pub mod exceedance;
/// When something begins, goes on and ends.
pub mod episode;
/// What a person is told.
pub mod alert;
/// From scans to every average, in one pass, with verdicts: what `cems replay` prints.
pub mod replay;
/// How a number came about, step by step, and whether the stored one comes out again.
pub mod explain;
