//! `/api/v1/alerts`

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::Uri;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::clock;
use crate::domain::alert::{AlertKind, Phase};
use crate::domain::alerting::Audience;
use crate::store::read::alerts::{self as store, AlertRow, Wanted};
use crate::web::Web;
use crate::web::auth::Caller;
use crate::web::error::Refused;
use crate::web::parameters::{Parameters, shown};

const DEFAULT: SignedDuration = SignedDuration::from_hours(24);
const LONGEST: SignedDuration = SignedDuration::from_hours(31 * 24);

#[derive(Debug, Serialize)]
pub(in crate::web) struct Page {
    from: Timestamp,
    to: Timestamp,
    alerts: Vec<AlertRow>,
    /// Address of the next page.
    next: Option<String>,
}

/// Alerts made in `[from, to)`, newest first, with what became of them.
pub(in crate::web) async fn alerts(
    State(web): State<Arc<Web>>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<Page>, Refused> {
    let known = ["from", "to", "kind", "phase", "audience", "after", "limit"];
    let parameters = Parameters::read(&uri, &known)?;
    let (from, to) = parameters.span(clock::now(), DEFAULT, LONGEST)?;
    let limit = parameters.limit(100, 1000)?;
    let kind = parameters.word("kind", &AlertKind::ALL.map(|kind| (kind.name(), kind.name())))?;
    let phase = parameters.word("phase", &Phase::ALL.map(|phase| (phase.name(), phase.name())))?;
    let audience = parameters.word("audience", &Audience::ALL.map(|audience| (audience.name(), audience)))?;
    let after = parameters.text("after").map(|text| id(text).ok_or_else(|| no_id(text))).transpose()?;
    let most = i64::from(limit) + 1;
    let wanted = Wanted { from, to, kind, phase, audience, reach: caller.reach, after, most };
    let mut lease = web.sessions.lease().await?;
    let mut alerts = store::alerts(lease.client().await?, &wanted).await?;
    lease.keep();
    let more = alerts.len() > usize::from(limit);
    alerts.truncate(usize::from(limit));
    let last = alerts.last().filter(|_| more);
    let named = |name: &str, word: Option<&str>| word.map_or(String::new(), |word| format!("&{name}={word}"));
    let filters =
        named("kind", kind) + &named("phase", phase) + &named("audience", audience.map(Audience::name));
    let next = last
        .map(|last| format!("/api/v1/alerts?from={from}&to={to}{filters}&limit={limit}&after={}", last.id));
    Ok(Json(Page { from, to, alerts, next }))
}

/// One alert by its id.
pub(in crate::web) async fn alert(
    State(web): State<Arc<Web>>,
    caller: Caller,
    path: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Json<AlertRow>, Refused> {
    Parameters::read(&uri, &[])?;
    let text = path.map_or_else(|_unreadable| "?".to_owned(), |Path(text)| text);
    let unknown = || Refused::Unknown {
        field: Some("id"),
        text: format!("no alert has the id {}; /api/v1/alerts lists them", shown(&text)),
    };
    let id = id(&text).ok_or_else(unknown)?;
    let mut lease = web.sessions.lease().await?;
    let found = store::one(lease.client().await?, &id, &caller.reach).await?;
    lease.keep();
    found.map(Json).ok_or_else(unknown)
}

fn id(text: &str) -> Option<String> {
    uuid::Uuid::try_parse(text).ok().map(|id| id.to_string())
}

fn no_id(text: &str) -> Refused {
    Refused::parameter("after", format!("after is the id of an alert; found {}", shown(text)))
}
