//! HTTP: health, metrics, the read-only API and one page. Nothing here changes anything, and nothing waits longer than
//! `PATIENCE` for the database.

/// Every status code, and the body of every refusal.
pub mod error;
/// What every request passes: length, number, time, headers, count.
mod gate;
/// Query parameters, strictly.
mod parameters;
/// A few database sessions of our own.
mod pool;
/// Alive, ready, figures.
mod health;
/// What outlets show right now.
mod overview;
/// `/api/v1`.
mod api;
/// The other end of the heartbeat.
pub mod heartbeat;
/// The page for people.
mod page;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{MethodRouter, get};
use jiff::tz::TimeZone;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::domain::plant::Plant;
use crate::shutdown::Shutdown;
use crate::telemetry::Reporting;

pub use error::Error;

/// No request waits longer for the database.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// So long may open requests take after shutdown.
const GRACE: Duration = Duration::from_secs(3);

/// What the answers are made of.
pub struct State {
    pub reporting: Reporting,
    /// PostgreSQL URL.
    pub database: String,
    pub plant: watch::Receiver<Arc<Plant>>,
    /// The jurisdiction's: where days begin.
    pub zone: TimeZone,
}

/// [`State`] with what serving needs.
struct Web {
    reporting: Reporting,
    plant: watch::Receiver<Arc<Plant>>,
    zone: TimeZone,
    sessions: pool::Sessions,
    gate: gate::Gate,
}

impl Web {
    fn new(state: State) -> Web {
        Web {
            gate: gate::Gate::new(&state.reporting.metrics),
            reporting: state.reporting,
            plant: state.plant,
            zone: state.zone,
            sessions: pool::Sessions::new(&state.database),
        }
    }

    /// The plant as it is now.
    fn plant(&self) -> Arc<Plant> {
        Arc::clone(&self.plant.borrow())
    }
}

/// Every address. `openapi.json` describes each of them, as a test makes sure.
fn addresses() -> [(&'static str, MethodRouter<Arc<Web>>); 11] {
    [
        ("/", get(page::page)),
        ("/style.css", get(page::style)),
        ("/healthz", get(health::alive)),
        ("/readyz", get(health::ready)),
        ("/metrics", get(health::metrics)),
        ("/api/v1/openapi.json", get(api::openapi)),
        ("/api/v1/outlets", get(api::outlets::outlets)),
        ("/api/v1/outlets/{code}/scans", get(api::scans::scans)),
        ("/api/v1/outlets/{code}/averages", get(api::averages::averages)),
        ("/api/v1/alerts", get(api::alerts::alerts)),
        ("/api/v1/episodes", get(api::episodes::episodes)),
    ]
}

fn router(state: State) -> Router {
    let web = Arc::new(Web::new(state));
    let routes =
        addresses().into_iter().fold(Router::new(), |router, (path, answer)| router.route(path, answer));
    routes
        .fallback(error::no_such_address)
        .method_not_allowed_fallback(error::only_reading)
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&web), gate::pass))
        .with_state(web)
}

/// Listens on `listen` and serves until `shutdown`. Gives the actual address: port 0 means a free one.
///
/// # Errors
/// [`Error::Listen`] when the address cannot be had.
pub async fn start(listen: SocketAddr, state: State, shutdown: Shutdown) -> Result<SocketAddr, Error> {
    let listener = TcpListener::bind(listen).await.map_err(|source| Error::listen(listen, source))?;
    let address = listener.local_addr().map_err(|source| Error::listen(listen, source))?;
    tokio::spawn(serve(listener, router(state), shutdown));
    Ok(address)
}

async fn serve(listener: TcpListener, router: Router, shutdown: Shutdown) {
    let ending = shutdown.clone();
    let server = axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned());
    let cut = async {
        ending.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        ended = server.into_future() => {
            if let Err(error) = ended {
                tracing::error!(%error, "HTTP ended");
            }
        }
        () = cut => tracing::debug!("HTTP connections were still open after shutdown; they are cut"),
    }
}

#[cfg(test)]
mod tests;
