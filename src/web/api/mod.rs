//! `/api/v1`: read-only JSON. Times are RFC 3339 in UTC, numbers unrounded as stored, null where something does not apply.

/// Outlets with channels, rules in force and live values.
pub(super) mod outlets;
/// Scans of an outlet.
pub(super) mod scans;
/// Averages of an outlet with their verdicts.
pub(super) mod averages;
/// Alerts and their deliveries.
pub(super) mod alerts;
/// When something began and ended.
pub(super) mod episodes;

use std::sync::Arc;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::header::{CONTENT_TYPE, HeaderName};

use super::Web;
use super::error::Refused;
use super::parameters::shown;
use crate::domain::plant::Outlet;

/// Describes every address.
pub(super) const OPENAPI: &str = include_str!("openapi.json");

/// `/api/v1/openapi.json`
pub(super) async fn openapi() -> ([(HeaderName, &'static str); 1], &'static str) {
    ([(CONTENT_TYPE, "application/json")], OPENAPI)
}

/// The outlet that a path names.
fn outlet(web: &Web, code: Result<Path<String>, PathRejection>) -> Result<Arc<Outlet>, Refused> {
    let unknown = |code: &str| Refused::Unknown {
        field: Some("outlet"),
        text: format!("no outlet has the code {}; /api/v1/outlets lists them", shown(code)),
    };
    let Ok(Path(code)) = code else { return Err(unknown("?")) };
    web.plant().outlet(&code).map(Arc::clone).ok_or_else(|| unknown(&code))
}
