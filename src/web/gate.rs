//! What every request passes: the length of its query, the number of requests at once, the time it may take, the headers of
//! its answer, and the counters.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::Semaphore;

use super::error::Refused;
use super::{PATIENCE, Web};
use crate::clock;
use crate::telemetry::Metrics;

/// Longest query, bytes.
const LONGEST_QUERY: usize = 1000;
/// Requests that are answered at once.
const AT_ONCE: usize = 64;

/// Nothing from elsewhere, nothing inline, nowhere to send anything.
const CONTENT_POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const HEADERS: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "no-store"),
    (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    route: String,
    status: u16,
}

/// Places for requests, and what is counted.
pub(super) struct Gate {
    places: Semaphore,
    requests: Family<Labels, Counter>,
    seconds: Histogram,
}

impl Gate {
    pub(super) fn new(metrics: &Metrics) -> Gate {
        let buckets = [0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 2.5, 5.0].into_iter();
        let gate = Gate {
            places: Semaphore::new(AT_ONCE),
            requests: Family::default(),
            seconds: Histogram::new(buckets),
        };
        metrics.register(|registry| {
            registry.register("cems_http_requests", "HTTP requests answered", gate.requests.clone());
            registry.register(
                "cems_http_seconds",
                "Time to the answer of HTTP requests",
                gate.seconds.clone(),
            );
        });
        gate
    }
}

/// The way of every request.
pub(super) async fn pass(State(web): State<Arc<Web>>, request: Request, next: Next) -> Response {
    let begun = clock::monotonic();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let mut response = answer(&web, request, next).await;
    for (name, value) in HEADERS {
        // A page that may do more has said so itself.
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    count(&web.gate, route, &response, begun);
    response
}

async fn answer(web: &Web, request: Request, next: Next) -> Response {
    if request.uri().query().is_some_and(|query| query.len() > LONGEST_QUERY) {
        return Refused::TooLong { most: LONGEST_QUERY }.into_response();
    }
    // Whether the process is alive is to be seen even when everything else is busy.
    let vital = ["/healthz", "/readyz", "/metrics"].contains(&request.uri().path());
    let Ok(_place) = web.gate.places.try_acquire() else {
        return if vital { next.run(request).await } else { Refused::Busy.into_response() };
    };
    match tokio::time::timeout(PATIENCE, next.run(request)).await {
        Ok(response) => response,
        Err(_late) => {
            tracing::warn!("HTTP: an answer was not there within {} s", PATIENCE.as_secs());
            Refused::Database.into_response()
        }
    }
}

fn count(gate: &Gate, route: String, response: &Response, begun: Instant) {
    gate.requests.get_or_create(&Labels { route, status: response.status().as_u16() }).inc();
    gate.seconds.observe(clock::monotonic().duration_since(begun).as_secs_f64());
}
