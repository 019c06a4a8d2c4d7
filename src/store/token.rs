//! Tokens of the API. Only their SHA-256 is here: who reads this table cannot use any. They are found by that hash, so that the time of
//! an answer could tell something of the hash at most, which nobody can work back from.

use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio_postgres::{Client, Row};

use crate::domain::token::{Permission, Reach, written};
use crate::store::link::random;
use crate::store::session::{Failure, execute, query, query_opt};

/// What a token is made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    pub name: String,
    pub permissions: Vec<Permission>,
    pub reach: Reach,
    pub expires_at: Timestamp,
}

/// A token as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenRow {
    pub id: i64,
    pub name: String,
    pub scopes: Vec<String>,
    pub enterprise: Option<String>,
    pub division: String,
    pub made_at: Timestamp,
    pub made_by: String,
    pub expires_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
    pub revoked_by: Option<String>,
    pub used_at: Option<Timestamp>,
}

/// How the table knows a token.
pub fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Makes one. The text is shown once; `None`: there is one of this name.
///
/// # Errors
/// [`Failure`] when the database does not take it.
pub async fn create(
    client: &Client,
    new: &NewToken,
    (by, now): (&str, Timestamp),
) -> Result<Option<String>, Failure> {
    let token = written(random()?);
    let scopes: Vec<&str> = new.permissions.iter().map(|permission| permission.name()).collect();
    let insert = "INSERT INTO api_token (name, hash, scopes, enterprise, division, made_at, made_by, expires_at) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (name) DO NOTHING";
    let made = execute(
        client,
        insert,
        &[
            &new.name,
            &hash(&token).as_slice(),
            &scopes,
            &new.reach.enterprise,
            &new.reach.division,
            &now,
            &by,
            &new.expires_at,
        ],
    )
    .await?;
    Ok((made == 1).then_some(token))
}

const COLUMNS: &str =
    "id, name, scopes, enterprise, division, made_at, made_by, expires_at, revoked_at, revoked_by, used_at";

fn row(row: &Row) -> TokenRow {
    TokenRow {
        id: row.get(0),
        name: row.get(1),
        scopes: row.get(2),
        enterprise: row.get(3),
        division: row.get(4),
        made_at: row.get(5),
        made_by: row.get(6),
        expires_at: row.get(7),
        revoked_at: row.get(8),
        revoked_by: row.get(9),
        used_at: row.get(10),
    }
}

/// All of them, by name.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn list(client: &Client) -> Result<Vec<TokenRow>, Failure> {
    let sql = format!("SELECT {COLUMNS} FROM api_token ORDER BY name COLLATE \"C\"");
    Ok(query(client, &sql, &[]).await?.iter().map(row).collect())
}

/// Revokes one by name. `None`: there is none; else how it stands, revoked now or before.
///
/// # Errors
/// [`Failure`] when the database does not take it.
pub async fn revoke(
    client: &Client,
    name: &str,
    (by, now): (&str, Timestamp),
) -> Result<Option<TokenRow>, Failure> {
    let update =
        "UPDATE api_token SET revoked_at = $2, revoked_by = $3 WHERE name = $1 AND revoked_at IS NULL";
    execute(client, update, &[&name, &now, &by]).await?;
    let sql = format!("SELECT {COLUMNS} FROM api_token WHERE name = $1");
    Ok(query_opt(client, &sql, &[&name]).await?.as_ref().map(row))
}

/// The token of a hash that is neither revoked nor over. Its use is noted once a minute.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn find(client: &Client, hash: &[u8; 32], now: Timestamp) -> Result<Option<TokenRow>, Failure> {
    let sql =
        format!("SELECT {COLUMNS} FROM api_token WHERE hash = $1 AND revoked_at IS NULL AND expires_at > $2");
    let found = query_opt(client, &sql, &[&hash.as_slice(), &now]).await?.as_ref().map(row);
    if let Some(token) = &found
        && token.used_at.is_none_or(|used_at| now.duration_since(used_at).as_secs() >= 60)
    {
        execute(client, "UPDATE api_token SET used_at = $2 WHERE id = $1", &[&token.id, &now]).await?;
    }
    Ok(found)
}

/// Whether there is an enterprise of this code: a token for nobody is a mistake.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn knows_enterprise(client: &Client, code: &str) -> Result<bool, Failure> {
    query_opt(client, "SELECT 1 FROM enterprise WHERE code = $1", &[&code]).await.map(|row| row.is_some())
}
