//! `/api/v1/silences`

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::Uri;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::domain::alerting::Audience;
use crate::domain::handling::{LONGEST_NAME, is_name};
use crate::domain::silence::{Covers, Kind, Silence};
use crate::store::silence::{self as store, Ended, SilenceRow, Wanted};
use crate::web::Web;
use crate::web::auth::Caller;
use crate::web::body::{Body, BodyOrNothing};
use crate::web::error::Refused;
use crate::web::parameters::{Parameters, shown};

#[derive(Debug, Serialize)]
pub(in crate::web) struct Page {
    silences: Vec<SilenceRow>,
    /// Address of the next page.
    next: Option<String>,
}

/// Silences, the newest first; without `all=yes` those that are not over.
pub(in crate::web) async fn silences(
    State(web): State<Arc<Web>>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<Page>, Refused> {
    let parameters = Parameters::read(&uri, &["all", "after", "limit"])?;
    let all = parameters.word("all", &[("yes", true), ("no", false)])?.unwrap_or(false);
    let limit = parameters.limit(100, 1000)?;
    let before = parameters.text("after").map(|text| {
        text.parse::<i64>().map_err(|_no_number| {
            Refused::parameter("after", format!("after is the number of a silence; found {}", shown(text)))
        })
    });
    let wanted = Wanted {
        reach: caller.reach,
        not_over_at: (!all).then(clock::now),
        before: before.transpose()?,
        most: i64::from(limit) + 1,
    };
    let mut lease = web.sessions.lease().await?;
    let mut silences = store::list(lease.client().await?, &wanted).await?;
    lease.keep();
    let more = silences.len() > usize::from(limit);
    silences.truncate(usize::from(limit));
    let word = if all { "all=yes&" } else { "" };
    let last = silences.last().filter(|_| more);
    let next = last.map(|last| format!("/api/v1/silences?{word}limit={limit}&after={}", last.id));
    Ok(Json(Page { silences, next }))
}

/// A silence that is wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Making {
    kind: Kind,
    covers: Covers,
    audience: Option<Audience>,
    /// Now, where it is not given.
    from: Option<Timestamp>,
    until: Timestamp,
    by: Option<String>,
    reason: String,
}

/// Makes one. An enterprise's token covers only its own, and only what its own people are told.
pub(in crate::web) async fn make(
    State(web): State<Arc<Web>>,
    caller: Caller,
    uri: Uri,
    Body(body): Body<Making>,
) -> Result<Json<SilenceRow>, Refused> {
    Parameters::read(&uri, &[])?;
    let by = name(body.by)?;
    let now = clock::now();
    let mut covers = body.covers;
    let mut audience = body.audience;
    if let Some(own) = &caller.reach.enterprise {
        covers.enterprise.get_or_insert_with(|| own.clone());
        audience = audience.or(Some(Audience::Enterprise));
    }
    if !caller.reach.division.is_empty() {
        covers.division.get_or_insert_with(|| caller.reach.division.clone());
    }
    let silence = Silence {
        kind: body.kind,
        covers,
        audience,
        from: body.from.unwrap_or(now),
        until: body.until,
        author: caller.acting(by.as_deref()),
        reason: body.reason,
    };
    silence.check(now).map_err(|(field, text)| Refused::parameter(field, text))?;
    if !silence.is_within(&caller.reach) {
        let text = "this token silences only its own enterprise, its own people and its own division; leave enterprise, audience and division out";
        return Err(Refused::NotAllowed { text: text.to_owned() });
    }
    let mut lease = web.sessions.lease().await?;
    let id = store::make(lease.client().await?, &silence, now).await?;
    lease.keep();
    let Silence { kind, covers, audience, from, until, author, reason } = silence;
    let (ended_at, ended_by) = (None, None);
    Ok(Json(SilenceRow {
        id,
        kind,
        covers,
        audience,
        from,
        until,
        author,
        reason,
        made_at: now,
        ended_at,
        ended_by,
    }))
}

/// Who ends it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Ending {
    by: Option<String>,
}

/// Ends one early.
pub(in crate::web) async fn end(
    State(web): State<Arc<Web>>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
    uri: Uri,
    BodyOrNothing(body): BodyOrNothing<Ending>,
) -> Result<Json<SilenceRow>, Refused> {
    Parameters::read(&uri, &[])?;
    let id = super::number(id, "silence")?;
    let by = caller.acting(name(body.by)?.as_deref());
    let mut lease = web.sessions.lease().await?;
    let ended = store::end(lease.client().await?, id, &caller.reach, (&by, clock::now())).await?;
    lease.keep();
    match ended {
        Ended::Done(row) => Ok(Json(row)),
        Ended::Over(row) => {
            let at = row.ended_at.unwrap_or(row.until);
            Err(Refused::Conflict { text: format!("it was over at {at}; there is nothing to end") })
        }
        Ended::Unknown => Err(super::no_such("silence", &id.to_string())),
    }
}

fn name(by: Option<String>) -> Result<Option<String>, Refused> {
    match by {
        Some(by) if !is_name(&by) => {
            let text =
                format!("by is a name of 1 to {LONGEST_NAME} characters on one line; found {}", shown(&by));
            Err(Refused::parameter("by", text))
        }
        by => Ok(by),
    }
}
