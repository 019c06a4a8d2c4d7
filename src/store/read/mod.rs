//! What people ask for. Nothing here writes, and every statement is bounded in time by constants, so that the server opens
//! only the partitions that it needs.

/// The newest scan of outlets, and what is open there.
pub mod live;
/// Scans of a time, with where they come from.
pub mod scans;
/// Averages of a time, latest revisions, and the verdicts on them.
pub mod averages;
/// Alerts with what became of them.
pub mod alerts;
/// What became of alerts on their way to people.
pub mod deliveries;
/// One episode with everything about it.
pub mod episode;
/// Episodes of a time.
pub mod episodes;
/// All that is stored about one moment.
pub mod evidence;

/// Readings that a gateway of ours made.
pub const REGISTERS: i16 = 1;
