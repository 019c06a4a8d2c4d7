//! `/api/v1`: JSON. Times are RFC 3339 in UTC, numbers unrounded as stored, null where something does not apply.

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
/// What people do about episodes.
pub(super) mod handling;
/// Silences and planned maintenance.
pub(super) mod silences;
/// Rules of alerting, and how often each was right.
pub(super) mod rules;
/// Who is on duty.
pub(super) mod roster;

use std::sync::Arc;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::header::{CONTENT_TYPE, HeaderName};

use super::Web;
use super::auth::Caller;
use super::error::Refused;
use super::parameters::shown;
use crate::domain::plant::Outlet;

/// Describes every address.
pub(super) const OPENAPI: &str = include_str!("openapi.json");

/// `/api/v1/openapi.json`
pub(super) async fn openapi() -> ([(HeaderName, &'static str); 1], &'static str) {
    ([(CONTENT_TYPE, "application/json")], OPENAPI)
}

/// The outlet that a path names, as far as the caller may see it.
fn outlet(
    web: &Web,
    code: Result<Path<String>, PathRejection>,
    caller: &Caller,
) -> Result<Arc<Outlet>, Refused> {
    let unknown = |code: &str| Refused::Unknown {
        field: Some("outlet"),
        text: format!("no outlet has the code {}; /api/v1/outlets lists them", shown(code)),
    };
    let Ok(Path(code)) = code else { return Err(unknown("?")) };
    let found = web.plant().outlet(&code).map(Arc::clone);
    found.filter(|outlet| sees(caller, outlet)).ok_or_else(|| unknown(&code))
}

/// Whether the caller may know of an outlet.
fn sees(caller: &Caller, outlet: &Outlet) -> bool {
    caller.reach.covers(&outlet.enterprise.code, &outlet.enterprise.division)
}

/// The number of an episode or a silence that a path names.
fn number(id: Result<Path<String>, PathRejection>, what: &'static str) -> Result<i64, Refused> {
    let text = id.map_or_else(|_unreadable| "?".to_owned(), |Path(text)| text);
    text.parse().map_err(|_no_number: std::num::ParseIntError| no_such(what, &text))
}

/// There is none, or none that the caller may know of: it looks the same.
fn no_such(what: &'static str, id: &str) -> Refused {
    let text = format!("no {what} has the number {}; /api/v1/{what}s lists them", shown(id));
    Refused::Unknown { field: Some("id"), text }
}
