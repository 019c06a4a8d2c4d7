//! `/api/v1/episodes/{id}/acknowledge|assign|comment|close`: what people do about an episode, through a program that has a token.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::Uri;
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::domain::alerting::Audience;
use crate::domain::closing::{Action, Reason};
use crate::domain::handling::{Deed, LONGEST_NAME, Outcome, Taken, Via, is_name};
use crate::store::handling::{Doer, act};
use crate::store::read::episode::{Whole, whole};
use crate::store::read::episodes::find;
use crate::web::Web;
use crate::web::auth::Caller;
use crate::web::body::{Body, BodyOrNothing};
use crate::web::error::Refused;
use crate::web::parameters::{Parameters, shown};

/// What came of it.
#[derive(Debug, Serialize)]
pub(in crate::web) struct Answer {
    /// False: somebody had done it already, and nothing changed.
    done: bool,
    /// Who had.
    already: Option<Taken>,
    episode: Whole,
}

/// Who does it, and for whom.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Acknowledging {
    by: Option<String>,
    audience: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Assigning {
    to: String,
    by: Option<String>,
    audience: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Commenting {
    text: String,
    by: Option<String>,
    audience: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Closing {
    reason: String,
    action: String,
    text: Option<String>,
    by: Option<String>,
    audience: Option<String>,
}

type Id = Result<Path<String>, PathRejection>;
type Answered = Result<Json<Answer>, Refused>;

/// Somebody takes it; the ladder stops.
pub(in crate::web) async fn acknowledge(
    State(web): State<Arc<Web>>,
    caller: Caller,
    id: Id,
    uri: Uri,
    BodyOrNothing(body): BodyOrNothing<Acknowledging>,
) -> Answered {
    Parameters::read(&uri, &[])?;
    carry_out(&web, &caller, id, (Deed::Acknowledge, body.by, body.audience)).await
}

/// It is given to somebody.
pub(in crate::web) async fn assign(
    State(web): State<Arc<Web>>,
    caller: Caller,
    id: Id,
    uri: Uri,
    Body(body): Body<Assigning>,
) -> Answered {
    Parameters::read(&uri, &[])?;
    carry_out(&web, &caller, id, (Deed::Assign { to: body.to }, body.by, body.audience)).await
}

/// Somebody says something.
pub(in crate::web) async fn comment(
    State(web): State<Arc<Web>>,
    caller: Caller,
    id: Id,
    uri: Uri,
    Body(body): Body<Commenting>,
) -> Answered {
    Parameters::read(&uri, &[])?;
    carry_out(&web, &caller, id, (Deed::Comment { text: body.text }, body.by, body.audience)).await
}

/// Its handling ends, with both codes.
pub(in crate::web) async fn close(
    State(web): State<Arc<Web>>,
    caller: Caller,
    id: Id,
    uri: Uri,
    Body(body): Body<Closing>,
) -> Answered {
    Parameters::read(&uri, &[])?;
    let reason = Reason::from_name(&body.reason)
        .ok_or_else(|| unknown_code("reason", &body.reason, &Reason::ALL.map(Reason::name)))?;
    let action = Action::from_name(&body.action)
        .ok_or_else(|| unknown_code("action", &body.action, &Action::ALL.map(Action::name)))?;
    let deed = Deed::Close { reason, action, text: body.text };
    carry_out(&web, &caller, id, (deed, body.by, body.audience)).await
}

fn unknown_code(field: &str, found: &str, allowed: &[&str]) -> Refused {
    Refused::parameter(field, format!("{field} is one of {}; found {}", allowed.join(", "), shown(found)))
}

/// For whom the caller may act: an enterprise for itself, everybody else for the bureau or the platform.
fn audience(caller: &Caller, given: Option<&str>) -> Result<Audience, Refused> {
    let is_enterprise = caller.reach.enterprise.is_some();
    let Some(given) = given else {
        return Ok(if is_enterprise { Audience::Enterprise } else { Audience::Bureau });
    };
    let known = Audience::from_name(given);
    known.filter(|audience| (*audience == Audience::Enterprise) == is_enterprise).ok_or_else(|| {
        let allowed = if is_enterprise {
            "enterprise"
        } else {
            "bureau or platform (an enterprise acts with its own token)"
        };
        Refused::parameter("audience", format!("audience is {allowed}; found {}", shown(given)))
    })
}

async fn carry_out(
    web: &Web,
    caller: &Caller,
    id: Id,
    (deed, by, audience_given): (Deed, Option<String>, Option<String>),
) -> Answered {
    let id = super::number(id, "episode")?;
    let audience = audience(caller, audience_given.as_deref())?;
    if let Some(by) = by.as_deref().filter(|by| !is_name(by)) {
        let text = format!("by is a name of 1 to {LONGEST_NAME} characters on one line; found {}", shown(by));
        return Err(Refused::parameter("by", text));
    }
    deed.check().map_err(|(field, text)| Refused::parameter(field, text))?;
    let unknown = || super::no_such("episode", &id.to_string());
    let mut lease = web.sessions.lease().await?;
    let client = lease.client().await?;
    find(client, id, &caller.reach).await?.ok_or_else(unknown)?;
    let by = caller.acting(by.as_deref());
    let doer = Doer { by: &by, via: Via::Api, at: clock::now(), link: None };
    let outcome = act(client, (id, audience), &deed, doer).await?;
    let episode = whole(client, id, &caller.reach).await?.ok_or_else(unknown)?;
    lease.keep();
    match outcome {
        Outcome::Done => Ok(Json(Answer { done: true, already: None, episode })),
        Outcome::Already(taken) => Ok(Json(Answer { done: false, already: Some(taken), episode })),
        Outcome::Closed(Taken { by, at }) => Err(Refused::Conflict {
            text: format!(
                "{} has closed it at {at}, so it cannot be {}; comment on it instead",
                by,
                deed.what()
            ),
        }),
        Outcome::NotHandled => Err(Refused::Conflict {
            text: format!(
                "nobody of the audience {} was told of it, so there is nothing to handle",
                audience.name()
            ),
        }),
    }
}
