//! What could not be accepted: whole bytes and the reason. The same bytes again add no row.

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio_postgres::Client;

use crate::store::session::{Failure, query};

/// Something to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub received_at: Timestamp,
    pub topic: String,
    pub gateway: String,
    /// As it was told, by the record or the message's properties.
    pub epoch: Option<String>,
    pub seqs: Option<(u64, u64)>,
    pub reason: String,
    pub payload: Vec<u8>,
}

/// Keeps it, whole. True when it is new.
///
/// # Errors
/// [`Failure`] when the database does not take it.
pub async fn keep(client: &Client, kept: &Kept) -> Result<bool, Failure> {
    let digest: [u8; 32] = Sha256::digest(&kept.payload).into();
    let number = |seq: u64| i64::try_from(seq).ok();
    let first = kept.seqs.and_then(|(first, _)| number(first));
    let last = kept.seqs.and_then(|(_, last)| number(last));
    let insert = query(client, "INSERT INTO quarantine (received_at, topic, gateway, epoch, seq_first, seq_last, reason, payload, digest) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING RETURNING id",
        &[
            &kept.received_at,
            &without_nul(&kept.topic),
            &without_nul(&kept.gateway),
            &kept.epoch.as_deref().map(without_nul),
            &first,
            &last,
            &without_nul(&kept.reason),
            &kept.payload,
            &digest.as_slice(),
        ],
    ).await;
    insert.map(|rows| !rows.is_empty())
}

/// PostgreSQL's text cannot hold NUL; the payload keeps it.
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
