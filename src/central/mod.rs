//! The centre: from the broker's messages to stored scans, averages, verdicts and alerts. Start with `pipeline`.

/// What a message is worth. Pure.
pub mod intake;
/// How far each chain has come.
mod heads;
/// Quarantined records once more, when their cause is mended.
pub mod retry;
/// Every record rebuilt from its row, and the chains checked.
pub mod verify;
/// Windows computed again.
pub mod recompute;
/// Signs of life in memory.
pub mod life;
/// Wiring of all of it.
pub mod start;
/// What has arrived, live first.
pub mod inbox;
/// Receipts on their way out.
pub mod clerk;
/// Figures for `/metrics`.
pub mod meters;
/// Alerts to people.
pub mod notify;
/// One batch to COMMIT: read this first.
pub mod pipeline;
/// What is told of records that were not accepted.
mod refusal;
/// What a batch has committed.
pub mod receipts;
/// What a gateway's trouble concerns. Pure.
mod concern;
/// What was seen, as its rule has it, and its way to the episodes.
mod seen;
/// What gateways say of themselves.
mod gateways;
/// Whether work piles up.
mod backlog;
/// Whether months and quarters will reach their lines.
mod risks;
/// How far quotas are used.
mod quotas;
/// Who is silent.
pub mod silence;
/// Messages in, receipts and acknowledgements out.
pub mod subscribe;
/// What single scans show. Pure.
pub mod warning;
/// Due windows to averages.
pub mod windows;
/// Verdicts, and what follows for episodes.
mod judging;
/// Quarters and quotas.
pub mod reckoning;

pub use start::{Error, Links, Running, start};
