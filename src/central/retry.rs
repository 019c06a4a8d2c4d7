//! Quarantined records once more, when their cause is mended: the kept bytes go the way of a message that has just come, with
//! the time at which they came. What is stored is therefore what was meant, bit by bit, and its windows are due; what is
//! refused again stays, with the new reason. Nobody is paged for what is past.

use jiff::tz::TimeZone;

use crate::central::heads::Heads;
use crate::central::intake::Arrival;
use crate::central::pipeline::Writer;
use crate::central::recompute::alone;
use crate::clock;
use crate::domain::plant::Plant;
use crate::mqtt::receipt::property;
use crate::store::frame::Frames;
use crate::store::quarantine::{Becomes, Entry, Kept, change, whole};
use crate::store::session::{Failure, Session};

/// What became of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Stored,
    /// It stays, for this reason.
    Refused(String),
    /// It was not kept any more, or never: nothing was done.
    NotKept,
}

/// Retries rows one by one.
pub struct Retrier {
    writer: Writer,
    session: Session,
    heads: Heads,
}

impl Retrier {
    /// On this database, by the plant as it is now. Nothing is opened yet.
    pub fn new(database: &str, plant: Plant, zone: TimeZone) -> Retrier {
        // A writer judges no window: it needs no law.
        let shared = alone(plant, Frames::default(), zone);
        let heads = shared.heads.clone();
        let writer = Writer::of_quarantine(shared, Session::new(database));
        Retrier { writer, session: Session::new(database), heads }
    }

    /// Retries one row on behalf of `by`. Again after a crash or a failure it does what is left to do: storing is repeatable.
    ///
    /// # Errors
    /// [`Failure`] when the database does not answer; the row is then as it was, or stored and not yet marked so.
    pub async fn retry(&mut self, id: i64, by: &str) -> Result<Outcome, Failure> {
        let outcome = self.once(id, by).await;
        if outcome.is_err() {
            self.session.discard();
        }
        outcome
    }

    async fn once(&mut self, id: i64, by: &str) -> Result<Outcome, Failure> {
        let client = self.session.client().await?;
        let Some(row) = whole(client, id).await?.filter(|row| row.entry.state == "kept") else {
            return Ok(Outcome::NotKept);
        };
        let arrival = arrival(&row.entry, row.payload);
        let refused = match self.writer.settle(&[arrival], clock::now()).await {
            Ok((_receipts, refused)) => reason(&refused),
            Err(Failure::Refused(reason)) => Some(format!("the store refuses it: {reason}")),
            Err(failure) => return Err(failure),
        };
        let becomes = refused.clone().map_or(Becomes::Stored, Becomes::Refused);
        let client = self.session.client().await?;
        if !change(client, id, &becomes, (by, clock::now())).await? {
            return Ok(Outcome::NotKept);
        }
        Ok(refused.map_or(Outcome::Stored, Outcome::Refused))
    }

    /// Notes how far the chains have come by this.
    ///
    /// # Errors
    /// [`Failure`] when the database does not take it; nothing else is lost by that.
    pub async fn end(mut self) -> Result<(), Failure> {
        self.heads.write(&mut self.session).await
    }
}

/// The message that this was.
fn arrival(entry: &Entry, payload: Vec<u8>) -> Arrival {
    let told = [
        (property::EPOCH, entry.epoch.clone()),
        (property::FIRST, entry.seq_first.map(|seq| seq.to_string())),
        (property::LAST, entry.seq_last.map(|seq| seq.to_string())),
    ];
    let told = told.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Arrival {
        topic: entry.topic.as_str().into(),
        payload: payload.into(),
        user_properties: told.collect(),
        received_at: entry.received_at,
    }
}

/// Why it stays, if it does: the first reason, and how many more lines are refused.
fn reason(refused: &[Kept]) -> Option<String> {
    let (first, more) = refused.split_first()?;
    let more =
        if more.is_empty() { String::new() } else { format!(" (and {} more of its lines)", more.len()) };
    Some(format!("{}{more}", first.reason))
}
