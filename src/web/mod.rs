//! HTTP: health, metrics, the API, a page for people and the pages of links. What changes something needs a token or a link, and nothing
//! waits longer than `PATIENCE` for the database.

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
/// Who asks, and what they may.
mod auth;
/// How often something may go wrong.
mod limiter;
/// Bodies of requests, strictly.
mod body;
/// The page of one alert, by the link in its message.
mod link;
/// What happens, as it happens.
mod events;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{MethodRouter, get, post};
use jiff::tz::TimeZone;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::config::central::Tokens;
use crate::domain::plant::Plant;
use crate::domain::token::Permission;
use crate::shutdown::Shutdown;
use crate::store::frame::Frames;
use crate::store::session::Session;
use crate::telemetry::Reporting;

use auth::Needs;
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
    /// Rules of alerting, teams and people.
    pub frames: watch::Receiver<Arc<Frames>>,
    /// The jurisdiction's: where days begin.
    pub zone: TimeZone,
    /// What needs a token.
    pub tokens: Tokens,
}

/// [`State`] with what serving needs.
struct Web {
    reporting: Reporting,
    plant: watch::Receiver<Arc<Plant>>,
    frames: watch::Receiver<Arc<Frames>>,
    zone: TimeZone,
    guard: auth::Guard,
    links: link::Links,
    events: events::Desk,
    sessions: pool::Sessions,
    gate: gate::Gate,
}

impl Web {
    fn new(state: State, shutdown: Shutdown) -> Web {
        Web {
            gate: gate::Gate::new(&state.reporting.metrics),
            guard: auth::Guard::new(state.tokens, &state.reporting.metrics),
            links: link::Links::new(&state.reporting.metrics),
            events: events::Desk::new(&state.reporting.metrics, shutdown),
            reporting: state.reporting,
            plant: state.plant,
            frames: state.frames,
            zone: state.zone,
            sessions: pool::Sessions::new(&state.database),
        }
    }

    /// The plant as it is now.
    fn plant(&self) -> Arc<Plant> {
        Arc::clone(&self.plant.borrow())
    }

    /// Rules of alerting, teams and people as they are now.
    fn frames(&self) -> Arc<Frames> {
        Arc::clone(&self.frames.borrow())
    }
}

/// Longest body of a request, bytes.
const LONGEST_BODY: usize = 16 * 1024;

/// Where, what answers, and who may ask.
type Address = (&'static str, MethodRouter<Arc<Web>>, Needs);

/// Every address. `openapi.json` describes each of them, as a test makes sure.
fn addresses() -> Vec<Address> {
    use Permission::{AlertsRead, AlertsWrite, DataRead, RosterRead, RulesRead, SilencesRead, SilencesWrite};
    let data = Needs::of(DataRead);
    let alerts = Needs { read: Some(AlertsRead), write: Some(AlertsWrite) };
    let silences = Needs { read: Some(SilencesRead), write: Some(SilencesWrite) };
    vec![
        ("/", get(page::page), data),
        ("/style.css", get(page::style), Needs::NOTHING),
        ("/healthz", get(health::alive), Needs::NOTHING),
        ("/readyz", get(health::ready), Needs::NOTHING),
        ("/metrics", get(health::metrics), Needs::NOTHING),
        // Whoever has the link may.
        ("/a/{token}", get(link::show).post(link::act), Needs::NOTHING),
        ("/seen.js", get(link::script), Needs::NOTHING),
        ("/api/v1/openapi.json", get(api::openapi), Needs::NOTHING),
        ("/api/v1/outlets", get(api::outlets::outlets), data),
        ("/api/v1/outlets/{code}/scans", get(api::scans::scans), data),
        ("/api/v1/outlets/{code}/averages", get(api::averages::averages), data),
        ("/api/v1/alerts", get(api::alerts::alerts), alerts),
        ("/api/v1/alerts/{id}", get(api::alerts::alert), alerts),
        ("/api/v1/episodes", get(api::episodes::episodes), alerts),
        ("/api/v1/episodes/{id}", get(api::episodes::episode), alerts),
        ("/api/v1/episodes/{id}/acknowledge", post(api::handling::acknowledge), alerts),
        ("/api/v1/episodes/{id}/assign", post(api::handling::assign), alerts),
        ("/api/v1/episodes/{id}/comment", post(api::handling::comment), alerts),
        ("/api/v1/episodes/{id}/close", post(api::handling::close), alerts),
        ("/api/v1/silences", get(api::silences::silences).post(api::silences::make), silences),
        ("/api/v1/silences/{id}/end", post(api::silences::end), silences),
        ("/api/v1/rules", get(api::rules::rules), Needs::of(RulesRead)),
        ("/api/v1/roster", get(api::roster::roster), Needs::of(RosterRead)),
        ("/api/v1/events", get(events::events), alerts),
    ]
}

fn router(web: &Arc<Web>) -> Router {
    let add = |router: Router<Arc<Web>>, (path, answer, needs): Address| {
        let guarded = axum::middleware::from_fn_with_state((Arc::clone(web), needs), auth::pass);
        router.route(path, answer.route_layer(guarded))
    };
    addresses()
        .into_iter()
        .fold(Router::new(), add)
        .fallback(error::no_such_address)
        .method_not_allowed_fallback(error::other_method)
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(web), gate::pass))
        .with_state(Arc::clone(web))
}

/// Listens on `listen` and serves until `shutdown`. Gives the actual address: port 0 means a free one.
///
/// # Errors
/// [`Error::Listen`] when the address cannot be had.
pub async fn start(listen: SocketAddr, state: State, shutdown: Shutdown) -> Result<SocketAddr, Error> {
    let listener = TcpListener::bind(listen).await.map_err(|source| Error::listen(listen, source))?;
    let address = listener.local_addr().map_err(|source| Error::listen(listen, source))?;
    let session = Session::new(&state.database);
    let web = Arc::new(Web::new(state, shutdown.clone()));
    tokio::spawn(events::follow(Arc::clone(&web), session));
    tokio::spawn(serve(listener, router(&web), shutdown));
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
