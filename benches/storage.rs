//! A day of scans into plain partitions and into a hypertable: speed of inserts, late rows into a compressed day, bytes a reading.
//! Needs a server that preloads TimescaleDB: `CEMS_BENCH_DATABASE` names it (superuser). Two databases are made there, and dropped.
#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    clippy::indexing_slicing,
    reason = "a bench that meets the unexpected is to fail loudly"
)]

use std::time::Duration;

use cems::clock;
use cems::config::central::Timescale;
use cems::store::connect::connect;
use cems::store::migrate::migrate_to;
use cems::store::partition::{Partitioned, Partitions};
use cems::store::scan::{NewScan, Then, store};
use cems::store::session::Session;
use cems::store::storage::compression::see_to;
use jiff::{SignedDuration, Timestamp};
use tokio_postgres::{Client, Config};

/// Mean and step of the last decimal, of sixteen channels; the first eleven are concentrations with a corrected value.
const CHANNELS: [(f64, f64); 16] = [
    (2.0, 0.01),
    (15.0, 0.1),
    (30.0, 0.1),
    (50.0, 0.1),
    (20.0, 0.1),
    (20.0, 0.1),
    (2.0, 0.01),
    (3.0, 0.01),
    (3.0, 0.01),
    (3.0, 0.01),
    (0.02, 0.001),
    (10.0, 0.01),
    (120.0, 0.1),
    (-1.2, 0.01),
    (12.0, 0.01),
    (100.3, 0.01),
];
const CORRECTED: usize = 11;
const OXYGEN: usize = 11;
const TICKS: i64 = 43_200;
const BATCH: usize = 2000;
/// Scans of the late rounds.
const LATE: usize = 40_000;

/// Analysers whose values drift slowly and are shown with so many decimals.
struct Plant {
    values: Vec<[f64; 16]>,
    random: fastrand::Rng,
    seq: i64,
    last: [u8; 32],
}

impl Plant {
    fn new(outlets: usize) -> Plant {
        let values = vec![CHANNELS.map(|(mean, _)| mean); outlets];
        Plant { values, random: fastrand::Rng::with_seed(28), seq: 0, last: [0; 32] }
    }

    /// The scans of all outlets at one tick.
    fn tick(&mut self, at: Timestamp) -> Vec<NewScan> {
        (0..self.values.len()).map(|outlet| self.scan(outlet, at)).collect()
    }

    fn scan(&mut self, outlet: usize, at: Timestamp) -> NewScan {
        let values = &mut self.values[outlet];
        for (value, (mean, _)) in values.iter_mut().zip(CHANNELS) {
            *value += 0.02 * (mean - *value) + 0.02 * mean * (self.random.f64() - 0.5);
        }
        let shown =
            |(value, (_, step)): (&f64, (f64, f64))| ((value / step).round() * step * 1e6).round() / 1e6;
        let measured: Vec<f64> = values.iter().zip(CHANNELS).map(shown).collect();
        let factor = 11.0 / (21.0 - measured[OXYGEN]);
        let corrected =
            (0..16).map(|i| if i < CORRECTED { measured[i] * factor } else { f64::NAN }).collect();
        let prev = self.last;
        self.random.fill(&mut self.last);
        self.seq += 1;
        NewScan {
            outlet_id: outlet as i32 + 1,
            source_id: 1,
            method: 1,
            measured_at: at,
            received_at: at + SignedDuration::from_millis(self.random.i64(20..400)),
            provenance_id: 1,
            seq: self.seq,
            hash: self.last,
            prev,
            flag: "N".repeat(16),
            checked: None,
            measured,
            corrected,
        }
    }
}

/// Stores scans in batches; gives the time in the store, and how many were new.
async fn insert(session: &mut Session, mut scans: Vec<NewScan>) -> (Duration, usize) {
    let (mut took, mut new) = (Duration::ZERO, 0);
    for batch in scans.chunks_mut(BATCH) {
        batch.sort_by_key(NewScan::key);
        let rows: Vec<&NewScan> = batch.iter().collect();
        let started = clock::monotonic();
        let fresh = store(session, &rows, &[], Then::Commit).await.unwrap();
        took += started.elapsed();
        new += fresh.map_or(rows.len(), |keys| keys.len());
    }
    (took, new)
}

fn readings_a_second(scans: usize, took: Duration) -> f64 {
    scans as f64 * 16.0 / took.as_secs_f64()
}

async fn size(client: &Client) -> i64 {
    let sql = "SELECT sum(pg_total_relation_size(inhrelid))::int8 FROM pg_inherits WHERE inhparent = 'scan'::regclass";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

struct Day {
    day: Timestamp,
    outlets: usize,
}

impl Day {
    fn late(&self, plant: &mut Plant, offset_ms: i64) -> Vec<NewScan> {
        let ticks = LATE / self.outlets;
        let at = |tick: usize| self.day + SignedDuration::from_millis(tick as i64 * 2000 + offset_ms);
        (0..ticks).flat_map(|tick| plant.tick(at(tick))).collect()
    }

    /// The whole day, then late scans into it; speeds.
    async fn fill(&self, session: &mut Session, plant: &mut Plant) -> (f64, f64) {
        let mut partitions = Partitions::default();
        partitions.ensure(session, Partitioned::Scan, [self.day].into_iter()).await.unwrap();
        let (mut took, mut scans) = (Duration::ZERO, 0);
        let ticks: Vec<i64> = (0..TICKS).collect();
        for ticks in ticks.chunks(2000) {
            let rows: Vec<NewScan> = ticks
                .iter()
                .flat_map(|tick| plant.tick(self.day + SignedDuration::from_secs(tick * 2)))
                .collect();
            scans += rows.len();
            took += insert(session, rows).await.0;
        }
        let late = self.late(plant, 1000);
        let count = late.len();
        let (late_took, new) = insert(session, late).await;
        assert_eq!(new, count);
        (readings_a_second(scans, took), readings_a_second(count, late_took))
    }
}

#[tokio::main]
async fn main() {
    let Ok(admin) = std::env::var("CEMS_BENCH_DATABASE") else {
        println!(
            "storage: skipped; CEMS_BENCH_DATABASE names a server with TimescaleDB (host=... user=... dbname=postgres)"
        );
        return;
    };
    let _checked: Config = admin.parse().unwrap();
    let server = connect(&admin, "bench").await.unwrap();
    let outlets = std::env::var("CEMS_BENCH_OUTLETS").map_or(10, |text| text.parse().unwrap());
    let day: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
    let day = Day { day, outlets };
    for (name, wish) in [("plain", Timescale::Off), ("hyper", Timescale::On)] {
        let unmake = format!("DROP DATABASE IF EXISTS cems_bench_{name} WITH (FORCE)");
        server.batch_execute("SET statement_timeout = 0").await.unwrap();
        server.batch_execute(&unmake).await.unwrap();
        server.batch_execute(&format!("CREATE DATABASE cems_bench_{name}")).await.unwrap();
        server.batch_execute("CHECKPOINT").await.unwrap();
        let url = format!("{admin} dbname=cems_bench_{name}");
        let mut client = connect(&url, "bench").await.unwrap();
        let migrated = migrate_to(&mut client, wish).await.unwrap();
        let mut session = Session::new(&url);
        let mut plant = Plant::new(outlets);
        let (insert_speed, late_speed) = day.fill(&mut session, &mut plant).await;
        let rows: i64 = client.query_one("SELECT count(*) FROM scan", &[]).await.unwrap().get(0);
        let a_reading = |bytes: i64| bytes as f64 / (rows as f64 * 16.0);
        println!(
            "{}: a day of {outlets} outlets x 16 channels at {insert_speed:.0} readings/s, late rows at {late_speed:.0} readings/s; \
             {:.1} bytes a reading",
            migrated.storage,
            a_reading(size(&client).await)
        );
        if wish == Timescale::On {
            compressed(&client, &mut session, &mut plant, &day).await;
        }
        drop(session);
        server.batch_execute(&unmake).await.unwrap();
    }
}

async fn compressed(client: &Client, session: &mut Session, plant: &mut Plant, day: &Day) {
    // Never by itself while it is measured.
    see_to(session, 36_500).await.unwrap();
    client.batch_execute("SET statement_timeout = 0; CHECKPOINT").await.unwrap();
    let started = clock::monotonic();
    client.batch_execute("SELECT compress_chunk(c) FROM show_chunks('scan') c").await.unwrap();
    let took = started.elapsed();
    let sql = "SELECT after_compression_total_bytes, (SELECT count(*) FROM scan) FROM hypertable_compression_stats('scan')";
    let row = client.query_one(sql, &[]).await.unwrap();
    let (bytes, rows): (i64, i64) = (row.get(0), row.get(1));
    println!(
        "compressed in {:.1} s ({:.0} readings/s); {:.1} bytes a reading",
        took.as_secs_f64(),
        readings_a_second(rows as usize, took),
        bytes as f64 / (rows as f64 * 16.0)
    );
    let late = day.late(plant, 1500);
    let again: Vec<NewScan> = late.clone();
    let count = late.len();
    let (took, new) = insert(session, late).await;
    assert_eq!(new, count);
    println!("late rows into the compressed day at {:.0} readings/s", readings_a_second(count, took));
    let (took, new) = insert(session, again).await;
    assert_eq!(new, 0);
    println!("the same again at {:.0} readings/s", readings_a_second(count, took));
    let known = day.late(plant, 1000);
    let (took, new) = insert(session, known).await;
    assert_eq!(new, 0);
    println!(
        "rows that stand in compressed batches, again, at {:.0} readings/s",
        readings_a_second(count, took)
    );
    let started = clock::monotonic();
    client.batch_execute("SELECT compress_chunk(c) FROM show_chunks('scan') c").await.unwrap();
    println!("late rows taken into the compressed day in {:.1} s", started.elapsed().as_secs_f64());
}
