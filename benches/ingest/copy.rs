//! The limits beside which ingest is measured: binary COPY of the same readings, narrow and wide, into tables with primary keys.

use std::time::Duration;

use cems::clock::monotonic;
use cems::store::connect;
use futures_util::pin_mut;
use jiff::Timestamp;
use tokio_postgres::Client;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::Type;

use crate::crowd::Tick;

/// Rows of one COPY, which is one transaction.
const BATCH: usize = 5000;

/// One row a reading.
const NARROW: &str = "DROP TABLE IF EXISTS narrow; CREATE TABLE narrow (outlet_id integer NOT NULL, position smallint NOT NULL, \
    measured_at timestamptz NOT NULL, received_at timestamptz NOT NULL, measured float8, flag text NOT NULL, \
    PRIMARY KEY (outlet_id, position, measured_at))";
/// One row a scan, as the centre's table has it.
const WIDE: &str = "DROP TABLE IF EXISTS wide; CREATE TABLE wide (LIKE scan INCLUDING ALL)";

struct Row<'t> {
    outlet: i32,
    position: i16,
    at: Timestamp,
    value: Option<f64>,
    flag: String,
    _tick: &'t Tick,
}

fn outlet(tick: &Tick) -> i32 {
    i32::try_from(tick.outlet).unwrap()
}

fn rows(ticks: &[Tick]) -> Vec<Row<'_>> {
    let of_tick = |tick| {
        let tick: &Tick = tick;
        tick.readings.iter().zip(0_i16..).map(move |((_, reading), position)| Row {
            outlet: outlet(tick),
            position,
            at: tick.at,
            value: reading.value,
            flag: reading.flag.letter().to_string(),
            _tick: tick,
        })
    };
    ticks.iter().flat_map(of_tick).collect()
}

async fn copy_rows(client: &Client, rows: &[Row<'_>]) {
    let now = cems::clock::now();
    for batch in rows.chunks(BATCH) {
        let sink = client.copy_in("COPY narrow FROM STDIN BINARY").await.unwrap();
        let types = [Type::INT4, Type::INT2, Type::TIMESTAMPTZ, Type::TIMESTAMPTZ, Type::FLOAT8, Type::TEXT];
        let writer = BinaryCopyInWriter::new(sink, &types);
        pin_mut!(writer);
        for row in batch {
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
                [&row.outlet, &row.position, &row.at, &now, &row.value, &row.flag];
            writer.as_mut().write(&values).await.unwrap();
        }
        writer.finish().await.unwrap();
    }
}

fn per_second(readings: usize, took: Duration) -> f64 {
    f64::from(u32::try_from(readings).unwrap()) / took.as_secs_f64()
}

/// Readings a second by one connection.
pub async fn narrow(client: &Client, ticks: &[Tick]) -> f64 {
    client.batch_execute(NARROW).await.unwrap();
    let rows = rows(ticks);
    let started = monotonic();
    copy_rows(client, &rows).await;
    per_second(rows.len(), started.elapsed())
}

/// Readings a second by two connections, half each.
pub async fn narrow_by_two(url: &str, ticks: &[Tick]) -> f64 {
    let one = connect::connect(url, "bench").await.unwrap();
    let two = connect::connect(url, "bench").await.unwrap();
    one.batch_execute(NARROW).await.unwrap();
    let rows = rows(ticks);
    let (first, second) = rows.split_at(rows.len() / 2);
    let started = monotonic();
    tokio::join!(copy_rows(&one, first), copy_rows(&two, second));
    per_second(rows.len(), started.elapsed())
}

/// Bytes on disk a reading of the narrow table, index included.
pub async fn narrow_bytes(client: &Client) -> f64 {
    let sql = "SELECT pg_total_relation_size('narrow')::float8 / count(*) FROM narrow";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// Readings a second of wide rows by one connection.
pub async fn wide(client: &Client, ticks: &[Tick]) -> f64 {
    client.batch_execute(WIDE).await.unwrap();
    let now = cems::clock::now();
    let started = monotonic();
    for batch in ticks.chunks(BATCH) {
        let columns = "outlet_id, source_id, method, measured_at, received_at, seq, provenance_id, flag, hash, prev, measured, corrected";
        let sink = client.copy_in(&format!("COPY wide ({columns}) FROM STDIN BINARY")).await.unwrap();
        let types = [
            Type::INT4,
            Type::INT2,
            Type::INT2,
            Type::TIMESTAMPTZ,
            Type::TIMESTAMPTZ,
            Type::INT8,
            Type::INT4,
            Type::TEXT,
            Type::BYTEA,
            Type::BYTEA,
            Type::FLOAT8_ARRAY,
            Type::FLOAT8_ARRAY,
        ];
        let writer = BinaryCopyInWriter::new(sink, &types);
        pin_mut!(writer);
        for tick in batch {
            let values: Vec<Option<f64>> = tick.readings.iter().map(|(_, reading)| reading.value).collect();
            let flags: String = tick.readings.iter().map(|(_, reading)| reading.flag.letter()).collect();
            let (outlet, hash) = (outlet(tick), vec![1_u8; 32]);
            let row: [&(dyn tokio_postgres::types::ToSql + Sync); 12] = [
                &outlet, &1_i16, &1_i16, &tick.at, &now, &1_i64, &1_i32, &flags, &hash, &hash, &values,
                &values,
            ];
            writer.as_mut().write(&row).await.unwrap();
        }
        writer.finish().await.unwrap();
    }
    per_second(ticks.len() * 16, started.elapsed())
}
