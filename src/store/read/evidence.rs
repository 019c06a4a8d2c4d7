//! All that is stored about one moment of one outlet, for `domain::explain`.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio_postgres::Client;

use crate::domain::average::StoredScan;
use crate::domain::explain::{
    Evidence, Provenance, RecordedScan, StoredSubstitute, StoredVerdict, StoredWindow, Submitted,
};
use crate::domain::limit::AveragingPeriod;
use crate::domain::plant::Outlet;
use crate::domain::window::Window;
use crate::store::frame::{Frames, laws};
use crate::store::read::REGISTERS;
use crate::store::read::averages::{AverageRow, VerdictRow, averages, verdicts};
use crate::store::read::scans::{ScanRow, newest};
use crate::store::scan::{OF_WINDOWS, of_row, readings};
use crate::store::session::{Failure, bounded, query};

/// A scan this much older than the moment that is asked for still explains it.
pub const NEAR: SignedDuration = SignedDuration::from_secs(10);

/// What is stored about `asked`, as of `now`: one moment of the database, so that nothing that is written meanwhile looks
/// like a difference.
///
/// # Errors
/// [`Failure`] when the database does not answer; the client is then in the middle of a transaction.
pub async fn evidence(
    client: &Client,
    (outlet, frames): (&Outlet, &Frames),
    (asked, now): (Timestamp, Timestamp),
    zone: &TimeZone,
) -> Result<Evidence, Failure> {
    bounded(client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")).await?;
    let evidence = within(client, (outlet, frames), (asked, now), zone).await?;
    bounded(client.batch_execute("COMMIT")).await?;
    Ok(evidence)
}

async fn within(
    client: &Client,
    (outlet, frames): (&Outlet, &Frames),
    (asked, now): (Timestamp, Timestamp),
    zone: &TimeZone,
) -> Result<Evidence, Failure> {
    let of = (outlet.id, REGISTERS);
    let earliest = asked.checked_sub(NEAR).unwrap_or(asked);
    let hour = Window::containing(AveragingPeriod::Hour, asked, zone);
    let span = (hour.start, hour.end);
    let found = newest(client, of, (earliest, asked)).await?.map(recorded);
    let rows = query(
        client,
        OF_WINDOWS,
        &[&vec![of.0], &vec![of.1], &vec![span.0], &vec![span.1], &span.0, &span.1],
    )
    .await?;
    let scans: Vec<StoredScan> = rows.iter().map(|row| of_row(row).1).collect();
    let mut laws = laws(client, frames, [&*outlet.code], span).await?;
    let law = laws.remove(&*outlet.code).unwrap_or_default();
    let look_back = SignedDuration::from_mins(i64::from(law.look_back_minutes(span.0, span.1)));
    let known = (span.0.checked_sub(look_back).unwrap_or(span.0), span.1);
    let minutes = windows(averages(client, outlet.id, AveragingPeriod::Minute, known).await?);
    let hours = windows(averages(client, outlet.id, AveragingPeriod::Hour, span).await?);
    let of_hour = hours.into_values().next();
    let verdicts = verdicts(client, outlet.id, AveragingPeriod::Hour, span).await?;
    let verdicts = verdicts.into_iter().filter(|row| row.source_id == REGISTERS);
    let verdict = |row: VerdictRow| StoredVerdict {
        position: row.position,
        rule: row.rule,
        outcome: row.outcome,
        corrected: row.corrected,
        limit: row.limit,
        ratio_over: row.ratio_over,
        remark: row.remark,
    };
    Ok(Evidence {
        asked,
        now,
        scan: found,
        scans,
        minutes,
        hour: of_hour,
        verdicts: verdicts.map(verdict).collect(),
        law,
        substitutes: substitutes(client, outlet.id, hour.start).await?,
        submitted: submitted(client, outlet.id, hour.start).await?,
    })
}

/// The substitutes of an hour, each with what the hour that it is from has now.
async fn substitutes(
    client: &Client,
    outlet_id: i32,
    hour: Timestamp,
) -> Result<Vec<StoredSubstitute>, Failure> {
    let sql = "SELECT s.position, s.mass_mg, s.method, s.situation, s.from_hour, s.look_back, s.looked_back, s.gap_hours, s.provisional, h.mass_mg \
        FROM (SELECT DISTINCT ON (position) * FROM substitute_row WHERE outlet_id = $1 AND start = $2 ORDER BY position, revision DESC) s \
        LEFT JOIN LATERAL (SELECT a.mass_mg FROM average_long a WHERE a.outlet_id = $1 AND a.source_id = 1 AND a.position = s.position \
        AND a.period = 4 AND a.start = s.from_hour ORDER BY a.revision DESC LIMIT 1) h ON true WHERE s.mass_mg IS NOT NULL";
    let rows = query(client, sql, &[&outlet_id, &hour]).await?;
    let count =
        |row: &tokio_postgres::Row, index: usize| u32::try_from(row.get::<_, i32>(index)).unwrap_or(0);
    let of = |row: &tokio_postgres::Row| StoredSubstitute {
        position: usize::try_from(row.get::<_, i16>(0)).unwrap_or_default(),
        mass_mg: row.get(1),
        table: row.get(2),
        situation: row.get(3),
        from_hour: row.get(4),
        look_back: count(row, 5),
        looked_back: count(row, 6),
        gap_hours: count(row, 7),
        provisional: row.get(8),
        from_mass_mg: row.get(9),
    };
    Ok(rows.iter().map(of).collect())
}

/// The submitted period that an hour belongs to, if there is one.
async fn submitted(client: &Client, outlet_id: i32, hour: Timestamp) -> Result<Option<Submitted>, Failure> {
    let sql = "SELECT l.locked_at, l.locked_by, l.reason, EXISTS (SELECT 1 FROM locked_row d WHERE d.outlet_id = $1 AND d.period = 4 AND d.start = $2) \
        FROM period_lock l WHERE l.outlet_id = $1 AND l.reopened_at IS NULL AND l.locked_from <= $2 AND l.locked_until > $2";
    let row = query(client, sql, &[&outlet_id, &hour]).await?;
    Ok(row.first().map(|row| Submitted {
        at: row.get(0),
        by: row.get(1),
        reason: row.get(2),
        differs: row.get(3),
    }))
}

fn recorded(row: ScanRow) -> RecordedScan {
    RecordedScan {
        at: row.at,
        received_at: row.received_at,
        readings: readings(&row.measured, &row.flag),
        provenance: Provenance {
            gateway: row.gateway,
            epoch: row.epoch,
            seq: row.seq,
            hash: hex::encode(&row.hash),
            prev: hex::encode(&row.prev),
            cfg: hex::encode(&row.cfg),
            hash_agrees: None,
        },
        checked: row.checked.unwrap_or(row.flag),
        corrected: row.corrected,
    }
}

/// Our own averages by start; positions come in order and without gaps.
fn windows(rows: Vec<AverageRow>) -> BTreeMap<Timestamp, StoredWindow> {
    let mut found: BTreeMap<Timestamp, StoredWindow> = BTreeMap::new();
    for row in rows.into_iter().filter(|row| row.source_id == REGISTERS) {
        let window = found
            .entry(row.start)
            .or_insert_with(|| StoredWindow { revision: row.revision, channels: Vec::new() });
        window.revision = window.revision.max(row.revision);
        window.channels.push(row.average);
    }
    found
}
