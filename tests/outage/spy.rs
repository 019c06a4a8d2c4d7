//! A listener at the broker: what was published must be in the tables, and can be said again, in another order.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cems::mqtt::connection::{Acknowledge, Delivery, Message, Notice, Outbox, Settings, connect};
use cems::shutdown::Shutdown;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use crate::support::wait::wait_until;

const LIMIT: Duration = Duration::from_secs(30);

/// One message as it was published.
#[derive(Clone)]
pub struct Copy {
    topic: String,
    payload: bytes::Bytes,
    properties: Vec<(String, String)>,
}

#[derive(Default)]
struct Heard {
    messages: Vec<Copy>,
    /// By hash, hexadecimal: how often, and in whose name and under which number.
    records: BTreeMap<String, (usize, Value)>,
    /// Gateway, epoch and range of each receipt.
    receipts: Vec<(String, String, u64, u64)>,
}

pub struct Spy {
    heard: Arc<Mutex<Heard>>,
    line: watch::Receiver<Option<Outbox>>,
    shutdown: Shutdown,
}

impl Spy {
    pub fn listen(port: u16) -> Spy {
        let settings = Settings {
            host: "127.0.0.1".to_owned(),
            port,
            tls: None,
            client_id: format!("spy-{}", uuid::Uuid::now_v7().simple()),
            credentials: None,
            inflight: 2000,
            will: None,
            subscriptions: ["live", "backfill", "receipt"].map(|lane| format!("cems/v1/+/{lane}")).into(),
            acknowledge: Acknowledge::OnArrival,
            keep_alive: Duration::from_secs(5),
        };
        let shutdown = Shutdown::new();
        let mut notices = connect(settings, shutdown.clone());
        let (heard, (told, line)) = (Arc::<Mutex<Heard>>::default(), watch::channel(None));
        let hearing = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Some(notice) = notices.recv().await {
                match notice {
                    Notice::Connected(outbox) => _ = told.send_replace(Some(outbox)),
                    Notice::Lost(_) => _ = told.send_replace(None),
                    Notice::LeftOut => {}
                    Notice::Message(message) => hearing.lock().unwrap().take(*message),
                }
            }
        });
        Spy { heard, line, shutdown }
    }

    /// Hashes of all records that were published so far.
    pub fn published(&self) -> Vec<String> {
        self.heard.lock().unwrap().records.keys().cloned().collect()
    }

    /// How often this record was published, and its line.
    pub fn record(&self, hash: &str) -> Option<(usize, Value)> {
        self.heard.lock().unwrap().records.get(hash).cloned()
    }

    /// Gateway, epoch and range of all receipts so far.
    pub fn receipts(&self) -> Vec<(String, String, u64, u64)> {
        self.heard.lock().unwrap().receipts.clone()
    }

    /// Whether a receipt covered this record so far.
    pub fn receipted(&self, record: &Value) -> bool {
        let (gateway, epoch) = (record["gateway"].as_str().unwrap(), record["epoch"].as_str().unwrap());
        let seq = record["seq"].as_u64().unwrap();
        let covers = |(to, of, first, last): &(String, String, u64, u64)| {
            to == gateway && of == epoch && (*first..=*last).contains(&seq)
        };
        self.heard.lock().unwrap().receipts.iter().any(covers)
    }

    /// Says the last `count` messages again, `times` over, shuffled; gives the number of copies.
    pub async fn again(&self, count: usize, times: usize, dice: &mut fastrand::Rng) -> usize {
        let newest = {
            let heard = self.heard.lock().unwrap();
            heard.messages[heard.messages.len().saturating_sub(count)..].to_vec()
        };
        let mut copies: Vec<Copy> = std::iter::repeat_n(newest, times).flatten().collect();
        dice.shuffle(&mut copies);
        let line = wait_until(LIMIT, "the broker", || async { self.line.borrow().clone().ok_or(()) }).await;
        let sent = copies.len();
        for Copy { topic, payload, properties } in copies {
            line.publish(&topic, Delivery::AtLeastOnce, payload, properties).await.unwrap();
        }
        sent
    }
}

impl Drop for Spy {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Heard {
    fn take(&mut self, message: Message) {
        let topic = String::from_utf8(message.topic.to_vec()).unwrap();
        if topic.ends_with("/receipt") {
            let receipt: Value = serde_json::from_slice(&message.payload).unwrap();
            let text = |key: &str| receipt[key].as_str().unwrap().to_owned();
            for range in ["ranges", "quarantined"].iter().filter_map(|key| receipt[key].as_array()).flatten()
            {
                let ends = (range[0].as_u64().unwrap(), range[1].as_u64().unwrap());
                self.receipts.push((text("gateway"), text("epoch"), ends.0, ends.1));
            }
            return;
        }
        for line in message.payload.split(|byte| *byte == b'\n') {
            let hash = hex::encode(Sha256::digest(line));
            let entry = self
                .records
                .entry(hash)
                .or_insert_with(|| (0, serde_json::from_slice(line).unwrap_or(Value::Null)));
            entry.0 += 1;
        }
        self.messages.push(Copy { topic, payload: message.payload, properties: message.user_properties });
    }
}
