//! The contract between gateway and centre, and nothing else. docs/protocol.md tells it in prose.

/// One supervised MQTT v5 connection.
pub mod connection;
/// Why a broker cannot be had, and what to do.
mod refusal;
/// The files behind TLS, read and checked.
pub mod tls;
/// Opens the way to a broker, protected or not.
mod guard;
/// The bytes beneath the connection.
mod line;
/// What the centre has committed, and what a gateway may therefore delete.
pub mod receipt;
/// One record: its canonical bytes, its hash, its place in the chain.
pub mod record;
/// One epoch's records, link by link. Pure.
pub mod chain;
/// A record's bytes, from what is stored of it.
pub mod rebuild;
/// What a gateway and the centre say of themselves.
pub mod status;
/// Names of topics, and who may use which.
pub mod topic;
