//! Events that gateways recorded.

use jiff::Timestamp;
use tokio_postgres::Client;

use crate::store::session::{Failure, query, query_opt};

/// An event record ready to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    pub gateway_id: i32,
    pub provenance_id: i32,
    pub epoch: uuid::Uuid,
    pub seq: i64,
    pub at: Timestamp,
    pub received_at: Timestamp,
    pub event: String,
    /// Canonical JSON.
    pub detail: String,
    pub hash: [u8; 32],
    pub prev: [u8; 32],
}

/// What storing an event did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    New,
    /// The same record was there.
    Known,
    /// Another record was there.
    Conflict,
}

/// Stores an event, once.
///
/// # Errors
/// [`Failure`] when the database does not take it.
pub async fn store(client: &Client, event: &NewEvent) -> Result<Stored, Failure> {
    let epoch = event.epoch.to_string();
    let insert = query(client, "INSERT INTO event (gateway_id, provenance_id, epoch, seq, at, received_at, event, detail, hash, prev) \
         VALUES ($1, $2, $3::text::uuid, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING RETURNING seq",
        &[
            &event.gateway_id,
            &event.provenance_id,
            &epoch,
            &event.seq,
            &event.at,
            &event.received_at,
            &event.event,
            &event.detail,
            &event.hash.as_slice(),
            &event.prev.as_slice(),
        ],
    ).await;
    if !insert?.is_empty() {
        return Ok(Stored::New);
    }
    let select = query_opt(
        client,
        "SELECT hash FROM event WHERE gateway_id = $1 AND epoch = $2::text::uuid AND seq = $3",
        &[&event.gateway_id, &epoch, &event.seq],
    )
    .await;
    let same = select?.is_some_and(|row| row.get::<_, Vec<u8>>(0) == event.hash);
    Ok(if same { Stored::Known } else { Stored::Conflict })
}
