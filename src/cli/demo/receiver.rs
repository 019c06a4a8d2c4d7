//! The webhook of the demonstration: it plays the person who is told, and notes when.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::Notify;

use crate::clock;

/// One alert as it arrived.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) at: Timestamp,
    pub(super) body: Value,
}

#[derive(Debug, Default)]
struct Inbox {
    received: Mutex<Vec<Received>>,
    bell: Notify,
}

/// A listening webhook.
pub(super) struct Receiver {
    inbox: Arc<Inbox>,
    address: SocketAddr,
}

impl Receiver {
    /// Listens on a free loopback port for as long as the program runs.
    pub(super) async fn listen() -> anyhow::Result<Receiver> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.context("no free loopback port")?;
        let address = listener.local_addr()?;
        let inbox = Arc::new(Inbox::default());
        let routes =
            axum::Router::new().route("/alert", axum::routing::post(take)).with_state(Arc::clone(&inbox));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(Receiver { inbox, address })
    }

    /// Where alerts are to be sent.
    pub(super) fn url(&self) -> String {
        format!("http://{}/alert", self.address)
    }

    /// What came after the first `seen`.
    pub(super) fn since(&self, seen: usize) -> Vec<Received> {
        let received = self.inbox.received.lock().unwrap_or_else(PoisonError::into_inner);
        received.iter().skip(seen).cloned().collect()
    }

    /// Waits for the next alert.
    pub(super) async fn rung(&self) {
        self.inbox.bell.notified().await;
    }
}

async fn take(State(inbox): State<Arc<Inbox>>, body: String) -> StatusCode {
    let Ok(body) = serde_json::from_str(&body) else { return StatusCode::BAD_REQUEST };
    let received = Received { at: clock::now(), body };
    inbox.received.lock().unwrap_or_else(PoisonError::into_inner).push(received);
    inbox.bell.notify_one();
    StatusCode::NO_CONTENT
}
