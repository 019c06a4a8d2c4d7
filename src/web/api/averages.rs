//! `/api/v1/outlets/{code}/averages`

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::Uri;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::clock;
use crate::domain::average::kilograms;
use crate::domain::limit::AveragingPeriod;
use crate::domain::plant::Outlet;
use crate::domain::window::Window;
use crate::store::read::averages::{self as store, AverageRow, VerdictRow};
use crate::web::Web;
use crate::web::auth::Caller;
use crate::web::error::Refused;
use crate::web::parameters::Parameters;

#[derive(Debug, Serialize)]
pub(in crate::web) struct Page {
    outlet: String,
    period: &'static str,
    from: Timestamp,
    to: Timestamp,
    averages: Vec<Average>,
    /// Verdicts on the outlet as a whole.
    verdicts: Vec<Verdict>,
}

/// One channel in one window.
#[derive(Debug, Serialize)]
struct Average {
    start: Timestamp,
    end: Timestamp,
    channel: String,
    symbol: String,
    origin: &'static str,
    revision: i32,
    method: String,
    measured: Option<f64>,
    standard: Option<f64>,
    dry: Option<f64>,
    /// At the outlet's own reference.
    corrected: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    n_valid: u32,
    n_expected: u32,
    flag: char,
    status: &'static str,
    valid: bool,
    mass_kg: Option<f64>,
    verdicts: Vec<Judged>,
}

/// What one rule says of one window.
#[derive(Debug, Serialize)]
struct Judged {
    rule: String,
    name: String,
    kind: String,
    document: String,
    mark: String,
    reference_oxygen: Option<f64>,
    excess_air: Option<f64>,
    /// At the rule's own reference.
    corrected: Option<f64>,
    limit: f64,
    comparison: String,
    verdict: String,
    ratio_over: Option<f64>,
    /// Exemptions, contested marks, an instrument out of control, what was counted.
    remark: Option<String>,
}

/// What is said of the outlet as a whole: orders to stop, furnaces.
#[derive(Debug, Serialize)]
struct Verdict {
    start: Timestamp,
    #[serde(flatten)]
    judged: Judged,
}

/// Windows that start in `[from, to)`: by start, then channel.
pub(in crate::web) async fn averages(
    State(web): State<Arc<Web>>,
    caller: Caller,
    code: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Json<Page>, Refused> {
    let outlet = super::outlet(&web, code, &caller)?;
    let parameters = Parameters::read(&uri, &["period", "from", "to"])?;
    let words = AveragingPeriod::ALL.map(|period| (period.name(), period));
    let period = parameters.word("period", &words)?.unwrap_or(AveragingPeriod::Hour);
    let (default, longest) = spans(period);
    let (from, to) = parameters.span(clock::now(), default, longest)?;
    let mut lease = web.sessions.lease().await?;
    let client = lease.client().await?;
    let rows = store::averages(client, outlet.id, period, (from, to)).await?;
    let verdicts = store::verdicts(client, outlet.id, period, (from, to)).await?;
    lease.keep();
    let mut of: HashMap<(Timestamp, i16, usize), Vec<Judged>> = HashMap::new();
    let mut of_outlet: Vec<Verdict> = Vec::new();
    for row in verdicts {
        match row.position {
            Some(position) => {
                of.entry((row.start, row.source_id, position)).or_default().push(verdict(row));
            }
            None => of_outlet.push(Verdict { start: row.start, judged: verdict(row) }),
        }
    }
    let average = |row: AverageRow| {
        let end = Window::containing(period, row.start, &web.zone).end;
        let verdicts = of.remove(&(row.start, row.source_id, row.position)).unwrap_or_default();
        average(&outlet, row, end, verdicts)
    };
    let averages = rows.into_iter().filter_map(average).collect();
    let outlet = outlet.code.to_string();
    Ok(Json(Page { outlet, period: period.name(), from, to, averages, verdicts: of_outlet }))
}

/// The usual and the longest span of a request.
const fn spans(period: AveragingPeriod) -> (SignedDuration, SignedDuration) {
    const DAY: i64 = 24;
    let (default, longest) = match period {
        AveragingPeriod::Minute
        | AveragingPeriod::FiveMinutes
        | AveragingPeriod::TenMinutes
        | AveragingPeriod::HalfHour => (1, DAY),
        AveragingPeriod::Hour => (DAY, 31 * DAY),
        AveragingPeriod::Day => (31 * DAY, 366 * DAY),
        AveragingPeriod::Month | AveragingPeriod::Quarter | AveragingPeriod::Year => (366 * DAY, 3660 * DAY),
    };
    (SignedDuration::from_hours(default), SignedDuration::from_hours(longest))
}

/// `None` for a channel that the plant in memory does not know yet.
fn average(outlet: &Outlet, row: AverageRow, end: Timestamp, verdicts: Vec<Judged>) -> Option<Average> {
    let channel = outlet.channels.get(row.position)?;
    let figures = row.average;
    Some(Average {
        start: row.start,
        end,
        channel: channel.code.to_string(),
        symbol: channel.factor.symbol.clone(),
        origin: row.origin(),
        revision: row.revision,
        method: row.method,
        measured: figures.measured,
        standard: figures.standard,
        dry: figures.dry,
        corrected: figures.corrected,
        min: figures.min,
        max: figures.max,
        n_valid: figures.n_valid,
        n_expected: figures.n_expected,
        flag: figures.flag.letter(),
        status: figures.status.code(),
        valid: figures.valid,
        mass_kg: figures.mass_mg.map(kilograms),
        verdicts,
    })
}

fn verdict(row: VerdictRow) -> Judged {
    Judged {
        rule: row.rule,
        name: row.name,
        kind: row.kind,
        document: row.document,
        mark: row.mark,
        reference_oxygen: row.reference_oxygen,
        excess_air: row.excess_air,
        corrected: row.corrected,
        limit: row.limit,
        comparison: row.comparison,
        verdict: row.outcome,
        ratio_over: row.ratio_over,
        remark: row.remark,
    }
}
