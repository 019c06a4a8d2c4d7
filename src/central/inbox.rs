//! What has arrived and is not committed: live before backfill, in batches.

use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard, mpsc};

use crate::central::intake::Arrival;
use crate::mqtt::connection::Ticket;

/// At most so many messages in one transaction,
const BATCH: usize = 2000;
/// or about so many bytes of records: some four thousand scans.
const BATCH_BYTES: usize = 2 * 1024 * 1024;
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
