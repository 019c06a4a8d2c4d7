//! How far each chain has come, noted in memory by the writers after COMMIT and written down every few seconds: a verifier
//! then knows of rows that were stored and are gone.
//!
//! What is written is a lower bound. A centre that is killed forgets the last seconds; nothing is ever claimed that was not
//! committed, so nothing is reported missing that never was there. The ingest transaction does none of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::central::intake::Origin;
use crate::clock;
use crate::mqtt::record::Epoch;
use crate::shutdown::Shutdown;
use crate::store::chain::{self, Head, Noted};
use crate::store::quarantine::Kept;
use crate::store::session::{Failure, Session, Trouble};

/// How often it is written down.
const EVERY: Duration = Duration::from_secs(10);

type Notes = HashMap<(i32, uuid::Uuid), Noted>;

/// What is not written down yet. Cloned freely; all clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Heads(Arc<Mutex<Notes>>);

impl Heads {
    fn with<T>(&self, act: impl FnOnce(&mut Notes) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A record was stored for the first time, and committed.
    pub fn stored(&self, record: &Origin, at: Timestamp) {
        let seq = i64::try_from(record.place.seq).unwrap_or(i64::MAX);
        self.with(|notes| {
            let noted = notes.entry((record.gateway_id, record.place.epoch.0)).or_default();
            noted.records += 1;
            if noted.head.is_none_or(|head| head.seq < seq) {
                noted.head = Some(Head { seq, hash: record.hash.0, at });
            }
        });
    }

    /// Something was kept in quarantine for the first time, and committed.
    pub fn kept(&self, gateway_id: i32, kept: &Kept) {
        if let Some(epoch) = kept.epoch.as_deref().and_then(Epoch::from_hex) {
            self.with(|notes| notes.entry((gateway_id, epoch.0)).or_default().kept += 1);
        }
    }

    /// Writes down what was noted.
    ///
    /// # Errors
    /// [`Failure`]; the heads are then noted for the next time. The counts are not: whether they were written is unknown, and
    /// a count that is too high would be a false accusation.
    pub async fn write(&self, session: &mut Session) -> Result<(), Failure> {
        let notes = self.with(std::mem::take);
        if notes.is_empty() {
            return Ok(());
        }
        let rows: Vec<((i32, uuid::Uuid), Noted)> = notes.into_iter().collect();
        let client = session.client().await;
        let written = match client {
            Ok(client) => chain::note(client, &rows, clock::now()).await,
            Err(failure) => Err(failure),
        };
        if written.is_err() {
            session.discard();
            self.with(|notes| {
                for (key, noted) in rows {
                    let later = notes.entry(key).or_default();
                    let newest = later.head.into_iter().chain(noted.head).max_by_key(|head| head.seq);
                    later.head = newest;
                }
            });
        }
        written
    }

    /// Writes down every few seconds, and at the end.
    pub async fn run(self, mut session: Session, shutdown: Shutdown) {
        let mut trouble = Trouble::default();
        loop {
            let last = tokio::select! {
                () = tokio::time::sleep(EVERY) => false,
                () = shutdown.cancelled() => true,
            };
            match self.write(&mut session).await {
                Ok(()) => trouble.over(),
                Err(failure) => {
                    let reason = failure.to_string();
                    if trouble.is_new(&reason) {
                        tracing::warn!(reason, "the heads of the chains are not written down; tried again");
                    }
                }
            }
            if last {
                return;
            }
        }
    }
}
