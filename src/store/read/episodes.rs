//! Episodes of a time.

use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::{Client, Row};

use crate::domain::token::Reach;
use crate::store::session::{Failure, query, query_opt};

/// One episode: when something began and ended. Fields that do not apply are null.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EpisodeRow {
    pub id: i64,
    pub outlet: Option<String>,
    pub channel: Option<String>,
    pub rule: Option<String>,
    pub kind: String,
    /// Analyser or gateway.
    pub subject: Option<String>,
    pub opened_at: Timestamp,
    pub closed_at: Option<Timestamp>,
    pub peak: Option<f64>,
    pub limit: Option<f64>,
    /// `open`, `closed`, `historical` or `withdrawn`.
    pub state: String,
    /// Highest that was told; 1 is the lowest.
    pub level: i16,
    /// The early warning or forecast that came true by it.
    pub follows: Option<i64>,
}

/// Which episodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub from: Timestamp,
    pub to: Timestamp,
    pub kind: Option<&'static str>,
    pub state: Option<&'static str>,
    /// Whose the caller may see.
    pub reach: Reach,
    /// Only those after this one in the order of the answer: a later page.
    pub after: Option<i64>,
    pub most: i64,
}

const COLUMNS: &str = "SELECT e.id, o.code, c.code, r.code, e.kind, nullif(e.subject, ''), e.opened_at, e.closed_at, e.peak, e.limit_mg_m3, \
    e.state, e.level, e.follows, e.outlet_id FROM episode_row e LEFT JOIN outlet o ON o.id = e.outlet_id \
    LEFT JOIN enterprise n ON n.id = o.enterprise_id \
    LEFT JOIN channel c ON c.outlet_id = e.outlet_id AND c.position = e.position LEFT JOIN rule r ON r.id = e.rule_id";
/// What lies within a reach: by the outlet; of what has none, a gateway's, by what its alerts say of the place.
const WITHIN: &str = "(@e::text IS NULL OR n.code = @e OR (n.code IS NULL AND EXISTS (SELECT 1 FROM alert a WHERE a.outlet_id = e.outlet_id \
    AND a.episode_id = e.id AND a.body #>> '{outlet,enterprise_code}' = @e))) \
    AND (@d::text = '' OR starts_with(n.division, @d) OR (n.code IS NULL AND EXISTS (SELECT 1 FROM alert a WHERE a.outlet_id = e.outlet_id \
    AND a.episode_id = e.id AND starts_with(a.body #>> '{outlet,division}', @d))))";

fn within(enterprise: &str, division: &str) -> String {
    WITHIN.replace("@e", enterprise).replace("@d", division)
}

fn row(row: &Row) -> EpisodeRow {
    EpisodeRow {
        id: row.get(0),
        outlet: row.get(1),
        channel: row.get(2),
        rule: row.get(3),
        kind: row.get(4),
        subject: row.get(5),
        opened_at: row.get(6),
        closed_at: row.get(7),
        peak: row.get(8),
        limit: row.get(9),
        state: row.get(10),
        level: row.get(11),
        follows: row.get(12),
    }
}

/// Episodes that went on at some time in `[from, to)`, the last opened first.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn episodes(client: &Client, wanted: &Wanted) -> Result<Vec<EpisodeRow>, Failure> {
    let sql = format!(
        "{COLUMNS} WHERE e.opened_at < $2 AND (e.closed_at IS NULL OR e.closed_at >= $1) \
         AND ($3::text IS NULL OR e.kind = $3) AND ($4::text IS NULL OR e.state = $4) \
         AND ($5::bigint IS NULL OR (e.opened_at, e.id) < (SELECT l.opened_at, l.id FROM episode_row l WHERE l.id = $5)) AND {} \
         ORDER BY e.opened_at DESC, e.id DESC LIMIT $6",
        within("$7", "$8")
    );
    let reach = &wanted.reach;
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &wanted.from,
        &wanted.to,
        &wanted.kind,
        &wanted.state,
        &wanted.after,
        &wanted.most,
        &reach.enterprise,
        &reach.division,
    ];
    Ok(query(client, &sql, params).await?.iter().map(row).collect())
}

/// The episode of a number with its outlet's number, as far as it lies within a reach.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn find(client: &Client, id: i64, reach: &Reach) -> Result<Option<(i32, EpisodeRow)>, Failure> {
    let sql = format!("{COLUMNS} WHERE e.id = $1 AND {}", within("$2", "$3"));
    let found = query_opt(client, &sql, &[&id, &reach.enterprise, &reach.division]).await?;
    Ok(found.as_ref().map(|found| (found.get(13), row(found))))
}
