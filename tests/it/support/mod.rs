//! What all tests stand on. Tests are `#[tokio::test(flavor = "multi_thread")]`, own their database and their broker, use no fixed
//! port, and wait for conditions, never for a time.

/// A database of its own for each test, on a PostgreSQL that all share.
pub mod database;
/// Servers that belong to one test, to be killed and paused at will.
pub mod servers;
/// Certificates, and brokers that ask for them.
pub mod certificates;
/// A disk whose power can be cut.
pub mod disk;
/// The one helper that waits.
pub mod wait;
/// A running centre and a webhook that remembers.
pub mod centre;
/// The demonstration plant, simulated, with its gateway.
pub mod plant;
/// What was served against what is stored.
pub mod ledger;
/// The figures that must come out, by hand.
pub mod formulas;
/// All of it together.
pub mod chain;
/// A centre with everything around it.
pub mod world;
/// Independent Modbus slaves.
pub mod pymodbus;
/// What they serve.
pub mod register_image;
/// A serial line without hardware.
pub mod serial_line;
/// What tables, views and functions are, as lines.
pub mod schema;
/// An alert that somebody was told of.
pub mod alerted;
/// What people are told, without its times.
pub mod told;
