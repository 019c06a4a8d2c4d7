//! Masses for the ledger of total quantities: days that are over as their averages have them, the last two days by the hour, and
//! substitutes, which take the place of what was measured in their hours. Sums are made by the domain, in whole milligrams.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio_postgres::{Client, Row};

use crate::domain::limit::AveragingPeriod;
use crate::domain::plant::{Outlet, Position};
use crate::domain::quota::{Amount, Emitted, Quota};
use crate::domain::window::Window;
use crate::store::due::period_id;
use crate::store::session::{Failure, query, query_one};

/// The first hour that is stored of any of these channels.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn first_hour(
    client: &Client,
    outlet_id: i32,
    positions: &[Position],
) -> Result<Option<Timestamp>, Failure> {
    let sql = "SELECT min(f.start) FROM unnest($2::smallint[]) p (position), LATERAL (SELECT start FROM average_long a WHERE a.outlet_id = $1 \
        AND a.source_id = 1 AND a.position = p.position AND a.period = $3 ORDER BY start LIMIT 1) f";
    let numbers: Vec<i16> = positions.iter().filter_map(|position| i16::try_from(*position).ok()).collect();
    query_one(client, sql, &[&outlet_id, &numbers, &period_id(AveragingPeriod::Hour)])
        .await
        .map(|row| row.get(0))
}

const MEASURED: &str = "SELECT DISTINCT ON (a.outlet_id, a.position, a.start) a.outlet_id, a.position, a.start, a.mass_mg FROM \
    unnest($1::int[], $2::smallint[]) AS t (outlet_id, position) JOIN average_long a ON a.outlet_id = t.outlet_id AND a.source_id = 1 \
    AND a.position = t.position AND a.period = $3 AND a.start >= $4 AND a.start < $5 ORDER BY a.outlet_id, a.position, a.start, a.revision DESC";

const SUBSTITUTED: &str = "SELECT s.outlet_id, s.position, s.start, s.mass_mg, h.mass_mg FROM (SELECT DISTINCT ON (r.outlet_id, r.position, r.start) \
    r.outlet_id, r.position, r.start, r.mass_mg FROM unnest($1::int[], $2::smallint[]) AS t (outlet_id, position) JOIN substitute_row r \
    ON r.outlet_id = t.outlet_id AND r.position = t.position AND r.start >= $4 AND r.start < $5 \
    ORDER BY r.outlet_id, r.position, r.start, r.revision DESC) s LEFT JOIN LATERAL (SELECT a.mass_mg FROM average_long a \
    WHERE a.outlet_id = s.outlet_id AND a.source_id = 1 AND a.position = s.position AND a.period = $3 AND a.start = s.start \
    ORDER BY a.revision DESC LIMIT 1) h ON true WHERE s.mass_mg IS NOT NULL";

/// What was emitted of the pollutant of a quota in its time, up to `now`.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn emitted(
    client: &Client,
    quota: &Quota,
    outlets: &[&Outlet],
    (now, zone): (Timestamp, &TimeZone),
) -> Result<Vec<Emitted>, Failure> {
    let until = quota.times.until.unwrap_or(now).min(now);
    of_pollutants(client, outlets, |factor| factor == quota.pollutant, (quota.times.from, until), zone).await
}

/// What outlets emitted in `[from, until)` of the pollutants that `wanted` picks. Entries begin a day or an hour.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn of_pollutants(
    client: &Client,
    outlets: &[&Outlet],
    wanted: impl Fn(&str) -> bool,
    (from, until): (Timestamp, Timestamp),
    zone: &TimeZone,
) -> Result<Vec<Emitted>, Failure> {
    let mut channels: Vec<(&Outlet, i16)> = Vec::new();
    for outlet in outlets {
        for (position, _) in
            outlet.channels.iter().enumerate().filter(|(_, channel)| wanted(&channel.factor.code))
        {
            channels.push((outlet, i16::try_from(position).unwrap_or(i16::MAX)));
        }
    }
    channels.sort_by_key(|(outlet, position)| (outlet.id, *position));
    let ids: Vec<i32> = channels.iter().map(|(outlet, _)| outlet.id).collect();
    let positions: Vec<i16> = channels.iter().map(|(_, position)| *position).collect();
    let (day, hour) = (period_id(AveragingPeriod::Day), period_id(AveragingPeriod::Hour));
    // Whole days within the time as days, their ragged ends and the last two days by the hour.
    let first_day = Window::containing(AveragingPeriod::Day, from, zone);
    let first_whole = if first_day.start < from { first_day.end } else { first_day.start };
    let two_days = SignedDuration::from_hours(48);
    let last_whole =
        Window::containing(AveragingPeriod::Day, until.checked_sub(two_days).unwrap_or(until), zone).start;
    let (first_whole, last_whole) = (first_whole.min(until), last_whole.clamp(first_whole.min(until), until));
    let mut emitted = Vec::new();
    for (period, low, high) in
        [(hour, from, first_whole), (day, first_whole, last_whole), (hour, last_whole, until)]
    {
        for row in query(client, MEASURED, &[&ids, &positions, &period, &low, &high]).await? {
            let measured = row.get::<_, Option<i64>>(3).unwrap_or(0);
            emitted.extend(entry(
                &channels,
                &row,
                Amount { measured_mg: i128::from(measured), substituted_mg: 0 },
            ));
        }
    }
    for row in query(client, SUBSTITUTED, &[&ids, &positions, &hour, &from, &until]).await? {
        let measured = i128::from(row.get::<_, Option<i64>>(4).unwrap_or(0));
        let substituted = i128::from(row.get::<_, i64>(3));
        // What was measured of the hour is among the days and hours above.
        emitted.extend(entry(
            &channels,
            &row,
            Amount { measured_mg: -measured, substituted_mg: substituted },
        ));
    }
    Ok(emitted)
}

fn entry(channels: &[(&Outlet, i16)], row: &Row, amount: Amount) -> Option<Emitted> {
    let (id, position): (i32, i16) = (row.get(0), row.get(1));
    let index =
        channels.binary_search_by_key(&(id, position), |(outlet, number)| (outlet.id, *number)).ok()?;
    let (outlet, _) = channels.get(index)?;
    let channel = outlet.channels.get(usize::try_from(position).ok()?)?;
    Some(Emitted {
        start: row.get(2),
        outlet: outlet.code.to_string(),
        enterprise: outlet.enterprise.code.clone(),
        division: outlet.enterprise.division.clone(),
        pollutant: channel.factor.code.clone(),
        amount,
    })
}
