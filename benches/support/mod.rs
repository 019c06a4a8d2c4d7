//! What several benches need: figures and their file, a province as a plant document, what processes use.
#![allow(dead_code, reason = "each bench uses a part of it")]

/// A line a figure, and the file of all of them.
pub mod figures;
/// A province as a plant document.
pub mod plant;
/// What processes use.
pub mod process;
