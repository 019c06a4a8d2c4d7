//! What several benches need: figures and their file, a province as a plant document, what processes use.
#![allow(dead_code, reason = "each bench uses a part of it")]

pub mod figures;
pub mod plant;
pub mod process;
