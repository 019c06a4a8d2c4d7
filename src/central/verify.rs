//! Every record of one gateway rebuilt from its row, each hash checked, and the chains checked link by link: whatever a
//! superuser did to a row shows. docs/verify.md says what is found and what cannot be.
//!
//! Rows are streamed in time pages within one snapshot; in memory is one entry for each unbroken run of a chain.

/// Why numbers are missing. Pure.
mod gaps;
/// What is in quarantine.
mod kept;
/// What comes out.
pub mod report;
/// Rows to records.
mod rows;
/// What all rows together say. Pure.
mod whole;

use jiff::{SignedDuration, Timestamp, ToSpan as _};
use tokio_postgres::Client;

use crate::central::verify::report::Report;
use crate::central::verify::rows::Rows;
use crate::domain::plant::Plant;
use crate::mqtt::record::{Epoch, Hash};
use crate::mqtt::status::GatewayStatus;
use crate::store::chain;
use crate::store::quarantine;
use crate::store::session::Failure;

/// Rows that a page should have, about.
const PAGE: u64 = 20_000;
const SHORTEST: SignedDuration = SignedDuration::from_mins(1);
const LONGEST: SignedDuration = SignedDuration::from_hours(24);
const EVENTS: i64 = 5000;
/// Each may be as large as a message.
const QUARANTINED: i64 = 50;

/// What is to be verified.
#[derive(Debug, Clone, Copy)]
pub struct Question<'q> {
    pub plant: &'q Plant,
    /// It is in the plant.
    pub gateway: &'q str,
    /// Half-open; `None`: everything.
    pub range: Option<(Timestamp, Timestamp)>,
    /// Heads that somebody has kept elsewhere: they must be there.
    pub heads: &'q [(Epoch, u64, Hash)],
    pub now: Timestamp,
}

/// How far it has come: records rebuilt, and the time up to which.
pub type Progress<'p> = &'p mut dyn FnMut(u64, Timestamp);

/// Verifies one gateway.
///
/// # Errors
/// [`Failure`] when the database does not answer; the client is then in the middle of a transaction.
pub async fn verify(
    client: &Client,
    question: &Question<'_>,
    progress: Progress<'_>,
) -> Result<Report, Failure> {
    chain::begin(client).await?;
    let report = within(client, question, progress).await?;
    chain::end(client).await?;
    Ok(report)
}

/// Verifies one gateway as the caller's transaction sees it.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn within(
    client: &Client,
    question: &Question<'_>,
    progress: Progress<'_>,
) -> Result<Report, Failure> {
    let gateway_id = question.plant.gateway(question.gateway).map_or(0, |gateway| gateway.id);
    let mut rows = Rows::new(question, gateway_id, chain::origins(client).await?);
    let heads = chain::heads(client, gateway_id).await?;
    rows.expect(&heads);
    read_events(client, gateway_id, &mut rows).await?;
    let outlets = rows.outlets();
    if let Some((first, last)) = chain::extent(client, &outlets).await? {
        let end = last.checked_add(1.microsecond()).unwrap_or(last);
        let (from, to) =
            question.range.map_or((first, end), |(from, to)| (from.clamp(first, end), to.clamp(first, end)));
        let mut pages = Pages::of((from, to));
        while let Some(span) = pages.next() {
            let mut scans = chain::scans(client, &outlets, span, (i64::MIN, i64::MAX)).await?;
            let before = rows.count();
            while let Some(scan) = scans.next().await? {
                rows.scan(&scan);
            }
            pages.had(rows.count() - before);
            progress(rows.count(), span.1);
        }
        read_quarantine(client, question.gateway, &mut rows).await?;
        // A number that is missing in the range may belong to a record about another time.
        if let Some(numbers) = rows.look_elsewhere() {
            for part in [(first, from), (to, end)] {
                let mut pages = Pages::of(part);
                while let Some(span) = pages.next() {
                    let mut scans = chain::scans(client, &outlets, span, numbers).await?;
                    while let Some(scan) = scans.next().await? {
                        rows.elsewhere(&scan);
                    }
                    pages.had(PAGE / 2);
                    progress(rows.count(), span.1);
                }
            }
        }
    } else {
        read_quarantine(client, question.gateway, &mut rows).await?;
    }
    let status = chain::status(client, gateway_id).await?;
    let status = status.and_then(|status| serde_json::from_value::<GatewayStatus>(status).ok());
    Ok(whole::judge(rows, &heads, status.as_ref()))
}

async fn read_events(client: &Client, gateway_id: i32, rows: &mut Rows<'_>) -> Result<(), Failure> {
    let mut after: Option<(String, i64)> = None;
    loop {
        let place = after.as_ref().map(|(epoch, seq)| (epoch.as_str(), *seq));
        let events = chain::events(client, gateway_id, place, EVENTS).await?;
        for event in &events {
            rows.event(event);
        }
        let Some(last) = events.last() else { return Ok(()) };
        after = Some((last.epoch.clone(), last.seq));
    }
}

async fn read_quarantine(client: &Client, gateway: &str, rows: &mut Rows<'_>) -> Result<(), Failure> {
    let mut after = i64::MIN;
    loop {
        let kept = quarantine::wholes(client, gateway, (after, QUARANTINED)).await?;
        for row in &kept {
            rows.quarantined(row);
        }
        let Some(last) = kept.last() else { return Ok(()) };
        after = last.entry.id;
    }
}

/// Times to read at once: longer where there is little, shorter where there is much.
struct Pages {
    from: Timestamp,
    end: Timestamp,
    length: SignedDuration,
}

impl Pages {
    fn of((from, end): (Timestamp, Timestamp)) -> Pages {
        Pages { from, end, length: SignedDuration::from_hours(1) }
    }

    fn next(&mut self) -> Option<(Timestamp, Timestamp)> {
        if self.from >= self.end {
            return None;
        }
        let to = self.from.checked_add(self.length).unwrap_or(self.end).min(self.end);
        Some((std::mem::replace(&mut self.from, to), to))
    }

    /// The last page had so many rows.
    fn had(&mut self, rows: u64) {
        if rows > PAGE * 2 {
            self.length = (self.length / 2).max(SHORTEST);
        } else if rows < PAGE / 2 {
            self.length = (self.length * 2).min(LONGEST);
        }
    }
}
