//! Alive, ready, figures.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use serde::Serialize;

use super::Web;
use super::error::{Refused, readiness};
use crate::telemetry::Part;

/// The process is alive and answers.
pub(super) async fn alive() -> &'static str {
    "ok"
}

#[derive(Debug, Serialize)]
pub(super) struct Ready {
    ready: bool,
    parts: BTreeMap<&'static str, Part>,
}

/// Which parts are ready, and what is wrong with the others.
pub(super) async fn ready(State(web): State<Arc<Web>>) -> (StatusCode, Json<Ready>) {
    let parts = web.reporting.readiness.parts();
    let ready = !parts.is_empty() && parts.values().all(|part| part.ready);
    (readiness(ready), Json(Ready { ready, parts }))
}

/// All figures, for Prometheus.
pub(super) async fn metrics(
    State(web): State<Arc<Web>>,
) -> Result<([(HeaderName, &'static str); 1], String), Refused> {
    let text = web.reporting.metrics.render().map_err(|error| {
        tracing::error!(%error, "HTTP: the figures cannot be written");
        Refused::Broken
    })?;
    Ok(([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text))
}
