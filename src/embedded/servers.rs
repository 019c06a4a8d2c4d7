//! Both servers in one folder, started together.

use std::path::Path;

use crate::embedded::error::ServerError;
use crate::embedded::mosquitto::{Access, Mosquitto};
use crate::embedded::postgres::Postgres;

/// A private PostgreSQL and a private mosquitto.
#[derive(Debug)]
pub struct Servers {
    pub postgres: Postgres,
    pub mosquitto: Mosquitto,
}

impl Servers {
    /// Starts both with their files in `folder`, which is made when it is missing.
    ///
    /// # Errors
    /// As [`Postgres::start`] and [`Mosquitto::start`]; then neither runs.
    pub async fn start(folder: &Path, access: Access) -> Result<Servers, ServerError> {
        let (postgres, mosquitto) =
            tokio::try_join!(Postgres::start(folder), Mosquitto::start(folder, access))?;
        Ok(Servers { postgres, mosquitto })
    }

    /// Stops both cleanly; 15 s at most.
    pub async fn stop(&mut self) {
        tokio::join!(self.postgres.stop(), self.mosquitto.stop());
    }
}
