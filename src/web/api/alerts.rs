//! `/api/v1/alerts`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::clock;
use crate::domain::alert::AlertKind;
use crate::store::read::alerts::{self as store, AlertRow, Wanted};
use crate::web::Web;
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
pub(in crate::web) async fn alerts(State(web): State<Arc<Web>>, uri: Uri) -> Result<Json<Page>, Refused> {
    let parameters = Parameters::read(&uri, &["from", "to", "kind", "after", "limit"])?;
    let (from, to) = parameters.span(clock::now(), DEFAULT, LONGEST)?;
    let limit = parameters.limit(100, 1000)?;
    let kind = parameters.word("kind", &AlertKind::ALL.map(|kind| (kind.name(), kind.name())))?;
    let after = parameters.text("after").map(id).transpose()?;
    let wanted = Wanted { from, to, kind, after, most: i64::from(limit) + 1 };
    let mut lease = web.sessions.lease().await?;
    let mut alerts = store::alerts(lease.client().await?, &wanted).await?;
    lease.keep();
    let more = alerts.len() > usize::from(limit);
    alerts.truncate(usize::from(limit));
    let last = alerts.last().filter(|_| more);
    let kind = kind.map_or(String::new(), |kind| format!("&kind={kind}"));
    let next =
        last.map(|last| format!("/api/v1/alerts?from={from}&to={to}{kind}&limit={limit}&after={}", last.id));
    Ok(Json(Page { from, to, alerts, next }))
}

fn id(text: &str) -> Result<String, Refused> {
    let id = uuid::Uuid::try_parse(text).ok().map(|id| id.to_string());
    id.ok_or_else(|| {
        Refused::parameter("after", format!("after is the id of an alert; found {}", shown(text)))
    })
}
