//! HTTP: to be replaced at merge.
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;

use crate::domain::plant::Plant;
use crate::shutdown::Shutdown;
use crate::telemetry::Reporting;

#[derive(Debug, thiserror::Error)]
#[error("web")]
pub struct Error;

#[expect(dead_code, reason = "x")]
pub struct State {
    pub reporting: Reporting,
    pub database: String,
    pub plant: watch::Receiver<Arc<Plant>>,
    pub zone: jiff::tz::TimeZone,
}

pub async fn start(listen: SocketAddr, _state: State, _shutdown: Shutdown) -> Result<SocketAddr, Error> {
    Ok(listen)
}
