//! Every status code, and the body of every refusal: `{"error": "rule, found value, remedy", "field": "from"}`. What the
//! database says goes to the log, never into an answer.

use std::io;
use std::net::SocketAddr;

use axum::Json;
use axum::extract::rejection::{BytesRejection, FormRejection};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::LONGEST_BODY;
use super::link::Why;
use crate::store::session::Failure;

/// Why HTTP is not served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Whose fault: the configuration, or another program.
    #[error("HTTP cannot listen on {address} ({source}); {remedy}")]
    Listen { address: SocketAddr, remedy: &'static str, source: io::Error },
}

impl Error {
    pub(super) fn listen(address: SocketAddr, source: io::Error) -> Error {
        let remedy = if source.kind() == io::ErrorKind::AddrInUse {
            "another program listens there: end it, or set another port in http.listen (port 0 takes a free one)"
        } else if source.kind() == io::ErrorKind::PermissionDenied {
            "ports below 1024 need a privilege: set a higher port in http.listen"
        } else {
            "set http.listen to an address of this machine, as \"127.0.0.1:8080\""
        };
        Error::Listen { address, remedy, source }
    }
}

/// Why a request is not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// Whose fault: the caller. A parameter says what it may not.
    Parameter { field: String, text: String },
    /// Whose fault: the caller. There is no such thing.
    Unknown { field: Option<&'static str>, text: String },
    /// Whose fault: the caller. Not with this method.
    Method,
    /// Whose fault: the caller. Nobody has said who asks, or nobody we know.
    Nobody(&'static str),
    /// Whose fault: the caller, who may do other things but not this.
    NotAllowed { text: String },
    /// Whose fault: the caller. It is not so as the caller thinks.
    Conflict { text: String },
    /// Whose fault: the caller. The body is not of the kind that is read here.
    Kind { text: &'static str },
    /// Whose fault: the caller.
    TooLarge { most: usize },
    /// Whose fault: the caller, or who guesses beside; waiting helps.
    TooMany,
    /// Whose fault: the caller.
    TooLong { most: usize },
    /// Whose fault: ours; waiting helps.
    Busy,
    /// Whose fault: the database or the way to it; waiting may help.
    Database,
    /// Whose fault: ours.
    Broken,
}

impl Refused {
    /// A parameter outside its rule.
    pub(super) fn parameter(field: &str, text: impl Into<String>) -> Refused {
        Refused::Parameter { field: field.to_owned(), text: text.into() }
    }

    fn status(&self) -> StatusCode {
        match self {
            Refused::Parameter { .. } => StatusCode::BAD_REQUEST,
            Refused::Unknown { .. } => StatusCode::NOT_FOUND,
            Refused::Method => StatusCode::METHOD_NOT_ALLOWED,
            Refused::Nobody(_) => StatusCode::UNAUTHORIZED,
            Refused::NotAllowed { .. } => StatusCode::FORBIDDEN,
            Refused::Conflict { .. } => StatusCode::CONFLICT,
            Refused::Kind { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Refused::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Refused::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Refused::TooLong { .. } => StatusCode::URI_TOO_LONG,
            Refused::Busy | Refused::Database => StatusCode::SERVICE_UNAVAILABLE,
            Refused::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn body(self) -> Body {
        let plain = |error: &str| Body { error: error.to_owned(), field: None };
        match self {
            Refused::Parameter { field, text } => Body { error: text, field: Some(field) },
            Refused::Unknown { field, text } => Body { error: text, field: field.map(str::to_owned) },
            Refused::Method => {
                plain("this address does not take this method; /api/v1/openapi.json says which it takes")
            }
            Refused::Nobody(text) | Refused::Kind { text } => plain(text),
            Refused::NotAllowed { text } | Refused::Conflict { text } => plain(&text),
            Refused::TooLarge { most } => {
                plain(&format!("a body has at most {} KiB; send less", most / 1024))
            }
            Refused::TooMany => plain("too many tokens or links were wrong lately; try again in a minute"),
            Refused::TooLong { most } => Body {
                error: format!("a query has at most {most} bytes; ask for less at a time"),
                field: None,
            },
            Refused::Busy => plain("too many requests are being answered; try again in a second"),
            Refused::Database => {
                plain("the database does not answer now; try again, and see /readyz for what is not ready")
            }
            Refused::Broken => plain("the answer could not be made; the log of the centre says why"),
        }
    }
}

#[derive(Debug, Serialize)]
struct Body {
    error: String,
    field: Option<String>,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let more = match self {
            Refused::Busy | Refused::Database => Some((header::RETRY_AFTER, "1")),
            Refused::TooMany => Some((header::RETRY_AFTER, "60")),
            Refused::Nobody(_) => Some((header::WWW_AUTHENTICATE, "Bearer")),
            Refused::Parameter { .. }
            | Refused::Unknown { .. }
            | Refused::Method
            | Refused::NotAllowed { .. }
            | Refused::Conflict { .. }
            | Refused::Kind { .. }
            | Refused::TooLarge { .. }
            | Refused::TooLong { .. }
            | Refused::Broken => None,
        };
        let mut response = (self.status(), Json(self.body())).into_response();
        if let Some((name, value)) = more {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Refused {
        match failure {
            Failure::Unavailable(detail) => {
                tracing::warn!(detail, "HTTP: the database did not answer a question");
                Refused::Database
            }
            Failure::Refused(detail) => {
                tracing::error!(detail, "HTTP: the database does not understand a question");
                Refused::Broken
            }
        }
    }
}

/// A body that did not arrive whole, or is too long.
pub(super) fn unread(rejection: &BytesRejection) -> Refused {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Refused::TooLarge { most: LONGEST_BODY };
    }
    Refused::parameter("body", "the body did not arrive whole; send it again")
}

/// 200 when all is ready, else 503.
pub(super) const fn readiness(ready: bool) -> StatusCode {
    if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// No route.
pub(super) async fn no_such_address(uri: Uri) -> Refused {
    let path: String = uri.path().chars().take(80).collect();
    let text = format!("there is no {path:?} here; /api/v1/openapi.json lists every address");
    Refused::Unknown { field: None, text }
}

/// A route, but not with this method.
pub(super) async fn other_method() -> Refused {
    Refused::Method
}

/// Done, and nothing to say.
pub(super) const fn done() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// The answer is at another address.
pub(super) const fn see_other() -> StatusCode {
    StatusCode::SEE_OTHER
}

/// A form that cannot be taken as it is.
pub(super) const fn not_so() -> StatusCode {
    StatusCode::BAD_REQUEST
}

/// Why a link opens nothing.
pub(super) const fn of_link(why: Why) -> StatusCode {
    match why {
        Why::Wrong => StatusCode::NOT_FOUND,
        Why::Expired => StatusCode::GONE,
        Why::Reused | Why::Nothing => StatusCode::CONFLICT,
        Why::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Why::NotNow => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// A form that cannot be read.
pub(super) fn of_form(rejection: &FormRejection) -> Refused {
    match rejection {
        FormRejection::InvalidFormContentType(_) => Refused::Kind {
            text: "a form is sent with the header Content-Type: application/x-www-form-urlencoded",
        },
        FormRejection::BytesRejection(rejection) => unread(rejection),
        other => {
            let cause: String = other.body_text().chars().take(200).collect();
            Refused::parameter("body", format!("the form does not fit: {cause}"))
        }
    }
}
