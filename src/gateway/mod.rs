//! The field gateway, in the order in which a reading passes.

/// Event records: what happened at the gateway itself.
pub mod event;
/// Which blocks of registers to ask for, and what scan the answers make.
pub mod plan;
/// Register words to readings.
pub mod register;
/// When to scan: ticks on the wall clock's whole periods.
pub mod schedule;
/// Records on disk until the centre has receipted them.
pub mod spool;
