//! Plays the centre: keeps every message, and receipts those of live and backfill when told to.
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cems::mqtt::connection::{Acknowledge, Delivery, Message, Notice, Outbox, Settings, connect};
use cems::mqtt::receipt::{Ranges, Receipt};
use cems::mqtt::record::Epoch;
use cems::mqtt::status::CentralStatus;
use cems::mqtt::topic::CENTRAL_STATUS;
use cems::shutdown::Shutdown;
use jiff::SignedDuration;

#[derive(Clone)]
pub struct Received {
    pub lane: String,
    pub payload: Vec<u8>,
    pub properties: Vec<(String, String)>,
}

impl Received {
    pub fn text(&self) -> String {
        String::from_utf8(self.payload.clone()).unwrap()
    }
}

#[derive(Default)]
struct State {
    received: Vec<Received>,
    receipts: bool,
    /// How far its clock is ahead of the machine's; `None`: a centre of before, which says no time.
    ahead: Option<SignedDuration>,
    outbox: Option<Outbox>,
}

pub struct Centre {
    state: Arc<Mutex<State>>,
    shutdown: Shutdown,
}

impl Centre {
    pub async fn start(port: u16) -> Centre {
        Centre::start_with(Centre::settings(port)).await
    }

    pub fn settings(port: u16) -> Settings {
        Settings {
            host: "127.0.0.1".to_owned(),
            port,
            tls: None,
            client_id: "test-centre".to_owned(),
            credentials: None,
            inflight: 1000,
            will: None,
            subscriptions: ["live", "backfill", "status"].map(|lane| format!("cems/v1/+/{lane}")).to_vec(),
            acknowledge: Acknowledge::OnArrival,
            keep_alive: Duration::from_secs(5),
        }
    }

    pub async fn start_with(settings: Settings) -> Centre {
        let shutdown = Shutdown::new();
        let mut notices = connect(settings, shutdown.clone());
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Some(notice) = notices.recv().await {
                match notice {
                    Notice::Connected(outbox) => shared.lock().unwrap().outbox = Some(outbox),
                    Notice::Lost(_) => shared.lock().unwrap().outbox = None,
                    Notice::Message(message) => take(&shared, *message).await,
                    Notice::LeftOut => {}
                }
            }
        });
        let centre = Centre { state, shutdown };
        crate::gateway::until("the centre is connected", || centre.state.lock().unwrap().outbox.is_some())
            .await;
        centre
    }

    /// From now on, everything; what came before is receipted when it comes again.
    pub fn receipt_everything(&self) {
        self.state.lock().unwrap().receipts = true;
    }

    /// Its receipts say its time from now on.
    pub fn clock_ahead(&self, by: SignedDuration) {
        self.state.lock().unwrap().ahead = Some(by);
    }

    pub fn forget(&self) {
        self.state.lock().unwrap().received.clear();
    }

    pub fn messages(&self, lane: &str) -> Vec<Received> {
        self.state.lock().unwrap().received.iter().filter(|message| message.lane == lane).cloned().collect()
    }

    pub fn count(&self, lane: &str) -> usize {
        self.state.lock().unwrap().received.iter().filter(|message| message.lane == lane).count()
    }

    /// Says that a centre has started.
    pub fn announce(&self, start: &str) {
        let status = CentralStatus { v: 1, online: true, start: start.to_owned(), version: String::new() };
        let outbox = self.state.lock().unwrap().outbox.clone().unwrap();
        tokio::spawn(async move {
            let payload = serde_json::to_vec(&status).unwrap();
            outbox.publish(CENTRAL_STATUS, Delivery::AtLeastOnceRetained, payload, Vec::new()).await.unwrap();
        });
    }
}

impl Drop for Centre {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

async fn take(state: &Arc<Mutex<State>>, message: Message) {
    let topic = String::from_utf8(message.topic.to_vec()).unwrap();
    let (gateway, lane) = topic.strip_prefix("cems/v1/").unwrap().split_once('/').unwrap();
    let received = Received {
        lane: lane.to_owned(),
        payload: message.payload.to_vec(),
        properties: message.user_properties,
    };
    let receipt = receipt(gateway, &received);
    let (outbox, ahead) = {
        let mut state = state.lock().unwrap();
        state.received.push(received);
        (state.outbox.clone().filter(|_| state.receipts), state.ahead)
    };
    if let (Some(outbox), Some(receipt)) = (outbox, receipt) {
        let receipt = match ahead {
            Some(ahead) => receipt.leaving(cems::clock::now() + ahead),
            None => receipt,
        };
        let topic = format!("cems/v1/{gateway}/receipt");
        let _gone = outbox.publish(&topic, Delivery::AtMostOnce, receipt.encode().unwrap(), Vec::new()).await;
    }
}

fn receipt(gateway: &str, message: &Received) -> Option<Receipt> {
    let property =
        |name: &str| message.properties.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let epoch = Epoch::from_hex(property("epoch")?)?;
    let range = (property("first")?.parse().ok()?, property("last")?.parse().ok()?);
    Some(Receipt::new(gateway, epoch, Ranges::from_pairs([range]), Ranges::default()))
}
