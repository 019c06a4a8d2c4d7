//! The other end of the heartbeat, for a machine of its own: it hears heartbeats and nothing else.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::post;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::error::Error;
use crate::clock;
use crate::shutdown::Shutdown;

/// A heartbeat is small.
const LONGEST: usize = 4096;

/// What a heartbeat said.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Beat {
    pub v: u8,
    pub platform: String,
    #[serde(default)]
    pub not_ready: Vec<String>,
}

/// The newest heartbeat and when it was heard.
pub type Heard = Option<(std::time::Instant, Beat)>;

/// Listens for heartbeats on `/heartbeat` until `shutdown`. Gives the actual address.
///
/// # Errors
/// [`Error::Listen`] when the address cannot be had.
pub async fn listen(
    listen: SocketAddr,
    shutdown: Shutdown,
) -> Result<(SocketAddr, watch::Receiver<Heard>), Error> {
    let listener = TcpListener::bind(listen).await.map_err(|source| Error::listen(listen, source))?;
    let address = listener.local_addr().map_err(|source| Error::listen(listen, source))?;
    let (line, heard) = watch::channel(None);
    let routes = Router::new()
        .route("/heartbeat", post(beat))
        .layer(DefaultBodyLimit::max(LONGEST))
        .with_state(Arc::new(line));
    let server = axum::serve(listener, routes).with_graceful_shutdown(shutdown.cancelled_owned());
    tokio::spawn(async move {
        if let Err(error) = server.await {
            tracing::error!(%error, "the watch for heartbeats ended");
        }
    });
    Ok((address, heard))
}

async fn beat(State(line): State<Arc<watch::Sender<Heard>>>, body: Bytes) -> StatusCode {
    let Ok(beat) = serde_json::from_slice::<Beat>(&body) else { return StatusCode::BAD_REQUEST };
    if beat.v != 1 || beat.platform.len() > 64 || beat.not_ready.len() > 64 {
        return StatusCode::BAD_REQUEST;
    }
    line.send_replace(Some((clock::monotonic(), beat)));
    StatusCode::NO_CONTENT
}
