//! The page of one alert, by the link in its message: no login, this alert only. To look changes nothing, so that programs which preview
//! links do no harm; what changes something is a form. A link that is wrong, over or used up gets a plain page, and changes nothing.

/// The page as HTML.
mod page;
/// What it says, in each language.
mod words;

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::rejection::{FormRejection, PathRejection};
use axum::extract::{Form, Path, State};
use axum::http::header::{CONTENT_TYPE, HeaderName, LOCATION};
use axum::http::{HeaderValue, Uri};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use serde::Deserialize;

use super::Web;
use super::error::{self, Refused};
use super::limiter::Limiter;
use super::parameters::Parameters;
use crate::clock;
use crate::domain::alert::Alert;
use crate::domain::alerting::{Audience, Language};
use crate::domain::closing::{Action, Reason};
use crate::domain::handling::{Deed, Outcome, Via, is_name};
use crate::domain::link::{Key, Link, Wrong};
use crate::domain::message::{Context, Reached, message};
use crate::domain::token::Reach;
use crate::store::handling::{ByLink, Doer, act_by_link, refuse};
use crate::store::link::{self as store, Stored};
use crate::store::read::alerts;
use crate::store::read::episode::{ActionRow, Line, actions, lines};
use crate::telemetry::Metrics;
pub(super) use words::Why;
use words::words;

/// Wrong links a minute; above it no wrong one is looked at more closely.
const WRONG: u32 = 30;
/// Nothing from elsewhere; the form and the script speak to this server only.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; \
    base-uri 'none'; frame-ancestors 'none'";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    why: &'static str,
}

/// What is known of links.
pub(super) struct Links {
    key: Mutex<Option<Key>>,
    wrong: Limiter,
    refused: Family<Labels, Counter>,
}

impl Links {
    pub(super) fn new(metrics: &Metrics) -> Links {
        let links = Links { key: Mutex::default(), wrong: Limiter::new(WRONG), refused: Family::default() };
        metrics.register(|registry| {
            registry.register("cems_alert_links_refused", "Links that opened nothing", links.refused.clone());
        });
        links
    }
}

/// What tells that somebody looks.
pub(super) async fn script() -> ([(HeaderName, &'static str); 1], &'static str) {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("seen.js"))
}

type Token = Result<Path<String>, PathRejection>;

/// Shows it.
pub(super) async fn show(State(web): State<Arc<Web>>, token: Token, uri: Uri) -> Response {
    let wanted = match language(&uri) {
        Ok(wanted) => wanted,
        Err(refused) => return refused.into_response(),
    };
    match opened(&web, token).await {
        Ok(link) => shown(&web, &link, wanted, None).await.unwrap_or_else(|why| refusal(&web, why)),
        Err(why) => refusal(&web, why),
    }
}

fn language(uri: &Uri) -> Result<Option<Language>, Refused> {
    Parameters::read(uri, &["lang"])?.word("lang", &Language::ALL.map(|language| (language.name(), language)))
}

/// What a form sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sent {
    #[serde(rename = "do")]
    what: What,
    lang: Option<Language>,
    name: Option<String>,
    text: Option<String>,
    reason: Option<String>,
    action: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum What {
    Acknowledge,
    Comment,
    Close,
    Seen,
}

/// Does what the form says.
pub(super) async fn act(
    State(web): State<Arc<Web>>,
    token: Token,
    uri: Uri,
    form: Result<Form<Sent>, FormRejection>,
) -> Response {
    let wanted = match language(&uri) {
        Ok(wanted) => wanted,
        Err(refused) => return refused.into_response(),
    };
    let link = match opened(&web, token).await {
        Ok(link) => link,
        Err(why) => return refusal(&web, why),
    };
    let sent = match form {
        Ok(Form(sent)) => sent,
        Err(rejection) => return error::of_form(&rejection).into_response(),
    };
    let wanted = sent.lang.or(wanted);
    carry_out(&web, &link, sent, wanted).await.unwrap_or_else(|why| refusal(&web, why))
}

async fn carry_out(web: &Web, link: &Stored, sent: Sent, wanted: Option<Language>) -> Result<Response, Why> {
    let words = words(wanted.unwrap_or_else(|| own_language(web, link)));
    let name = sent.name.as_deref().map(str::trim).filter(|name| is_name(name));
    let by = match (person(web, link), name) {
        (Some((name, _)), _) => name,
        (None, Some(name)) => format!("{name} ({})", link.person),
        (None, None) if sent.what == What::Seen => link.person.clone(),
        (None, None) => return wrong(web, link, wanted, words.missing_name).await,
    };
    let text = sent.text.filter(|text| !text.trim().is_empty());
    let codes = sent.reason.as_deref().and_then(Reason::from_name);
    let codes = codes.zip(sent.action.as_deref().and_then(Action::from_name));
    let deed = match (sent.what, text, codes) {
        (What::Acknowledge, ..) => Deed::Acknowledge,
        (What::Seen, ..) => Deed::Seen,
        (What::Comment, Some(text), _) => Deed::Comment { text },
        (What::Comment, None, _) => return wrong(web, link, wanted, words.missing_text).await,
        (What::Close, text, Some((reason, action))) => Deed::Close { reason, action, text },
        (What::Close, _, None) => return wrong(web, link, wanted, words.missing_codes).await,
    };
    if deed.check().is_err() {
        let needs_words = matches!(&deed, Deed::Close { text: None, .. });
        let notice = if needs_words { words.missing_words } else { words.missing_text };
        return wrong(web, link, wanted, notice).await;
    }
    let by = if by.is_empty() { "?".to_owned() } else { by };
    let doer = Doer { by: &by, via: Via::Link, at: clock::now(), link: Some(&link.id) };
    let mut lease = web.sessions.lease().await.map_err(|_told| Why::NotNow)?;
    let client = lease.client().await.map_err(not_now)?;
    let outcome = act_by_link(client, link, &deed, doer).await.map_err(not_now)?;
    lease.keep();
    match outcome {
        ByLink::Reused(_) => Err(Why::Reused),
        ByLink::Outcome(Outcome::NotHandled) => Err(Why::Nothing),
        ByLink::Outcome(_) if deed == Deed::Seen => Ok(error::done().into_response()),
        // Who has it already stands on the page.
        ByLink::Outcome(Outcome::Done | Outcome::Already(_) | Outcome::Closed(_)) => Ok(back(wanted)),
    }
}

/// To the page again, so that a reload sends nothing twice.
fn back(wanted: Option<Language>) -> Response {
    // The query alone keeps the path, under whatever prefix it is.
    let query = match wanted {
        Some(Language::En) => "?lang=en",
        Some(Language::Zh) => "?lang=zh",
        None => "?",
    };
    (error::see_other(), [(LOCATION, query)]).into_response()
}

async fn wrong(web: &Web, link: &Stored, wanted: Option<Language>, notice: &str) -> Result<Response, Why> {
    let page = shown(web, link, wanted, Some(notice)).await?;
    Ok((error::not_so(), page).into_response())
}

#[expect(clippy::needless_pass_by_value, reason = "a mapper of errors")]
fn not_now(failure: crate::store::session::Failure) -> Why {
    tracing::warn!(%failure, "a link's page is not answered");
    Why::NotNow
}

/// The link that a token is, if it still opens something.
async fn opened(web: &Web, token: Token) -> Result<Stored, Why> {
    let text = token.map_or_else(|_unreadable| String::new(), |Path(text)| text);
    // Everybody may try a few; what a key says needs no database.
    let known = *web.links.key.lock().unwrap_or_else(PoisonError::into_inner);
    let key = match known {
        Some(key) => key,
        None if web.links.wrong.is_over() => return Err(Why::TooMany),
        None => match learn_key(web).await? {
            Some(key) => key,
            None => return Err(guessed(web)),
        },
    };
    let now = clock::now();
    let link = match Link::read(&key, &text) {
        Ok(link) => link,
        Err(_) if web.links.wrong.is_over() => return Err(Why::TooMany),
        Err(Wrong::Malformed) => return Err(guessed(web)),
        Err(Wrong::Tampered(id)) => {
            let why = guessed(web);
            if let Some(stored) = find(web, id).await? {
                note(web, &stored, "tampered").await?;
            }
            return Err(why);
        }
    };
    let Some(stored) = find(web, link.id).await? else { return Err(guessed(web)) };
    if link.is_over(now) || stored.expires_at <= now {
        note(web, &stored, Why::Expired.name()).await?;
        return Err(Why::Expired);
    }
    Ok(stored)
}

fn guessed(web: &Web) -> Why {
    web.links.wrong.note();
    tracing::warn!("a link in an address was refused: nobody here signed it");
    Why::Wrong
}

async fn learn_key(web: &Web) -> Result<Option<Key>, Why> {
    let mut lease = web.sessions.lease().await.map_err(|_told| Why::NotNow)?;
    let key = store::known_key(lease.client().await.map_err(not_now)?).await.map_err(not_now)?;
    lease.keep();
    if key.is_some() {
        *web.links.key.lock().unwrap_or_else(PoisonError::into_inner) = key;
    }
    Ok(key)
}

async fn find(web: &Web, id: [u8; 16]) -> Result<Option<Stored>, Why> {
    let mut lease = web.sessions.lease().await.map_err(|_told| Why::NotNow)?;
    let found = store::open(lease.client().await.map_err(not_now)?, id).await.map_err(not_now)?;
    lease.keep();
    Ok(found)
}

async fn note(web: &Web, link: &Stored, why: &str) -> Result<(), Why> {
    let mut lease = web.sessions.lease().await.map_err(|_told| Why::NotNow)?;
    refuse(lease.client().await.map_err(not_now)?, link, why, clock::now()).await.map_err(not_now)?;
    lease.keep();
    Ok(())
}

/// Whose link it is: name and language. `None`: a group's.
fn person(web: &Web, link: &Stored) -> Option<(String, Language)> {
    let frames = web.frames();
    let person = frames.alerting.person(&link.person, clock::now())?;
    Some((person.name.clone(), person.language))
}

fn own_language(web: &Web, link: &Stored) -> Language {
    let team = || web.frames().alerting.team(&link.person, clock::now()).map(|team| team.language);
    person(web, link).map(|(_, language)| language).or_else(team).unwrap_or_default()
}

async fn shown(
    web: &Web,
    link: &Stored,
    wanted: Option<Language>,
    notice: Option<&str>,
) -> Result<Response, Why> {
    let key = (link.outlet_id, link.episode);
    let mut lease = web.sessions.lease().await.map_err(|_told| Why::NotNow)?;
    let client = lease.client().await.map_err(not_now)?;
    let alert = alerts::one(client, &link.alert_id, &Reach::default()).await.map_err(not_now)?;
    let lines = lines(client, key, None).await.map_err(not_now)?;
    // An enterprise does not see what the bureau does.
    let only = (link.audience == Audience::Enterprise).then_some(Audience::Enterprise);
    let actions = actions(client, key, only).await.map_err(not_now)?;
    lease.keep();
    let alert =
        alert.and_then(|alert| serde_json::from_value::<Alert>(alert.body).ok()).ok_or(Why::Nothing)?;
    let line = lines.iter().find(|line| line.audience == link.audience.name()).ok_or(Why::Nothing)?;
    let language = wanted.unwrap_or_else(|| own_language(web, link));
    let others = if only.is_some() { Vec::new() } else { reached(&lines, &actions, link.audience) };
    let context = Context { link: None, acknowledge_by: line.next_at, others };
    let facts = page::Facts {
        message: &message(&alert, language, &context, &web.zone),
        link,
        line,
        actions: &actions,
        asks_name: person(web, link).is_none(),
        notice,
        zone: &web.zone,
    };
    Ok(html(page::page(&facts)))
}

/// How far the other audiences are.
fn reached(lines: &[Line], actions: &[ActionRow], own: Audience) -> Vec<(Audience, Reached)> {
    let of = |audience: Audience| {
        let line = lines.iter().find(|line| line.audience == audience.name())?;
        let seen = actions.iter().any(|row| row.audience == audience.name() && row.what == "seen");
        Some((
            audience,
            match &line.acknowledged_by {
                Some(by) => Reached::Acknowledged { by: by.clone() },
                None if seen => Reached::Seen,
                None => Reached::Unread,
            },
        ))
    };
    Audience::ALL.into_iter().filter(|audience| *audience != own).filter_map(of).collect()
}

fn refusal(web: &Web, why: Why) -> Response {
    web.links.refused.get_or_create(&Labels { why: why.name() }).inc();
    (error::of_link(why), html(page::refusal(why))).into_response()
}

fn html(page: String) -> Response {
    let mut response = axum::response::Html(page).into_response();
    let headers = response.headers_mut();
    headers.insert("x-robots-tag", HeaderValue::from_static("noindex, nofollow, noarchive"));
    headers.insert("content-security-policy", HeaderValue::from_static(CONTENT_POLICY));
    response
}
