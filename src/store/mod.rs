//! All SQL. Nothing here decides anything that a rule of the domain decides.

/// Episodes of the past: found late, revised, withdrawn.
pub mod history;
/// Warnings that come true, and those of what is told already.
mod foretold;
/// The outbox of alerts.
pub mod alert;
/// From alerts to deliveries.
pub mod dispatch;
/// Tests of the way to people.
pub mod self_test;
/// Deliveries on their way.
pub mod delivery;
/// Open episodes with the newest alert of each.
pub mod active;
/// Who has an episode, and what people did about it.
pub mod handling;
/// Links in messages.
pub mod link;
/// Silences and planned maintenance.
pub mod silence;
/// Tokens of the API.
pub mod token;
/// What happened to alerts, in the order of commits.
pub mod news;
/// Averages.
pub mod average;
/// Masses for the ledger.
pub mod ledger;
/// Submitted periods.
pub mod lock;
/// Substitutes, capture rates, efficiency.
pub mod reckoning;
/// Verdicts.
pub mod verdict;
/// The rows of a gateway's chain, to be verified; how far each chain has come.
pub mod chain;
/// A connection with time-outs on everything.
pub mod connect;
/// How far months and quarters have come.
pub mod course;
/// Windows that are to be computed.
pub mod due;
/// When something begins, goes on and ends.
pub mod episode;
/// Events of gateways.
pub mod event;
/// Signs of life.
pub mod heard;
/// Windows that a change of the law's lists touches.
mod affected;
/// The law as the centre uses it.
pub mod frame;
/// Marks, exemptions, checks, orders, assessments, quotas.
pub mod law;
/// Brings the tables to the version of this program.
pub mod migrate;
/// Partitions, made ahead and on demand.
pub mod partition;
/// Pollutants, rules, enterprises, outlets, gateways: saved repeatably, loaded whole.
pub mod plant;
/// Where records come from, as short numbers.
pub mod provenance;
/// What could not be accepted.
pub mod quarantine;
/// What people ask for: scans, averages with verdicts, alerts, episodes. Reading only.
pub mod read;
/// Scans, in batches.
pub mod scan;
/// One session with its prepared statements; every wait bounded.
pub mod session;
/// Plain partitions or hypertables of TimescaleDB.
pub mod storage;
/// Served against stored.
pub mod audit;
