//! All that is stored about one moment of one outlet, for `domain::explain`.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio_postgres::Client;

use crate::domain::average::StoredScan;
use crate::domain::explain::{Evidence, Provenance, RecordedScan, StoredVerdict, StoredWindow};
use crate::domain::limit::AveragingPeriod;
use crate::domain::plant::Outlet;
use crate::domain::window::Window;
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
    outlet: &Outlet,
    (asked, now): (Timestamp, Timestamp),
    zone: &TimeZone,
) -> Result<Evidence, Failure> {
    bounded(client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")).await?;
    let evidence = within(client, outlet, (asked, now), zone).await?;
    bounded(client.batch_execute("COMMIT")).await?;
    Ok(evidence)
}

async fn within(
    client: &Client,
    outlet: &Outlet,
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
    let minutes = windows(averages(client, outlet.id, AveragingPeriod::Minute, span).await?);
    let hours = windows(averages(client, outlet.id, AveragingPeriod::Hour, span).await?);
    let of_hour = hours.into_values().next();
    let revision = of_hour.as_ref().map(|stored: &StoredWindow| stored.revision);
    let verdicts = verdicts(client, outlet.id, AveragingPeriod::Hour, span).await?;
    let verdicts =
        verdicts.into_iter().filter(|row| row.source_id == REGISTERS && Some(row.revision) == revision);
    let verdict = |row: VerdictRow| StoredVerdict {
        position: row.position,
        rule_id: row.rule_id,
        rule: row.rule,
        outcome: row.outcome,
        corrected: row.corrected,
        limit: row.limit,
        ratio_over: row.ratio_over,
    };
    Ok(Evidence {
        asked,
        now,
        scan: found,
        scans,
        minutes,
        hour: of_hour,
        verdicts: verdicts.map(verdict).collect(),
    })
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
