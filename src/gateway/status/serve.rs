//! The socket in the data folder: whoever may read the folder may ask. A connection gets the JSON and is closed. The page is served
//! only where the configuration names an address.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener, UnixStream};

use crate::gateway::status::{Status, View, page};
use crate::shutdown::Shutdown;

/// For one who asks.
const PATIENCE: Duration = Duration::from_secs(5);
/// Of the JSON: thousands of channels.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Where the socket of a gateway is.
fn socket(folder: &Path) -> PathBuf {
    folder.join("status.sock")
}

/// Serves both until `shutdown`. What cannot be served is said and is no reason to stop measuring.
pub async fn serve((folder, page): (&Path, Option<SocketAddr>), view: &View, shutdown: &Shutdown) {
    let path = socket(folder);
    match listen(&path) {
        Ok(listener) => drop(tokio::spawn(answer(listener, path, view.clone(), shutdown.clone()))),
        Err(error) => tracing::warn!(
            socket = %path.display(), %error,
            "`cems gateway status` cannot be answered; a shorter data_dir or more rights may help"
        ),
    }
    let Some(address) = page else { return };
    match TcpListener::bind(address).await {
        Ok(listener) => {
            if !address.ip().is_loopback() {
                tracing::warn!(%address, "the status page is open to the network; it asks nobody who they are");
            }
            tracing::info!(%address, "status page");
            drop(tokio::spawn(pages(listener, view.clone(), shutdown.clone())));
        }
        Err(error) => {
            tracing::warn!(%address, %error, "the status page cannot be served; choose another status.listen");
        }
    }
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    // One of a gateway that was killed; the spool's lock makes sure that there is no other at work.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    rustix::fs::chmod(path, rustix::fs::Mode::from_raw_mode(0o660))?;
    Ok(listener)
}

async fn answer(listener: UnixListener, path: PathBuf, view: View, shutdown: Shutdown) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        let Ok((mut stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let body = view.status().and_then(|status| serde_json::to_vec(&status).ok()).unwrap_or_default();
        let writing = async {
            stream.write_all(&body).await?;
            stream.shutdown().await
        };
        // Who goes away, or reads too slowly, gets no more.
        let _gone = tokio::time::timeout(PATIENCE, writing).await;
    }
    let _gone_already = std::fs::remove_file(path);
}

async fn pages(listener: TcpListener, view: View, shutdown: Shutdown) {
    let router = Router::new()
        .route("/", get(html))
        .route("/status.json", get(json))
        .route("/metrics", get(metrics))
        .with_state(view);
    let serving =
        axum::serve(listener, router).with_graceful_shutdown(async move { shutdown.cancelled().await });
    if let Err(error) = serving.await {
        tracing::warn!(%error, "the status page is served no longer");
    }
}

const SAFE: [(HeaderName, &str); 3] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "no-store"),
];

async fn html(State(view): State<View>) -> Response {
    let Some(status) = view.status() else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    (SAFE, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], page::html(&status)).into_response()
}

async fn json(State(view): State<View>) -> Response {
    (SAFE, axum::Json(view.status())).into_response()
}

async fn metrics(State(view): State<View>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match view.reporting.metrics.render() {
        Ok(text) => (SAFE, [(header::CONTENT_TYPE, kind)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Why a gateway's status is not known.
#[derive(Debug, thiserror::Error)]
pub enum NoStatus {
    #[error(
        "no gateway answers at {0} ({1}); is it running, with this data_dir, and may you read the folder?"
    )]
    NotRunning(PathBuf, io::Error),
    #[error("the gateway at {0} does not answer within 5 s")]
    Hangs(PathBuf),
    #[error("the gateway's answer is not one that this version understands: {0}")]
    Unreadable(#[from] serde_json::Error),
}

/// Asks the gateway that works in this folder.
///
/// # Errors
/// [`NoStatus`].
pub async fn ask(folder: &Path) -> Result<Status, NoStatus> {
    let path = socket(folder);
    let asking = async {
        let stream = UnixStream::connect(&path).await?;
        let mut body = Vec::new();
        stream.take(MAX_BYTES).read_to_end(&mut body).await.map(|_| body)
    };
    let body = match tokio::time::timeout(PATIENCE, asking).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) => return Err(NoStatus::NotRunning(path, error)),
        Err(_elapsed) => return Err(NoStatus::Hangs(path)),
    };
    Ok(serde_json::from_slice(&body)?)
}
