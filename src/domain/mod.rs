//! What the numbers mean. Nothing here does IO, reads a clock, waits or logs: time and data go in, results come out.

/// What a person is told.
pub mod alert;
/// Assessments over verdicts: "at least 95 % of the hours of a month".
pub mod assessment;
/// Averages of scans and of shorter windows.
pub mod average;
/// Capture rate and transmission efficiency.
pub mod capture;
/// From measured to standard, dry and corrected values.
pub mod correction;
/// Flow and mass.
pub mod emission;
/// When something begins, goes on and ends.
pub mod episode;
/// One scan through validation and correction.
pub mod evaluation;
/// Verdicts on windows, early warnings on scans.
pub mod exceedance;
/// Hours that a rule lets go unjudged.
pub mod exemption;
/// Flags of readings (HJ 212) and statuses of windows (HJ 76).
pub mod flag;
/// Furnace temperature of waste incineration.
pub mod furnace;
/// Values that hold for a time, and which one holds when.
pub mod history;
/// The law's lists, and what of them is about an outlet.
pub mod law;
/// Rules: the law's numbers and when they apply.
pub mod limit;
/// What an enterprise says about its data, and the bureau about that.
pub mod mark;
/// Orders to stop, to reduce, to keep a temporary limit.
pub mod order;
/// Enterprises, outlets, channels, gateways: what must be known about a plant, effective-dated.
pub mod plant;
/// Factor codes of HJ 212 with unit and molar mass.
pub mod pollutant;
/// Checks that analysers are due, and times out of control.
pub mod quality;
/// The ledger of total quantities.
pub mod quota;
/// What a jurisdiction's procedure prescribes: counts, constants, order of steps.
pub mod regime;
/// All channels of an outlet at one tick.
pub mod scan;
/// Shares and percentages that are compared exactly.
pub mod share;
/// What the source behind an outlet is doing.
pub mod source_state;
/// Substitutes for missing masses.
pub mod substitution;
/// A half-open time.
pub mod times;
/// Whether a reading counts, and under which flag.
pub mod validation;
/// Device flag, mark, review, and what follows.
pub mod validity;
/// The bounds of averaging periods.
pub mod window;
