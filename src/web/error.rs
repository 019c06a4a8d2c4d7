//! Every status code, and the body of every refusal: `{"error": "rule, found value, remedy", "field": "from"}`. What the
//! database says goes to the log, never into an answer.

use std::io;
use std::net::SocketAddr;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

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
    /// Whose fault: the caller. Only GET and HEAD.
    Method,
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
            Refused::Method => plain("this API only reads: use GET"),
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
        let waiting_helps = matches!(self, Refused::Busy | Refused::Database);
        let mut response = (self.status(), Json(self.body())).into_response();
        if waiting_helps {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
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
pub(super) async fn only_reading() -> Refused {
    Refused::Method
}
