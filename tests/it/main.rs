//! Integration tests on real parts: one file a topic, each test with a database and, where it needs one, a broker of its own.
#![allow(
    clippy::float_cmp,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "a test that meets the unexpected is to fail loudly"
)]

/// Databases, brokers and waiting, for all tests.
mod support;

/// The private servers: start, outage, and that nothing outlives us.
mod embedded;
mod escalation;
/// The stack analysers' stand-in, over real Modbus TCP.
mod simulator;
/// The gateway between misbehaving analysers and a real broker.
mod gateway;
/// The disk under the gateway: power cuts, failure, no space.
mod power;
/// The centre, fed with records made by hand.
mod central;
/// From one register to one alert.
mod chain;
/// Hundreds of gateways come back at once.
mod storm;
/// Who falls silent is told once.
mod silence;
/// Each kind of alert, provoked.
mod alert_kinds;
/// Parts fail; nothing is lost.
mod outage;
/// The fault harness: one world, lines that fail, and an account of everything.
#[path = "../outage/mod.rs"]
mod harness;
/// Its short set.
#[path = "../outage/short.rs"]
mod short;
/// `cems check-config` as a user runs it.
mod check_config;
/// `cems probe`, `cems poll` and `cems gateway plan` as a user runs them.
mod probe;
/// `cems calc` as a user runs it.
mod calc;
/// Channels of notification against stand-ins that misbehave, real mail and a real Alertmanager.
mod notify;
/// Averages and verdicts against an oracle that shares no code.
mod oracle;
/// `cems replay`: case folders, any order, bad input.
mod replay;
/// Pollutants, rules and plant in a real PostgreSQL.
mod plant;
/// The law's lists in a real PostgreSQL.
mod law;
/// Rules of alerting, teams and duty: documents, a real PostgreSQL, `cems roster`.
mod people;
/// `cems demo` as a newcomer runs it.
mod demo;
/// What tests read of messages.
mod telling;
/// Heartbeats, tests of the way to people, emergencies.
mod trust;
/// From the outbox to channels, under load and failure.
mod delivery;
/// HTTP and `cems explain`.
mod web;
/// The same figures from the live pipeline, recomputation and replay.
mod identical;
/// Hostile gateways, dead endpoints, late windows.
mod hostile;
/// The law in use: marks, exemptions, orders, quotas, substitution, submitted periods.
mod lawful;
/// Lines to analysers, and what is late on them.
mod lines;
/// Messages that cannot be read.
mod unreadable;
/// Configuration changes while readings flow.
mod configuration;
/// One percent of poison.
mod poison;
/// Two hundred mistakes.
mod mutated;
/// The time zone of the machine.
mod time_zone;
/// A broker that hangs.
mod hung_broker;
/// TLS to the broker: who is trusted, who is refused, and in which words.
mod tls;
/// An outlet moves to another gateway.
mod moved;
/// A gateway's spool is gone.
mod lost_spool;
/// Quarantine: its cap, retry and discard.
mod quarantine;
/// The API of alerts: handling, silences, rules, events.
mod alert_api;
/// The page of a link in a message.
mod alert_links;
/// Tokens of the API.
mod tokens;
/// `cems alert` as a user runs it.
mod alert_cli;
/// `cems verify` against a superuser.
mod verify;
/// Windows on the real store.
mod windows;
/// Migrations killed half-way, and under load.
mod migrate;
/// Hypertables, where the server has TimescaleDB.
mod timescale;
/// House rules, as a test.
mod tidy;
