//! Stands in for stack analysers: process physics behind Modbus registers. Nothing here uses `gateway`: what one lays into
//! registers and the other reads out of them must agree because both are right, not because both are the same code.

/// A test's hand on the running plant: hold a value, silence an analyser.
pub mod control;
/// Every answer with measured values, durable before it is sent.
pub mod ledger;
/// Chance without memory: the same seed and time give the same number.
pub mod noise;
/// The gas in the duct at any moment: load, air leakage, dilution.
pub mod process;
/// Engineering values into register words.
pub mod registers;
/// One Modbus TCP server an analyser.
pub mod server;
/// Modbus requests into answers.
pub mod service;
/// What every analyser shows at any moment: process, events and instrument together.
pub mod simulation;
/// How strongly an event works at any moment.
pub mod timeline;
