//! `/api/v1/outlets/{code}/scans`

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::Uri;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::clock;
use crate::domain::plant::Outlet;
use crate::store::read::REGISTERS;
use crate::store::read::scans::{self as store, ScanRow};
use crate::web::Web;
use crate::web::auth::Caller;
use crate::web::error::Refused;
use crate::web::parameters::Parameters;

const DEFAULT: SignedDuration = SignedDuration::from_mins(5);
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

#[derive(Debug, Serialize)]
pub(in crate::web) struct Page {
    outlet: String,
    from: Timestamp,
    to: Timestamp,
    scans: Vec<Scan>,
    /// Address of the next page.
    next: Option<String>,
}

#[derive(Debug, Serialize)]
struct Scan {
    at: Timestamp,
    received_at: Timestamp,
    gateway: String,
    epoch: String,
    seq: i64,
    hash: String,
    method: String,
    /// By channel code.
    readings: BTreeMap<String, Reading>,
}

#[derive(Debug, Serialize)]
struct Reading {
    measured: Option<f64>,
    /// At the outlet's own reference, as judged on arrival.
    corrected: Option<f64>,
    /// After validation.
    flag: char,
    /// As recorded.
    device_flag: char,
}

/// Scans in `[from, to)`, oldest first.
pub(in crate::web) async fn scans(
    State(web): State<Arc<Web>>,
    caller: Caller,
    code: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Json<Page>, Refused> {
    let outlet = super::outlet(&web, code, &caller)?;
    let parameters = Parameters::read(&uri, &["from", "to", "limit"])?;
    let (from, to) = parameters.span(clock::now(), DEFAULT, LONGEST)?;
    let limit = parameters.limit(1000, 10_000)?;
    let mut lease = web.sessions.lease().await?;
    let client = lease.client().await?;
    // One more than is shown: where the next page begins.
    let mut rows = store::scans(client, (outlet.id, REGISTERS), (from, to), i64::from(limit) + 1).await?;
    lease.keep();
    let further = if rows.len() > usize::from(limit) { rows.pop() } else { None };
    let next = further
        .map(|row| format!("/api/v1/outlets/{}/scans?from={}&to={to}&limit={limit}", outlet.code, row.at));
    let scans = rows.into_iter().map(|row| scan(&outlet, row)).collect();
    Ok(Json(Page { outlet: outlet.code.to_string(), from, to, scans, next }))
}

fn scan(outlet: &Outlet, row: ScanRow) -> Scan {
    let readings = outlet.channels.iter().enumerate().map(|(position, channel)| {
        let (measured, corrected, flag, device_flag) = row.reading(position);
        (channel.code.to_string(), Reading { measured, corrected, flag, device_flag })
    });
    Scan {
        readings: readings.collect(),
        at: row.at,
        received_at: row.received_at,
        gateway: row.gateway,
        epoch: row.epoch,
        seq: row.seq,
        hash: hex::encode(&row.hash),
        method: row.method,
    }
}
