//! Receipts on their way out: gathered for each gateway, so that at full speed one receipt covers several messages.
//!
//! Each receipt costs the broker about as much as a message. So no more than `PER_SECOND` leave: at a province's pace each goes at
//! once, at full speed they wait a little and grow longer instead of more.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::central::receipts::Receipts;
use crate::central::subscribe::{HAND_OVER, Line};
use crate::clock;
use crate::mqtt::connection::Delivery;
use crate::mqtt::topic::Lane;

/// Receipts a second at most.
const PER_SECOND: u32 = 8_000;
/// None waits longer.
const LONGEST_WAIT: Duration = Duration::from_millis(60);
/// Batches that may wait to be gathered; beyond that writers wait too.
const QUEUE: usize = 64;

/// Where writers leave what they have committed.
#[derive(Clone)]
pub struct Clerk(mpsc::Sender<Receipts>);

impl Clerk {
    /// A clerk, and what [`post`] takes from it.
    pub fn new() -> (Clerk, mpsc::Receiver<Receipts>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Clerk(sender), receiver)
    }

    /// Leaves the receipts of a batch.
    pub async fn send(&self, receipts: Receipts) {
        // The receiver is only gone at shutdown; what is not receipted then comes again.
        let _closed = self.0.send(receipts).await;
    }
}

/// Sends receipts until all writers are gone.
pub async fn post(mut from: mpsc::Receiver<Receipts>, line: Line) {
    let mut free_at = clock::monotonic();
    while let Some(mut receipts) = from.recv().await {
        gather(&mut from, &mut receipts, free_at).await;
        let sent = send(receipts, &line).await;
        free_at = clock::monotonic() + (Duration::from_secs(1) * sent / PER_SECOND).min(LONGEST_WAIT);
    }
}

/// Adds what comes until `until`.
async fn gather(from: &mut mpsc::Receiver<Receipts>, receipts: &mut Receipts, until: Instant) {
    let over = tokio::time::sleep(until.saturating_duration_since(clock::monotonic()));
    tokio::pin!(over);
    loop {
        tokio::select! {
            biased;
            Some(more) = from.recv() => receipts.extend(more),
            () = &mut over => return,
        }
    }
}

/// Receipts go out with QoS 0: a lost one costs a repetition, nothing else. Gives how many went.
async fn send(receipts: Receipts, line: &Line) -> u32 {
    let Some(outbox) = line.borrow().clone() else { return 0 };
    let mut sent = 0;
    for receipt in receipts.into_receipts() {
        let topic = Lane::Receipt.of(&receipt.gateway);
        let Ok(payload) = receipt.leaving(clock::now()).encode() else { continue };
        let publishing = outbox.publish(&topic, Delivery::AtMostOnce, payload, Vec::new());
        // A connection that does not take it in time is broken; the next one begins with an announcement.
        if !matches!(tokio::time::timeout(HAND_OVER, publishing).await, Ok(Ok(()))) {
            return sent;
        }
        sent += 1;
    }
    sent
}
