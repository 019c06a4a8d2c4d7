//! The ledger of what the analysers served, compared with the database by SQL.

use std::io::BufRead as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use serde_json::Value;

use crate::clock;
use crate::store::audit::{Audit, Served, compare};
use crate::store::connect::connect;

/// How long the last readings may take to arrive.
const PATIENCE: Duration = Duration::from_secs(15);

/// Compares until nothing is missing any more, at most [`PATIENCE`].
pub(super) async fn settled(
    database: &str,
    ledger: &Path,
    span: (Timestamp, Timestamp),
) -> anyhow::Result<Audit> {
    let client = connect(database, "cems demo proof").await?;
    let served = read(ledger, span)?;
    let deadline = clock::monotonic() + PATIENCE;
    loop {
        let audit = compare(&client, &served, span).await?;
        if (audit.lost == 0 && audit.duplicated == 0) || clock::monotonic() > deadline {
            return Ok(audit);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The readings that the ledger says were served, each with the second that it was served in.
fn read(ledger: &Path, (from, until): (Timestamp, Timestamp)) -> anyhow::Result<Vec<Served>> {
    let file = std::fs::File::open(ledger).with_context(|| format!("{} cannot be read", ledger.display()))?;
    let mut served = Vec::new();
    for line in std::io::BufReader::new(file).lines() {
        // A line that is being written right now belongs to a tick after `until`.
        let Ok(line) = serde_json::from_str::<Value>(&line?) else { continue };
        let text = |key: &str| line.get(key).and_then(Value::as_str).unwrap_or_default();
        let at: Timestamp = text("at").parse().context("a ledger line without a time")?;
        let tick = Timestamp::from_second(at.as_second())?;
        if tick < from || tick >= until {
            continue;
        }
        let values = line.get("values").and_then(Value::as_object);
        for (channel, value) in values.into_iter().flatten() {
            let Some(value) = value.as_f64() else { continue };
            served.push(Served { outlet: text("outlet").to_owned(), channel: channel.clone(), tick, value });
        }
    }
    Ok(served)
}
