//! What the process returns to its caller.
use std::process::ExitCode;

/// All went well.
pub const OK: ExitCode = ExitCode::SUCCESS;
/// The work failed: something that we need (database, broker, port) failed us.
pub const FAILED: u8 = 1;
/// The caller's input (arguments, configuration, data) is wrong; nothing was started or changed.
pub const WRONG_INPUT: u8 = 2;
/// The work was done, and found something that a person must look at.
pub const FOUND: u8 = 3;
