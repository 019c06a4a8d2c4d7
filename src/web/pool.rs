//! A few database sessions of our own, so that questions never take those of ingest. A session goes back only after success:
//! whatever ended in the middle of something is closed.

use std::sync::{Mutex, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_postgres::Client;

use super::error::Refused;
use crate::store::session::{Failure, Session};

/// Questions that are asked at once; the others wait, no longer than the request may take.
const SESSIONS: usize = 3;

/// The sessions.
pub(super) struct Sessions {
    url: String,
    places: Semaphore,
    idle: Mutex<Vec<Session>>,
}

/// One session, for one question.
pub(super) struct Lease<'p> {
    sessions: &'p Sessions,
    session: Session,
    _place: SemaphorePermit<'p>,
}

impl Sessions {
    pub(super) fn new(url: &str) -> Sessions {
        Sessions { url: url.to_owned(), places: Semaphore::new(SESSIONS), idle: Mutex::default() }
    }

    /// Waits for a free session.
    pub(super) async fn lease(&self) -> Result<Lease<'_>, Refused> {
        let place = self.places.acquire().await.map_err(|_closed| Refused::Broken)?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let session = idle.unwrap_or_else(|| Session::new(&self.url));
        Ok(Lease { sessions: self, session, _place: place })
    }
}

impl Lease<'_> {
    /// The client, connected when need be.
    pub(super) async fn client(&mut self) -> Result<&Client, Failure> {
        self.session.client().await
    }

    /// All went well: the session may be used again.
    pub(super) fn keep(self) {
        self.sessions.idle.lock().unwrap_or_else(PoisonError::into_inner).push(self.session);
    }
}
