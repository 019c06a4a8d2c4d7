//! Averages: periods below an hour as one wide row an outlet, an hour and longer as one row a channel. Every change is a new
//! revision; old ones stay.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use tokio_postgres::{Client, Row};

use crate::domain::average::ChannelAverage;
use crate::domain::flag::{Flag, Status};
use crate::domain::limit::AveragingPeriod;
use crate::domain::window::Window;
use crate::store::due::period_id;
use crate::store::session::{Failure, execute, query};

/// An outlet's key and its source's.
pub type Of = (i32, i16);

/// One window of one outlet with the averages of all its channels.
#[derive(Debug, Clone, PartialEq)]
pub struct Averages {
    pub of: Of,
    pub window: Window,
    pub revision: i32,
    pub channels: Vec<ChannelAverage>,
}

/// Whether a period is stored as wide rows.
pub const fn is_wide(period: AveragingPeriod) -> bool {
    matches!(
        period,
        AveragingPeriod::Minute
            | AveragingPeriod::FiveMinutes
            | AveragingPeriod::TenMinutes
            | AveragingPeriod::HalfHour
    )
}

/// The latest revisions of all windows of `period` that start within the given spans, by outlet and start.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn latest(
    client: &Client,
    period: AveragingPeriod,
    spans: &[(Of, Timestamp, Timestamp)],
) -> Result<HashMap<Of, BTreeMap<Timestamp, (i32, Vec<ChannelAverage>)>>, Failure> {
    let outlets: Vec<i32> = spans.iter().map(|span| span.0.0).collect();
    let sources: Vec<i16> = spans.iter().map(|span| span.0.1).collect();
    let low: Vec<Timestamp> = spans.iter().map(|span| span.1).collect();
    let high: Vec<Timestamp> = spans.iter().map(|span| span.2).collect();
    let earliest = low.iter().min().copied().unwrap_or(Timestamp::UNIX_EPOCH);
    let latest = high.iter().max().copied().unwrap_or(Timestamp::UNIX_EPOCH);
    let sql = if is_wide(period) { WIDE } else { LONG };
    let query =
        query(client, sql, &[&outlets, &sources, &low, &high, &period_id(period), &earliest, &latest]).await;
    let mut found: HashMap<Of, BTreeMap<Timestamp, (i32, Vec<ChannelAverage>)>> = HashMap::new();
    for row in query? {
        let of = (row.get(0), row.get(1));
        let entry =
            found.entry(of).or_default().entry(row.get(2)).or_insert_with(|| (row.get(3), Vec::new()));
        if is_wide(period) {
            entry.1 = channels_of_wide(&row);
        } else {
            place(&mut entry.1, row.get::<_, i16>(4), channel_of_long(&row));
            entry.0 = entry.0.max(row.get(3));
        }
    }
    Ok(found)
}

/// Window by window through the index: a planner that joins instead reads every row of the time once for each of them. `OFFSET 0` keeps
/// it from doing so.
const WIDE: &str = "SELECT a.outlet_id, a.source_id, a.start, a.revision, a.measured, a.standard, a.dry, a.corrected, a.minimum, a.maximum, \
    a.n_valid, a.n_expected, a.status, a.flag, a.valid, a.mass_mg \
    FROM unnest($1::int[], $2::smallint[], $3::timestamptz[], $4::timestamptz[]) AS t (outlet_id, source_id, low, high) \
    CROSS JOIN LATERAL (SELECT DISTINCT ON (w.start) w.* FROM average_wide w WHERE w.outlet_id = t.outlet_id AND w.source_id = t.source_id \
    AND w.period = $5 AND w.start >= t.low AND w.start < t.high AND w.start >= $6 AND w.start < $7 \
    ORDER BY w.start, w.revision DESC OFFSET 0) a";

const LONG: &str = "SELECT a.outlet_id, a.source_id, a.start, a.revision, a.position, a.measured, a.standard, a.dry, a.corrected, a.minimum, \
    a.maximum, a.n_valid, a.n_expected, a.status, a.flag, a.valid, a.mass_mg \
    FROM unnest($1::int[], $2::smallint[], $3::timestamptz[], $4::timestamptz[]) AS t (outlet_id, source_id, low, high) \
    CROSS JOIN LATERAL (SELECT DISTINCT ON (l.start, l.position) l.* FROM average_long l WHERE l.outlet_id = t.outlet_id \
    AND l.source_id = t.source_id AND l.period = $5 AND l.start >= t.low AND l.start < t.high AND l.start >= $6 AND l.start < $7 \
    ORDER BY l.start, l.position, l.revision DESC OFFSET 0) a";

const NOTHING: ChannelAverage = ChannelAverage {
    measured: None,
    standard: None,
    dry: None,
    corrected: None,
    min: None,
    max: None,
    n_valid: 0,
    n_expected: 0,
    status: Status::NoData,
    flag: Flag::Fault,
    valid: false,
    mass_mg: None,
};

fn place(channels: &mut Vec<ChannelAverage>, position: i16, average: ChannelAverage) {
    let position = usize::try_from(position).unwrap_or_default();
    if channels.len() <= position {
        channels.resize(position + 1, NOTHING);
    }
    if let Some(slot) = channels.get_mut(position) {
        *slot = average;
    }
}

fn status_of(letter: Option<char>) -> Status {
    letter.and_then(Status::from_letter).unwrap_or(Status::NoData)
}

fn flag_of(letter: Option<char>) -> Flag {
    letter.and_then(Flag::from_letter).unwrap_or(Flag::Fault)
}

/// Columns 4 to 15 of a wide row.
pub(super) fn channels_of_wide(row: &Row) -> Vec<ChannelAverage> {
    let figures: [Vec<Option<f64>>; 6] =
        [row.get(4), row.get(5), row.get(6), row.get(7), row.get(8), row.get(9)];
    let n_valid: Vec<i16> = row.get(10);
    let n_expected: Vec<i16> = row.get(11);
    let (status, flag, valid): (&str, &str, &str) = (row.get(12), row.get(13), row.get(14));
    let mass: Vec<Option<i64>> = row.get(15);
    let count = |counts: &[i16], position: usize| {
        counts.get(position).and_then(|n| u32::try_from(*n).ok()).unwrap_or(0)
    };
    let figure = |which: usize, position: usize| {
        figures.get(which).and_then(|column| column.get(position)).copied().flatten()
    };
    let letters = status.chars().zip(flag.chars()).zip(valid.chars()).enumerate();
    letters
        .map(|(position, ((status, flag), valid))| ChannelAverage {
            measured: figure(0, position),
            standard: figure(1, position),
            dry: figure(2, position),
            corrected: figure(3, position),
            min: figure(4, position),
            max: figure(5, position),
            n_valid: count(&n_valid, position),
            n_expected: count(&n_expected, position),
            status: status_of(Some(status)),
            flag: flag_of(Some(flag)),
            valid: valid == '1',
            mass_mg: mass.get(position).copied().flatten(),
        })
        .collect()
}

/// Columns 5 to 16 of a long row.
pub(super) fn channel_of_long(row: &Row) -> ChannelAverage {
    let count = |index: usize| u32::try_from(row.get::<_, i32>(index)).unwrap_or(0);
    ChannelAverage {
        measured: row.get(5),
        standard: row.get(6),
        dry: row.get(7),
        corrected: row.get(8),
        min: row.get(9),
        max: row.get(10),
        n_valid: count(11),
        n_expected: count(12),
        status: status_of(row.get::<_, &str>(13).chars().next()),
        flag: flag_of(row.get::<_, &str>(14).chars().next()),
        valid: row.get(15),
        mass_mg: row.get(16),
    }
}

/// Stores new revisions, within the caller's transaction. All are of one period.
///
/// # Errors
/// [`Failure`] when the database does not take them.
pub async fn store(client: &Client, rows: &[Averages], made_at: Timestamp) -> Result<(), Failure> {
    let (wide, long): (Vec<&Averages>, Vec<&Averages>) =
        rows.iter().partition(|row| is_wide(row.window.period));
    if !wide.is_empty() {
        store_wide(client, &wide, made_at).await?;
    }
    if !long.is_empty() {
        store_long(client, &long, made_at).await?;
    }
    Ok(())
}

const METHOD: i16 = 1;

async fn store_wide(client: &Client, rows: &[&Averages], made_at: Timestamp) -> Result<(), Failure> {
    let outlets: Vec<i32> = rows.iter().map(|row| row.of.0).collect();
    let sources: Vec<i16> = rows.iter().map(|row| row.of.1).collect();
    let periods: Vec<i16> = rows.iter().map(|row| period_id(row.window.period)).collect();
    let revisions: Vec<i32> = rows.iter().map(|row| row.revision).collect();
    let starts: Vec<Timestamp> = rows.iter().map(|row| row.window.start).collect();
    let letters = |letter: fn(&ChannelAverage) -> char| -> Vec<String> {
        rows.iter().map(|row| row.channels.iter().map(letter).collect()).collect()
    };
    let status = letters(|average| average.status.letter());
    let flag = letters(|average| average.flag.letter());
    let valid = letters(|average| if average.valid { '1' } else { '0' });
    let numbers = |figure: fn(&ChannelAverage) -> Option<f64>| -> Vec<f64> {
        rows.iter()
            .flat_map(|row| row.channels.iter().map(move |average| figure(average).unwrap_or(f64::NAN)))
            .collect()
    };
    let counts = |count: fn(&ChannelAverage) -> u32| -> Vec<i16> {
        rows.iter()
            .flat_map(|row| {
                row.channels.iter().map(move |average| i16::try_from(count(average)).unwrap_or(i16::MAX))
            })
            .collect()
    };
    // As with NaN for doubles: a number that no mass can be stands for NULL on the way.
    let mass: Vec<i64> = rows
        .iter()
        .flat_map(|row| row.channels.iter().map(|average| average.mass_mg.unwrap_or(i64::MIN)))
        .collect();
    let mut low: Vec<i32> = Vec::with_capacity(rows.len());
    let mut high: Vec<i32> = Vec::with_capacity(rows.len());
    let mut filled = 0_i32;
    for row in rows {
        low.push(filled + 1);
        filled += i32::try_from(row.channels.len()).unwrap_or(0);
        high.push(filled);
    }
    let insert = execute(
        client,
        INSERT_WIDE,
        &[
            &outlets,
            &sources,
            &periods,
            &revisions,
            &starts,
            &status,
            &flag,
            &valid,
            &low,
            &high,
            &made_at,
            &METHOD,
            &counts(|average| average.n_valid),
            &counts(|average| average.n_expected),
            &numbers(|average| average.measured),
            &numbers(|average| average.standard),
            &numbers(|average| average.dry),
            &numbers(|average| average.corrected),
            &numbers(|average| average.min),
            &numbers(|average| average.max),
            &mass,
        ],
    )
    .await;
    insert.map(|_rows| ())
}

const INSERT_WIDE: &str = "INSERT INTO average_wide (outlet_id, source_id, period, revision, start, made_at, method, status, flag, valid, \
    n_valid, n_expected, measured, standard, dry, corrected, minimum, maximum, mass_mg) \
    SELECT t.o, t.s, t.p, t.r, t.start, $11::timestamptz, $12::smallint, t.status, t.flag, t.valid, \
    ($13::smallint[])[t.low:t.high], ($14::smallint[])[t.low:t.high], \
    array_replace(($15::float8[])[t.low:t.high], 'NaN', NULL), array_replace(($16::float8[])[t.low:t.high], 'NaN', NULL), \
    array_replace(($17::float8[])[t.low:t.high], 'NaN', NULL), array_replace(($18::float8[])[t.low:t.high], 'NaN', NULL), \
    array_replace(($19::float8[])[t.low:t.high], 'NaN', NULL), array_replace(($20::float8[])[t.low:t.high], 'NaN', NULL), \
    array_replace(($21::bigint[])[t.low:t.high], -9223372036854775808, NULL) \
    FROM unnest($1::int[], $2::smallint[], $3::smallint[], $4::int[], $5::timestamptz[], $6::text[], $7::text[], $8::text[], $9::int[], $10::int[]) \
    AS t (o, s, p, r, start, status, flag, valid, low, high)";

async fn store_long(client: &Client, rows: &[&Averages], made_at: Timestamp) -> Result<(), Failure> {
    let all: Vec<(&Averages, usize, &ChannelAverage)> = rows
        .iter()
        .flat_map(|row| {
            row.channels.iter().enumerate().map(move |(position, average)| (*row, position, average))
        })
        .collect();
    let figure = |of: fn(&ChannelAverage) -> Option<f64>| -> Vec<Option<f64>> {
        all.iter().map(|row| of(row.2)).collect()
    };
    let count = |of: fn(&ChannelAverage) -> u32| -> Vec<i32> {
        all.iter().map(|row| i32::try_from(of(row.2)).unwrap_or(i32::MAX)).collect()
    };
    let insert = execute(client, "INSERT INTO average_long (outlet_id, source_id, position, period, revision, start, made_at, method, status, flag, valid, n_valid, \
         n_expected, measured, standard, dry, corrected, minimum, maximum, mass_mg) \
         SELECT t.o, t.s, t.pos, t.p, t.r, t.start, $18::timestamptz, $19::smallint, t.status, t.flag, t.valid, t.nv, t.ne, t.measured, \
         t.standard, t.dry, t.corrected, t.mini, t.maxi, t.mass \
         FROM unnest($1::int[], $2::smallint[], $3::smallint[], $4::smallint[], $5::int[], $6::timestamptz[], $7::text[], $8::text[], \
         $9::bool[], $10::int[], $11::int[], $12::float8[], $13::float8[], $14::float8[], $15::float8[], $16::float8[], $17::float8[], \
         $20::bigint[]) AS t (o, s, pos, p, r, start, status, flag, valid, nv, ne, measured, standard, dry, corrected, mini, maxi, mass)",
        &[
            &all.iter().map(|row| row.0.of.0).collect::<Vec<i32>>(),
            &all.iter().map(|row| row.0.of.1).collect::<Vec<i16>>(),
            &all.iter().map(|row| i16::try_from(row.1).unwrap_or(i16::MAX)).collect::<Vec<i16>>(),
            &all.iter().map(|row| period_id(row.0.window.period)).collect::<Vec<i16>>(),
            &all.iter().map(|row| row.0.revision).collect::<Vec<i32>>(),
            &all.iter().map(|row| row.0.window.start).collect::<Vec<Timestamp>>(),
            &all.iter().map(|row| row.2.status.letter().to_string()).collect::<Vec<String>>(),
            &all.iter().map(|row| row.2.flag.letter().to_string()).collect::<Vec<String>>(),
            &all.iter().map(|row| row.2.valid).collect::<Vec<bool>>(),
            &count(|average| average.n_valid),
            &count(|average| average.n_expected),
            &figure(|average| average.measured),
            &figure(|average| average.standard),
            &figure(|average| average.dry),
            &figure(|average| average.corrected),
            &figure(|average| average.min),
            &figure(|average| average.max),
            &made_at,
            &METHOD,
            &all.iter().map(|row| row.2.mass_mg).collect::<Vec<Option<i64>>>(),
        ],
    ).await;
    insert.map(|_rows| ())
}
