//! The fault harness: the whole chain as processes of its own, a hand that breaks any part of it, and an oracle that counts afterwards.
//! `short.rs` is the part of it that `make test` runs, `torture.rs` the long one.

/// The chain: PostgreSQL, broker, centres, gateways, analysers.
pub mod world;
/// A program of ours as a child process, to be killed at will.
pub mod process;
/// A mosquitto that keeps files, so that they can be deleted.
pub mod broker;
/// A line that can be cut, held, slowed down.
pub mod proxy;
/// Plant, scenario and configuration files for any number of outlets.
pub mod documents;
/// The analysers and their ledger.
pub mod witness;
/// A listener at the broker, who can also say everything again.
pub mod spy;
/// What was served against what is stored, and all that must hold at rest.
pub mod account;
/// Averages, episodes and alerts at rest.
pub mod derived;
/// Each fault, injected and recovered from.
pub mod faults;
/// Faults of the database.
pub mod store_faults;
/// The gateway's clock is set.
pub mod clock_step;
/// What a superuser does to stored rows.
pub mod edits;
