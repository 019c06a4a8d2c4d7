//! What has arrived and is not committed: live before backfill, in batches.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Mutex, MutexGuard, mpsc};

use crate::central::intake::Arrival;
use crate::mqtt::connection::Ticket;

/// At most so many messages in one transaction,
const BATCH: usize = 2000;
/// or about so many bytes of records: some two thousand scans of catch-up.
const BATCH_BYTES: usize = 1024 * 1024;
/// So long a batch waits for more: at a province's pace some twenty-five scans come meanwhile, and a transaction for each of them would
/// cost several times as much.
const LINGER: Duration = Duration::from_millis(10);

/// A message on its way to a writer.
pub struct Queued {
    pub arrival: Arrival,
    pub ticket: Ticket,
}

/// What a writer takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Only what was just measured: one writer at least is never busy with the past.
    Live,
    /// The past as well, while nothing live waits.
    All,
}

/// The queues of both lanes. Writers take turns.
pub struct Inbox {
    live: Mutex<mpsc::Receiver<Queued>>,
    backfill: Mutex<mpsc::Receiver<Queued>>,
}

impl Inbox {
    /// From the queues that the connections fill.
    pub fn new(live: mpsc::Receiver<Queued>, backfill: mpsc::Receiver<Queued>) -> Inbox {
        Inbox { live: Mutex::new(live), backfill: Mutex::new(backfill) }
    }

    /// The next batch, all of one lane. `None` when the connections are gone. Given up in between, what was taken comes again from
    /// its gateway, since nobody has receipted it.
    pub async fn batch(&self, takes: Takes) -> Option<Vec<Queued>> {
        let (mut queue, first) = match takes {
            Takes::Live => first(&self.live).await,
            Takes::All => tokio::select! {
                biased;
                live = first(&self.live) => live,
                past = first(&self.backfill) => past,
            },
        };
        let mut batch = Vec::with_capacity(64);
        batch.push(first?);
        fill(&mut batch, &mut queue);
        if bytes(&batch) < BATCH_BYTES && batch.len() < BATCH {
            // The queue is kept meanwhile: what comes belongs to this batch, not to many small ones.
            tokio::time::sleep(LINGER).await;
            fill(&mut batch, &mut queue);
        }
        Some(batch)
    }
}

/// The first message of a queue, and the queue. Given up before, it has taken nothing.
async fn first(
    queue: &Mutex<mpsc::Receiver<Queued>>,
) -> (MutexGuard<'_, mpsc::Receiver<Queued>>, Option<Queued>) {
    let mut queue = queue.lock().await;
    let first = queue.recv().await;
    (queue, first)
}

fn bytes(batch: &[Queued]) -> usize {
    batch.iter().map(|queued| queued.arrival.payload.len()).sum()
}

/// Takes what has queued up, within the bounds of a batch.
fn fill(batch: &mut Vec<Queued>, queue: &mut mpsc::Receiver<Queued>) {
    let mut size = bytes(batch);
    while batch.len() < BATCH && size < BATCH_BYTES {
        let Ok(more) = queue.try_recv() else { return };
        size += more.arrival.payload.len();
        batch.push(more);
    }
}

/// Since when what the writers are busy with has waited: what is queued behind it came later.
#[derive(Debug, Clone, Default)]
pub struct Underway(Arc<StdMutex<HashMap<u64, Timestamp>>>);

/// A batch under way; it is over when this is dropped.
#[derive(Debug)]
pub struct Busy {
    underway: Underway,
    number: u64,
}

impl Underway {
    /// A batch whose oldest message has waited since then.
    pub fn begin(&self, since: Timestamp) -> Busy {
        let mut batches = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = batches.keys().max().map_or(0, |last| last.wrapping_add(1));
        batches.insert(number, since);
        Busy { underway: self.clone(), number }
    }

    /// Since when the oldest has waited; `None`: nothing is under way.
    pub fn oldest(&self) -> Option<Timestamp> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().min().copied()
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.underway.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_batch_under_way_counts_until_it_is_over() {
        let underway = Underway::default();
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let first = underway.begin(at(10));
        let second = underway.begin(at(5));
        assert_eq!(underway.oldest(), Some(at(5)));
        drop(second);
        let third = underway.begin(at(20));
        assert_eq!(underway.oldest(), Some(at(10)));
        drop(first);
        assert_eq!(underway.oldest(), Some(at(20)));
        drop(third);
        assert_eq!(underway.oldest(), None);
    }
}
