//! Who asks, and what they may: `Authorization: Bearer cems_…`. What changes something always needs a token; reading only where other
//! machines may listen. A token of an enterprise or a division sees and changes nothing of others: it is told that there is nothing.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use prometheus_client::metrics::counter::Counter;

use super::Web;
use super::error::Refused;
use super::limiter::Limiter;
use crate::clock;
use crate::config::central::Tokens;
use crate::domain::token::{Permission, Reach, is_token};
use crate::store::token as store;
use crate::telemetry::Metrics;

/// Wrong tokens a minute; above it only tokens that were right before are looked up.
const WRONG: u32 = 60;
/// So many tokens that were right are remembered.
const REMEMBERED: usize = 1024;

/// What an address asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Needs {
    /// `None`: nothing.
    pub read: Option<Permission>,
    /// With POST.
    pub write: Option<Permission>,
}

impl Needs {
    pub(super) const NOTHING: Needs = Needs { read: None, write: None };

    /// An address that is only read.
    pub(super) const fn of(permission: Permission) -> Needs {
        Needs { read: Some(permission), write: None }
    }
}

/// Who asks.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// Of the token; nobody's on loopback.
    pub name: Arc<str>,
    /// Whose data they see and change.
    pub reach: Reach,
}

impl Caller {
    /// As it is written beside what they do: the name that a program gives for its user, and the token's.
    pub(super) fn acting(&self, by: Option<&str>) -> String {
        by.map_or_else(|| self.name.to_string(), |by| format!("{} ({})", by.trim(), self.name))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Caller, Refused> {
        parts.extensions.get::<Caller>().cloned().ok_or(Refused::Broken)
    }
}

/// What is known of tokens.
pub(super) struct Guard {
    tokens: Tokens,
    wrong: Limiter,
    right: Mutex<BTreeSet<[u8; 32]>>,
    refused: Counter,
}

impl Guard {
    pub(super) fn new(tokens: Tokens, metrics: &Metrics) -> Guard {
        let guard = Guard {
            tokens,
            wrong: Limiter::new(WRONG),
            right: Mutex::default(),
            refused: Counter::default(),
        };
        metrics.register(|registry| {
            registry.register(
                "cems_http_refused_tokens",
                "Requests whose token is unknown, revoked or over",
                guard.refused.clone(),
            );
        });
        guard
    }

    fn was_right(&self, hash: &[u8; 32]) -> bool {
        self.right.lock().unwrap_or_else(PoisonError::into_inner).contains(hash)
    }

    fn note(&self, hash: [u8; 32], is_right: bool) {
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_right {
            right.remove(&hash);
            drop(right);
            self.refused.inc();
            self.wrong.note();
        } else if right.len() < REMEMBERED {
            right.insert(hash);
        }
    }
}

/// The way to every address.
pub(super) async fn pass(
    State((web, needs)): State<(Arc<Web>, Needs)>,
    mut request: Request,
    next: Next,
) -> Response {
    let needed = if request.method() == Method::POST { needs.write } else { needs.read };
    let Some(needed) = needed else { return next.run(request).await };
    match caller(&web, request.headers(), needed).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(refused) => refused.into_response(),
    }
}

async fn caller(web: &Web, headers: &HeaderMap, needed: Permission) -> Result<Caller, Refused> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        if needed.writes() || web.guard.tokens == Tokens::Always {
            return Err(Refused::Nobody(
                "this needs a token: send the header Authorization: Bearer cems_...; `cems token create` makes one",
            ));
        }
        return Ok(Caller { name: "nobody".into(), reach: Reach::default() });
    };
    let token = value.to_str().ok().and_then(|text| text.split_once(' '));
    let token =
        token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    let token = token.filter(|token| is_token(token)).unwrap_or_default();
    let hash = store::hash(token);
    if web.guard.wrong.is_over() && !web.guard.was_right(&hash) {
        return Err(Refused::TooMany);
    }
    let found = if token.is_empty() {
        None
    } else {
        let mut lease = web.sessions.lease().await?;
        let found = store::find(lease.client().await?, &hash, clock::now()).await?;
        lease.keep();
        found
    };
    web.guard.note(hash, found.is_some());
    let Some(found) = found else {
        return Err(Refused::Nobody(
            "this token is not known, was revoked, or its time is over; `cems token list` shows which are in force",
        ));
    };
    if !found.scopes.iter().any(|scope| scope == needed.name()) {
        let text =
            format!("this token may not do that: it lacks the scope {}; make one that has it", needed.name());
        return Err(Refused::NotAllowed { text });
    }
    let reach = Reach { enterprise: found.enterprise, division: found.division };
    Ok(Caller { name: found.name.into(), reach })
}
