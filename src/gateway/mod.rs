//! The field gateway, in the order in which a reading passes.

/// When to scan: ticks on the wall clock's whole periods.
pub mod schedule;
/// Which blocks of registers to ask for, and what scan the answers make.
pub mod plan;
/// Register words to readings.
pub mod register;
