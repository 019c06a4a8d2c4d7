//! Alerts with what became of them.

use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::Client;

use crate::domain::alerting::Audience;
use crate::domain::token::Reach;
use crate::store::read::deliveries::{Delivery, deliveries};
use crate::store::session::{Failure, query};

/// One alert.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AlertRow {
    pub id: String,
    pub kind: String,
    pub created_at: Timestamp,
    /// `begun`, `worsened`, `revised` or `withdrawn`.
    pub phase: String,
    /// Its number; the body has it as well.
    pub episode: i64,
    /// As it is delivered.
    pub body: serde_json::Value,
    pub deliveries: Vec<Delivery>,
}

/// Which alerts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    pub from: Timestamp,
    pub to: Timestamp,
    /// All kinds when there is none.
    pub kind: Option<&'static str>,
    pub phase: Option<&'static str>,
    /// Only those that were told to these.
    pub audience: Option<Audience>,
    /// Whose the caller may see.
    pub reach: Reach,
    /// Only those after this one in the order of the answer: a later page.
    pub after: Option<String>,
    pub most: i64,
}

/// Whose deliveries are shown: an enterprise does not see who of the bureau was told.
pub(super) fn shown_to(reach: &Reach) -> Option<Audience> {
    reach.enterprise.as_ref().map(|_| Audience::Enterprise)
}

const COLUMNS: &str = "SELECT a.id::text, a.kind, a.created_at, a.phase, a.episode_id, a.body FROM alert a \
    LEFT JOIN outlet o ON o.id = a.outlet_id LEFT JOIN enterprise n ON n.id = o.enterprise_id";
/// What lies within a reach: by the outlet, else by what the alert says of its place.
const WITHIN: &str = "(@e::text IS NULL OR coalesce(n.code, a.body #>> '{outlet,enterprise_code}') = @e) \
    AND (@d::text = '' OR starts_with(coalesce(n.division, a.body #>> '{outlet,division}', ''), @d))";

fn within(enterprise: &str, division: &str) -> String {
    WITHIN.replace("@e", enterprise).replace("@d", division)
}

/// Alerts made in `[from, to)`, newest first.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn alerts(client: &Client, wanted: &Wanted) -> Result<Vec<AlertRow>, Failure> {
    let sql = format!(
        "{COLUMNS} WHERE a.created_at >= $1 AND a.created_at < $2 AND ($3::text IS NULL OR a.kind = $3) \
         AND ($4::text IS NULL OR (a.created_at, a.id) < (SELECT l.created_at, l.id FROM alert l WHERE l.id = $4::text::uuid)) \
         AND ($6::text IS NULL OR a.phase = $6) AND ($7::text IS NULL OR EXISTS (SELECT 1 FROM handling h \
         WHERE h.outlet_id = a.outlet_id AND h.episode_id = a.episode_id AND h.audience = $7)) AND {} \
         ORDER BY a.created_at DESC, a.id DESC LIMIT $5",
        within("$8", "$9")
    );
    let (reach, audience) = (&wanted.reach, wanted.audience.map(Audience::name));
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &wanted.from,
        &wanted.to,
        &wanted.kind,
        &wanted.after,
        &wanted.most,
        &wanted.phase,
        &audience,
        &reach.enterprise,
        &reach.division,
    ];
    with_deliveries(client, query(client, &sql, params).await?, reach).await
}

/// One alert by its id, as far as it lies within the caller's reach.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn one(client: &Client, id: &str, reach: &Reach) -> Result<Option<AlertRow>, Failure> {
    let sql = format!("{COLUMNS} WHERE a.id = $1::text::uuid AND {}", within("$2", "$3"));
    let rows = query(client, &sql, &[&id, &reach.enterprise, &reach.division]).await?;
    Ok(with_deliveries(client, rows, reach).await?.pop())
}

/// The alerts of an episode, oldest first.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn of_episode(
    client: &Client,
    (outlet_id, episode): (i32, i64),
    reach: &Reach,
) -> Result<Vec<AlertRow>, Failure> {
    let sql = format!(
        "{COLUMNS} WHERE a.outlet_id = $1 AND a.episode_id = $2 ORDER BY a.created_at, a.id LIMIT 200"
    );
    let rows = query(client, &sql, &[&outlet_id, &episode]).await?;
    with_deliveries(client, rows, reach).await
}

async fn with_deliveries(
    client: &Client,
    rows: Vec<tokio_postgres::Row>,
    reach: &Reach,
) -> Result<Vec<AlertRow>, Failure> {
    let ids: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let mut deliveries = deliveries(client, &ids, shown_to(reach)).await?;
    Ok(rows
        .iter()
        .zip(ids)
        .map(|(row, id)| AlertRow {
            deliveries: deliveries.remove(&id).unwrap_or_default(),
            id,
            kind: row.get(1),
            created_at: row.get(2),
            phase: row.get(3),
            episode: row.get(4),
            body: row.get(5),
        })
        .collect())
}
