//! How fast `cems verify` is, on a private PostgreSQL: `cargo bench --bench verify`. CEMS_BENCH_RECORDS says how many records (600,000: some
//! five days of three outlets at two seconds).
#![expect(clippy::unwrap_used, reason = "a bench that meets the unexpected is to fail loudly")]

use std::time::Duration;

use cems::central::verify::{Question, verify};
use cems::clock;
use cems::config::catalogue;
use cems::config::seeds;
use cems::domain::flag::Flag;
use cems::domain::plant::Plant;
use cems::domain::scan::{Reading, Scan};
use cems::embedded::{Access, Servers};
use cems::mqtt::record::{Body, Epoch, Hash, Record};
use cems::store::partition::{Partitioned, Partitions};
use cems::store::provenance::Provenances;
use cems::store::scan::{NewScan, Then, store};
use cems::store::session::Session;
use cems::store::{connect, migrate, plant};
use jiff::{SignedDuration, Timestamp};

const BATCH: usize = 4000;

#[tokio::main]
async fn main() {
    let records: usize = std::env::var("CEMS_BENCH_RECORDS").map_or(600_000, |text| text.parse().unwrap());
    let folder = tempfile::Builder::new().prefix("cems-bench-").tempdir().unwrap();
    let servers = Servers::start(folder.path(), Access::Open).await.unwrap();
    let url = servers.postgres.create_database("cems").await.unwrap();
    let mut client = connect::connect(&url, "bench").await.unwrap();
    migrate::migrate(&mut client).await.unwrap();
    let sources = [seeds::pollutants(), seeds::rules(), seeds::demonstration()];
    let catalogue = catalogue::parse(&sources).unwrap();
    plant::save(&mut client, &catalogue).await.unwrap();
    let plant = plant::load(&client).await.unwrap();
    let mut session = Session::new(&url);
    load(&mut session, &plant, records).await;
    client.batch_execute("VACUUM ANALYZE scan").await.unwrap();
    let before = peak_kb();
    for _ in 0..3 {
        let question =
            Question { plant: &plant, gateway: "gw-demo", range: None, heads: &[], now: clock::now() };
        let started = clock::monotonic();
        let report = verify(&client, &question, &mut |_, _| {}).await.unwrap();
        let took = started.elapsed();
        assert!(report.clean && report.records == u64::try_from(records).unwrap(), "{report}");
        println!(
            "verify: {records} records in {:.2} s: {:.0} records/s",
            took.as_secs_f64(),
            rate(records, took)
        );
    }
    println!("verify: peak memory grew by {} kB over that of loading ({before} kB)", peak_kb() - before);
}

fn rate(records: usize, took: Duration) -> f64 {
    f64::from(u32::try_from(records).unwrap()) / took.as_secs_f64()
}

/// Highest resident size of this process so far.
fn peak_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// One chain over all outlets, a scan of each every two seconds.
async fn load(session: &mut Session, plant: &Plant, records: usize) {
    let (mut partitions, mut provenances) = (Partitions::default(), Provenances::default());
    let (gateway, epoch, cfg) = (plant.gateway("gw-demo").unwrap(), Epoch::new(), Hash::of(b"bench"));
    let provenance_id = provenances.number(session, &(gateway.id, epoch.0, cfg.0)).await.unwrap();
    let ticks = records.div_ceil(plant.outlets.len());
    let start = clock::now() - SignedDuration::from_secs(2 * i64::try_from(ticks).unwrap());
    let start = Timestamp::from_second(start.as_second()).unwrap();
    let (mut prev, mut batch) = (Hash::ZERO, Vec::new());
    let mut random = fastrand::Rng::with_seed(1);
    for number in 0..records {
        let outlet = plant.outlets.get(number % plant.outlets.len()).unwrap();
        let tick = i64::try_from(number / plant.outlets.len()).unwrap();
        let at = start + SignedDuration::from_secs(2 * tick);
        let measured: Vec<f64> = outlet.channels.iter().map(|_| random.f64() * 50.0).collect();
        let reading = |value: &f64| Reading { value: Some(*value), flag: Flag::Normal };
        let mut readings: Vec<_> =
            outlet.channels.iter().map(|channel| channel.code).zip(measured.iter().map(reading)).collect();
        readings.sort_by_key(|(code, _)| *code);
        let body = Body::Scan(Scan { outlet: outlet.code.to_string(), at, readings });
        let record = Record {
            gateway: gateway.name.to_string(),
            epoch,
            seq: u64::try_from(number).unwrap(),
            prev,
            cfg,
            body,
        };
        let hash = Hash::of(&record.encode());
        batch.push(NewScan {
            outlet_id: outlet.id,
            source_id: 1,
            method: 1,
            measured_at: at,
            received_at: at,
            provenance_id,
            seq: i64::try_from(number).unwrap(),
            hash: hash.0,
            prev: prev.0,
            flag: "N".repeat(measured.len()),
            checked: None,
            corrected: measured.clone(),
            measured,
        });
        prev = hash;
        if batch.len() == BATCH || number + 1 == records {
            partitions
                .ensure(session, Partitioned::Scan, batch.iter().map(|row| row.measured_at))
                .await
                .unwrap();
            batch.sort_by_key(NewScan::key);
            let rows: Vec<&NewScan> = batch.iter().collect();
            store(session, &rows, &[], Then::Commit).await.unwrap();
            batch.clear();
        }
    }
}
