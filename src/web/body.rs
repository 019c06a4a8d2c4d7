//! Bodies of requests, strictly: JSON of at most 16 KiB, no unknown fields, or an empty body where nothing must be said.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use axum::http::header;
use serde::de::DeserializeOwned;

use super::error::{Refused, unread};

/// A body that was read.
#[derive(Debug)]
pub(super) struct Body<T>(pub T);

/// The same, or its default where the body is empty.
#[derive(Debug)]
pub(super) struct BodyOrNothing<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Body<T>, Refused> {
        let Json(body) =
            Json::<T>::from_request(request, state).await.map_err(|rejection| told(&rejection))?;
        Ok(Body(body))
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for BodyOrNothing<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<BodyOrNothing<T>, Refused> {
        let has_kind = request.headers().contains_key(header::CONTENT_TYPE);
        if has_kind {
            return Body::from_request(request, state).await.map(|Body(body)| BodyOrNothing(body));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| unread(&rejection))?;
        if bytes.is_empty() { Ok(BodyOrNothing(T::default())) } else { Err(KIND) }
    }
}

const KIND: Refused =
    Refused::Kind { text: "a body is JSON: send it with the header Content-Type: application/json" };

fn told(rejection: &JsonRejection) -> Refused {
    match rejection {
        JsonRejection::MissingJsonContentType(_) => KIND,
        JsonRejection::BytesRejection(rejection) => unread(rejection),
        // The enum may grow; whatever else is wrong is wrong with the text.
        other => {
            let text = other.body_text();
            let cause = text.split_once(": ").map_or(text.as_str(), |(_, cause)| cause);
            let cause: String = cause.chars().take(200).collect();
            Refused::parameter("body", format!("the body does not fit: {cause}; see /api/v1/openapi.json"))
        }
    }
}
