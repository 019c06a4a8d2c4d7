//! The outbox: alerts, written in the same transaction as what they tell of. Who hears of them is found right afterwards
//! (`dispatch`); channels that hear everything have their delivery at once.

use jiff::Timestamp;
use tokio_postgres::Client;

use crate::domain::alert::Alert;
use crate::store::session::{Failure, execute};

/// Puts an alert into the outbox of every enabled channel, within the caller's transaction. Gives its id.
///
/// # Errors
/// [`Failure`] when the database does not take it.
pub async fn put(
    client: &Client,
    alert: &Alert,
    episode: (i32, i64),
    now: Timestamp,
) -> Result<String, Failure> {
    let id = uuid::Uuid::now_v7().to_string();
    let mut body = alert.clone();
    body.id.clone_from(&id);
    body.episode = episode.1;
    let body = serde_json::to_value(&body).map_err(|error| Failure::Refused(format!("alert: {error}")))?;
    let insert = execute(client, "INSERT INTO alert (id, outlet_id, episode_id, kind, created_at, body, phase) VALUES ($1::text::uuid, $2, $3, $4, $5, $6, $7)",
        &[&id, &episode.0, &episode.1, &alert.kind.name(), &now, &body, &alert.phase.name()],
    ).await;
    insert?;
    let deliver = execute(client, "INSERT INTO delivery (alert_id, channel_id, next_at, created_at) SELECT $1::text::uuid, id, $2, $2 FROM notify_channel WHERE enabled AND broadcast \
         AND kind IN ('webhook', 'log')",
        &[&id, &now],
    ).await;
    deliver?;
    Ok(id)
}
