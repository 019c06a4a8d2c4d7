//! What the numbers mean. Nothing here does IO, reads a clock, waits or logs: time and data go in, results come out.

/// Enterprises, outlets, channels, gateways: what must be known about a plant, effective-dated.
pub mod plant;
/// Factor codes of HJ 212 with unit and molar mass.
pub mod pollutant;
/// Units of what analysers measure.
pub mod unit;
/// Values that hold for a time, and which one holds when.
pub mod history;
/// A half-open time that an entry of a list claims.
pub mod times;
/// Shares and percentages that are compared exactly.
pub mod share;
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
/// How a running hour will end.
pub mod outlook;
/// The law's lists, and what of them is about an outlet.
pub mod law;
/// What the source behind an outlet is doing.
pub mod source_state;
/// What an enterprise says about its data, and the bureau about that.
pub mod mark;
/// Device flag, mark, review, and what follows.
pub mod validity;
/// Hours that a rule lets go unjudged.
pub mod exemption;
/// Orders to stop, to reduce, to keep a temporary limit.
pub mod order;
/// Assessments over verdicts: "at least 95 % of the hours of a month".
pub mod assessment;
/// Furnace temperature of waste incineration.
pub mod furnace;
/// Checks that analysers are due, and times out of control.
pub mod quality;
/// Capture rate and transmission efficiency.
pub mod capture;
/// Whether a share will reach its line.
pub mod prospect;
/// Substitutes for missing masses.
pub mod substitution;
/// The ledger of total quantities.
pub mod quota;
/// All that is said of one window of one outlet.
pub mod judgement;
/// When something begins, goes on and ends.
pub mod episode;
/// What a person is told.
pub mod alert;
/// Who is told what, and when.
pub mod alerting;
/// What an alert says in words.
pub mod message;
/// Why an episode was closed, and what was done.
pub mod closing;
/// Links in messages, signed.
pub mod link;
/// Tokens of the API: what each may do, and of whom.
pub mod token;
/// Silences and planned maintenance.
pub mod silence;
/// Who was reached, with the middle hidden.
pub mod recipient;
/// Who has an episode, and what somebody does about it.
pub mod handling;
/// From scans to every average, in one pass, with verdicts: what `cems replay` prints.
pub mod replay;
/// How a number came about, step by step, and whether the stored one comes out again.
pub mod explain;
