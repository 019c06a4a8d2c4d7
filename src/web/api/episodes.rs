//! `/api/v1/episodes`

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::Uri;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::clock;
use crate::domain::alert::AlertKind;
use crate::store::read::episode::{self, Whole};
use crate::store::read::episodes::{self as store, EpisodeRow, Wanted};
use crate::web::Web;
use crate::web::auth::Caller;
use crate::web::error::Refused;
use crate::web::parameters::{Parameters, shown};

const DEFAULT: SignedDuration = SignedDuration::from_hours(24);
const LONGEST: SignedDuration = SignedDuration::from_hours(366 * 24);
const STATES: [&str; 4] = ["open", "closed", "historical", "withdrawn"];

#[derive(Debug, Serialize)]
pub(in crate::web) struct Page {
    from: Timestamp,
    to: Timestamp,
    episodes: Vec<EpisodeRow>,
    /// Address of the next page.
    next: Option<String>,
}

/// Episodes that went on at some time in `[from, to)`, the last opened first.
pub(in crate::web) async fn episodes(
    State(web): State<Arc<Web>>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<Page>, Refused> {
    let parameters = Parameters::read(&uri, &["from", "to", "kind", "state", "after", "limit"])?;
    let (from, to) = parameters.span(clock::now(), DEFAULT, LONGEST)?;
    let limit = parameters.limit(100, 1000)?;
    let kind = parameters.word("kind", &AlertKind::ALL.map(|kind| (kind.name(), kind.name())))?;
    let state = parameters.word("state", &STATES.map(|state| (state, state)))?;
    let after = parameters.text("after").map(id).transpose()?;
    let wanted = Wanted { from, to, kind, state, reach: caller.reach, after, most: i64::from(limit) + 1 };
    let mut lease = web.sessions.lease().await?;
    let mut episodes = store::episodes(lease.client().await?, &wanted).await?;
    lease.keep();
    let more = episodes.len() > usize::from(limit);
    episodes.truncate(usize::from(limit));
    let last = episodes.last().filter(|_| more);
    let named = |name: &str, word: Option<&str>| word.map_or(String::new(), |word| format!("&{name}={word}"));
    let (kind, state) = (named("kind", kind), named("state", state));
    let next = last.map(|last| {
        format!("/api/v1/episodes?from={from}&to={to}{kind}{state}&limit={limit}&after={}", last.id)
    });
    Ok(Json(Page { from, to, episodes, next }))
}

/// One episode: who has it, what people did, what changed, who was told.
pub(in crate::web) async fn episode(
    State(web): State<Arc<Web>>,
    caller: Caller,
    path: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Json<Whole>, Refused> {
    Parameters::read(&uri, &[])?;
    let id = super::number(path, "episode")?;
    let mut lease = web.sessions.lease().await?;
    let found = episode::whole(lease.client().await?, id, &caller.reach).await?;
    lease.keep();
    found.map(Json).ok_or_else(|| super::no_such("episode", &id.to_string()))
}

fn id(text: &str) -> Result<i64, Refused> {
    text.parse().map_err(|_no_number: std::num::ParseIntError| {
        Refused::parameter("after", format!("after is the id of an episode; found {}", shown(text)))
    })
}
