//! Averages of a time, latest revisions, and the verdicts on them.

use jiff::Timestamp;
use tokio_postgres::{Client, Row};

use crate::domain::average::ChannelAverage;
use crate::domain::limit::AveragingPeriod;
use crate::store::average::{channel_of_long, channels_of_wide, is_wide};
use crate::store::due::period_id;
use crate::store::read::REGISTERS;
use crate::store::session::{Failure, query};

/// The latest revision of one channel in one window.
#[derive(Debug, Clone, PartialEq)]
pub struct AverageRow {
    pub start: Timestamp,
    /// 1: computed by us; 2: reported by a data logger.
    pub source_id: i16,
    pub position: usize,
    pub revision: i32,
    pub method: String,
    pub average: ChannelAverage,
}

impl AverageRow {
    /// As the view `average` writes it.
    pub const fn origin(&self) -> &'static str {
        if self.source_id == REGISTERS { "computed" } else { "reported" }
    }
}

const WIDE: &str = "SELECT DISTINCT ON (a.start, a.source_id) a.outlet_id, a.source_id, a.start, a.revision, \
    a.measured, a.standard, a.dry, a.corrected, a.minimum, a.maximum, a.n_valid, a.n_expected, a.status, a.flag, a.valid, a.mass_mg, \
    m.name FROM average_wide a JOIN method m ON m.id = a.method \
    WHERE a.outlet_id = $1 AND a.source_id = ANY('{1,2}') AND a.period = $2 AND a.start >= $3 AND a.start < $4 \
    ORDER BY a.start, a.source_id, a.revision DESC";

const LONG: &str = "SELECT DISTINCT ON (a.start, a.source_id, a.position) a.outlet_id, a.source_id, a.start, a.revision, a.position, \
    a.measured, a.standard, a.dry, a.corrected, a.minimum, a.maximum, a.n_valid, a.n_expected, a.status, a.flag, a.valid, a.mass_mg, \
    m.name FROM average_long a JOIN method m ON m.id = a.method \
    WHERE a.outlet_id = $1 AND a.source_id = ANY('{1,2}') AND a.period = $2 AND a.start >= $3 AND a.start < $4 \
    ORDER BY a.start, a.source_id, a.position, a.revision DESC";

/// The windows of `period` that start in `[from, to)`, by start, origin and position.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn averages(
    client: &Client,
    outlet_id: i32,
    period: AveragingPeriod,
    (from, to): (Timestamp, Timestamp),
) -> Result<Vec<AverageRow>, Failure> {
    let wide = is_wide(period);
    let sql = if wide { WIDE } else { LONG };
    let rows = query(client, sql, &[&outlet_id, &period_id(period), &from, &to]).await?;
    Ok(rows.iter().flat_map(|row| if wide { of_wide(row) } else { vec![of_long(row)] }).collect())
}

fn of_wide(row: &Row) -> Vec<AverageRow> {
    let channels = channels_of_wide(row).into_iter().enumerate();
    channels
        .map(|(position, average)| AverageRow {
            start: row.get(2),
            source_id: row.get(1),
            position,
            revision: row.get(3),
            method: row.get(16),
            average,
        })
        .collect()
}

fn of_long(row: &Row) -> AverageRow {
    AverageRow {
        start: row.get(2),
        source_id: row.get(1),
        position: usize::try_from(row.get::<_, i16>(4)).unwrap_or_default(),
        revision: row.get(3),
        method: row.get(17),
        average: channel_of_long(row),
    }
}

/// The latest verdict of one rule, order, furnace rule or assessment on one window.
#[derive(Debug, Clone, PartialEq)]
pub struct VerdictRow {
    pub start: Timestamp,
    pub source_id: i16,
    /// `None`: of the outlet as a whole.
    pub position: Option<usize>,
    pub rule: String,
    pub name: String,
    pub kind: String,
    pub document: String,
    pub mark: String,
    pub reference_oxygen: Option<f64>,
    pub excess_air: Option<f64>,
    /// mg/m3 at the rule's own reference.
    pub corrected: Option<f64>,
    pub limit: f64,
    pub comparison: String,
    pub outcome: String,
    pub ratio_over: Option<f64>,
    pub remark: Option<String>,
}

const VERDICTS: &str = "SELECT DISTINCT ON (v.start, v.source_id, v.position, v.rule_id) v.start, v.source_id, v.position, \
    coalesce(r.code, l.subject), coalesce(r.name, l.body->>'name', l.subject), \
    coalesce(r.kind, CASE l.list WHEN 'order' THEN 'order' WHEN 'assessment' THEN 'assessment' ELSE 'violation' END), \
    coalesce(r.document, l.body->>'document', ''), coalesce(r.mark, 'V'), \
    coalesce(r.reference_oxygen_percent, (l.body #>> '{demand,limit,reference_oxygen_percent}')::float8), r.excess_air, v.corrected, \
    v.limit_mg_m3, coalesce(r.comparison, l.body #>> '{demand,limit,comparison}', CASE WHEN l.list = 'order' OR (l.list = 'furnace' AND v.period = 5) THEN 'full-value' ELSE 'at-least' END), \
    v.outcome, v.ratio_over, v.remark FROM verdict_row v LEFT JOIN rule r ON r.id = v.rule_id \
    LEFT JOIN law_entry l ON v.rule_id < 0 AND l.id = -v.rule_id \
    WHERE v.outlet_id = $1 AND v.source_id = ANY('{1,2}') AND v.period = $2 AND v.start >= $3 AND v.start < $4 \
    ORDER BY v.start, v.source_id, v.position, v.rule_id, v.revision DESC";

/// The latest verdicts on the windows of `period` that start in `[from, to)`; by start, then kind and code of the rule.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn verdicts(
    client: &Client,
    outlet_id: i32,
    period: AveragingPeriod,
    (from, to): (Timestamp, Timestamp),
) -> Result<Vec<VerdictRow>, Failure> {
    let rows = query(client, VERDICTS, &[&outlet_id, &period_id(period), &from, &to]).await?;
    let mut verdicts: Vec<VerdictRow> = rows
        .iter()
        .map(|row| VerdictRow {
            start: row.get(0),
            source_id: row.get(1),
            position: usize::try_from(row.get::<_, i16>(2)).ok(),
            rule: row.get(3),
            name: row.get(4),
            kind: row.get(5),
            document: row.get(6),
            mark: row.get(7),
            reference_oxygen: row.get(8),
            excess_air: row.get(9),
            corrected: row.get(10),
            limit: row.get(11),
            comparison: row.get(12),
            outcome: row.get(13),
            ratio_over: row.get(14),
            remark: row.get(15),
        })
        .collect();
    // Violations first.
    verdicts.sort_by(|a, b| (a.start, &b.kind, &a.rule).cmp(&(b.start, &a.kind, &b.rule)));
    Ok(verdicts)
}
