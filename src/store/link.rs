//! Links in messages: the key that signs them, what each is of, and whether it has been used.

use jiff::Timestamp;
use tokio_postgres::Client;

use crate::domain::alerting::Audience;
use crate::domain::link::Key;
use crate::store::session::{Failure, execute, query_one, query_opt};

/// A link as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub id: String,
    pub outlet_id: i32,
    pub episode: i64,
    pub alert_id: String,
    pub audience: Audience,
    pub person: String,
    pub made_at: Timestamp,
    pub expires_at: Timestamp,
    pub used_for: Option<String>,
}

/// The key of this database; made by who needs it first.
///
/// # Errors
/// [`Failure`] when the database does not answer, or the system has no randomness.
pub async fn key(client: &Client, now: Timestamp) -> Result<Key, Failure> {
    let select = "SELECT key FROM signing_key";
    if let Some(row) = query_opt(client, select, &[]).await? {
        return read(row.get(0));
    }
    let fresh: Key = random()?;
    let insert = "INSERT INTO signing_key (key, made_at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    execute(client, insert, &[&fresh.as_slice(), &now]).await?;
    read(query_one(client, select, &[]).await?.get(0))
}

/// The key, if anybody has needed one yet: without it no link can be right.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn known_key(client: &Client) -> Result<Option<Key>, Failure> {
    query_opt(client, "SELECT key FROM signing_key", &[]).await?.map(|row| read(row.get(0))).transpose()
}

fn read(bytes: &[u8]) -> Result<Key, Failure> {
    bytes.try_into().map_err(|_length: std::array::TryFromSliceError| {
        Failure::Refused(
            "the key that signs links does not have 32 bytes; remove its row, and another is made".to_owned(),
        )
    })
}

/// Bytes that nobody can guess.
pub(super) fn random() -> Result<[u8; 32], Failure> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::Unavailable(format!("the system has no randomness: {error}")))?;
    Ok(bytes)
}

/// A link by its number.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn open(client: &Client, id: [u8; 16]) -> Result<Option<Stored>, Failure> {
    let select = "SELECT id::text, outlet_id, episode_id, alert_id::text, audience, person, made_at, expires_at, used_for \
                  FROM alert_link WHERE id = $1::text::uuid";
    let row = query_opt(client, select, &[&uuid::Uuid::from_bytes(id).to_string()]).await?;
    Ok(row.and_then(|row| {
        Some(Stored {
            id: row.get(0),
            outlet_id: row.get(1),
            episode: row.get(2),
            alert_id: row.get(3),
            audience: Audience::from_name(row.get(4))?,
            person: row.get(5),
            made_at: row.get(6),
            expires_at: row.get(7),
            used_for: row.get(8),
        })
    }))
}
