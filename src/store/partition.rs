//! Partitions of the tables that grow: `scan` by day, `average_wide` by month (UTC). They are made ahead, and on demand
//! before a batch of old data; a table is made beside and attached, since `PARTITION OF` waits for every open insert.
//! Of hypertables TimescaleDB makes the chunks itself; what is past its retention goes by chunks there.

use std::collections::BTreeSet;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::config::central::Retention;
use crate::store::session::{Failure, Session, bounded, query, query_one};
use crate::store::storage::Storage;

/// A partitioned table and the length of its partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Partitioned {
    /// `scan`, a day each.
    Scan,
    /// `average_wide`, a month each.
    AverageWide,
}

impl Partitioned {
    const fn table(self) -> &'static str {
        match self {
            Partitioned::Scan => "scan",
            Partitioned::AverageWide => "average_wide",
        }
    }

    /// First day of the partition that holds `at`.
    fn first_day(self, at: Timestamp) -> Date {
        let date = TimeZone::UTC.to_datetime(at).date();
        match self {
            Partitioned::Scan => date,
            Partitioned::AverageWide => date.first_of_month(),
        }
    }

    fn next(self, first: Date) -> Date {
        let span = match self {
            Partitioned::Scan => 1.day(),
            Partitioned::AverageWide => 1.month(),
        };
        first.checked_add(span).unwrap_or(first)
    }
}

/// Remembers which partitions are known to exist.
#[derive(Debug, Default)]
pub struct Partitions {
    known: BTreeSet<(Partitioned, Date)>,
    /// Tables that turned out to be hypertables.
    whole: BTreeSet<Partitioned>,
}

impl Partitions {
    /// Makes sure that the partitions for these times exist.
    ///
    /// # Errors
    /// [`Failure`] when the database does not make them.
    pub async fn ensure(
        &mut self,
        session: &mut Session,
        table: Partitioned,
        times: impl Iterator<Item = Timestamp>,
    ) -> Result<(), Failure> {
        if self.whole.contains(&table) {
            return Ok(());
        }
        let missing: BTreeSet<Date> = times
            .map(|at| table.first_day(at))
            .filter(|first| !self.known.contains(&(table, *first)))
            .collect();
        for first in missing {
            match make(session, table, first).await {
                Ok(Made::Partition) => {}
                Ok(Made::NotNeeded) => {
                    self.whole.insert(table);
                    return Ok(());
                }
                Err(failure) => {
                    session.discard();
                    return Err(failure);
                }
            }
            self.known.insert((table, first));
        }
        Ok(())
    }

    /// Makes partitions from 8 days back to 2 days ahead.
    ///
    /// # Errors
    /// [`Failure`] when the database does not make them.
    pub async fn ensure_ahead(&mut self, session: &mut Session, now: Timestamp) -> Result<(), Failure> {
        let hours = |hours: i64| now.checked_add(hours.hours()).unwrap_or(now);
        self.ensure(session, Partitioned::Scan, (-8..=2).map(|days| hours(days * 24))).await?;
        self.ensure(session, Partitioned::AverageWide, [hours(-8 * 24), now, hours(48)].into_iter()).await
    }
}

/// Drops the partitions or chunks of which every moment is past its retention, oldest first; gives their names. One that somebody uses
/// just now is left for the next time.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn drop_old(
    session: &mut Session,
    retention: Retention,
    now: Timestamp,
) -> Result<Vec<String>, Failure> {
    let storage = Storage::of(session.client().await?).await?;
    let mut dropped = Vec::new();
    for (table, days) in
        [(Partitioned::Scan, retention.scan_days), (Partitioned::AverageWide, retention.minute_days)]
    {
        // A day more, so that a record that is just young enough finds its partition.
        let oldest = now.checked_sub((24 * (i64::from(days) + 1)).hours()).unwrap_or(now);
        let oldest = TimeZone::UTC.to_datetime(oldest).date();
        let past = match &storage {
            Storage::Partitions => attached(session, table, oldest).await?,
            Storage::Hypertables { .. } => chunks(session, table, oldest).await?,
        };
        for (name, drop) in past {
            let client = session.client().await?;
            let drop = format!("BEGIN; SET LOCAL lock_timeout = '2s'; {drop}; COMMIT");
            match bounded(client.batch_execute(&drop)).await {
                Ok(()) => dropped.push(name),
                Err(failure) => {
                    session.discard();
                    tracing::info!(%failure, partition = name, "a partition past its retention stays for now");
                    return Ok(dropped);
                }
            }
        }
    }
    Ok(dropped)
}

/// The partitions of a table that end before `oldest`, oldest first, with the statements that drop them.
async fn attached(
    session: &mut Session,
    table: Partitioned,
    oldest: Date,
) -> Result<Vec<(String, String)>, Failure> {
    let sql = "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
        WHERE i.inhparent = $1::text::regclass ORDER BY c.relname";
    let client = session.client().await?;
    let prefix = format!("{}_", table.table());
    let past = |name: String| {
        let first = Date::strptime("%Y%m%d", name.strip_prefix(&prefix)?).ok()?;
        (table.next(first) <= oldest).then(|| (name.clone(), format!("DROP TABLE {name}")))
    };
    Ok(query(client, sql, &[&table.table()]).await?.iter().filter_map(|row| past(row.get(0))).collect())
}

/// The same of the chunks of a hypertable.
async fn chunks(
    session: &mut Session,
    table: Partitioned,
    oldest: Date,
) -> Result<Vec<(String, String)>, Failure> {
    let sql = "SELECT format('%s_%s', $1::text, to_char(range_start AT TIME ZONE 'UTC', 'YYYYMMDD')), \
        format('SELECT %s.drop_chunks(%L, older_than => %L::timestamptz)', \
            (SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'timescaledb'), $1::text, range_end) \
        FROM timescaledb_information.chunks \
        WHERE (hypertable_schema, hypertable_name) = (SELECT n.nspname, c.relname FROM pg_class c \
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1::text::regclass) \
        AND range_end <= $2::text::timestamptz ORDER BY range_end";
    let client = session.client().await?;
    let until = format!("{oldest} 00:00:00+00");
    let rows = query(client, sql, &[&table.table(), &until]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// What became of a partition.
enum Made {
    /// It is there.
    Partition,
    /// The table is a hypertable.
    NotNeeded,
}

async fn make(session: &mut Session, table: Partitioned, first: Date) -> Result<Made, Failure> {
    let parent = table.table();
    let name = format!("{parent}_{}", first.strftime("%Y%m%d"));
    let next = table.next(first);
    let client = session.client().await?;
    // The lock makes concurrent makers wait for each other; who comes second finds the partition attached.
    bounded(client.batch_execute("BEGIN; SELECT pg_advisory_xact_lock(826402)")).await?;
    let sql = "SELECT (SELECT relkind = 'p' FROM pg_class WHERE oid = $1::text::regclass), \
        EXISTS (SELECT 1 FROM pg_inherits WHERE inhparent = $1::text::regclass AND inhrelid = to_regclass($2))";
    let found = query_one(client, sql, &[&parent, &name]).await?;
    let (partitioned, attached): (bool, bool) = (found.get(0), found.get(1));
    if partitioned && !attached {
        let statement = format!(
            "CREATE TABLE IF NOT EXISTS {name} (LIKE {parent} INCLUDING ALL); \
             ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES FROM ('{first} 00:00:00+00') TO ('{next} 00:00:00+00')"
        );
        bounded(client.batch_execute(&statement)).await?;
    }
    bounded(client.batch_execute("COMMIT")).await?;
    Ok(if partitioned { Made::Partition } else { Made::NotNeeded })
}
