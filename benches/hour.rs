//! Closing one hour of a province on a private PostgreSQL, from the stored minutes to stored averages, verdicts and episodes; and how
//! long `cems explain` takes: `cargo bench --bench hour`. CEMS_BENCH_OUTLETS says how many outlets of 16 channels (5000).
#![expect(clippy::unwrap_used, reason = "a bench that meets the unexpected is to fail loudly")]

use std::time::Duration;

use cems::central::recompute::alone;
use cems::central::windows::Closer;
use cems::clock;
use cems::config::catalogue;
use cems::config::kind::Source;
use cems::config::seeds;
use cems::domain::average::{StoredScan, average_scans};
use cems::domain::explain::explain;
use cems::domain::flag::Flag;
use cems::domain::limit::AveragingPeriod;
use cems::domain::plant::{Outlet, Plant};
use cems::domain::regime::HJ75_2017;
use cems::domain::scan::Reading;
use cems::domain::window::Window;
use cems::embedded::{Access, Servers};
use cems::shutdown::Shutdown;
use cems::store::average::{self, Averages};
use cems::store::due::{self, Due};
use cems::store::partition::{Partitioned, Partitions};
use cems::store::provenance::Provenances;
use cems::store::read::evidence::evidence;
use cems::store::scan::{NewScan, Then, store};
use cems::store::session::Session;
use cems::store::{connect, frame, migrate, plant};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio_postgres::Client;

#[path = "support/mod.rs"]
mod support;

use support::figures::{Goal, tell};
use support::plant::{CHANNELS, document, gateway};

#[tokio::main]
async fn main() {
    let outlets: usize = std::env::var("CEMS_BENCH_OUTLETS").map_or(5000, |text| text.parse().unwrap());
    let folder = tempfile::Builder::new().prefix("cems-bench-").tempdir().unwrap();
    let servers = Servers::start(folder.path(), Access::Open).await.unwrap();
    let url = servers.postgres.create_database("cems").await.unwrap();
    let mut client = connect::connect(&url, "bench").await.unwrap();
    migrate::migrate(&mut client).await.unwrap();
    let sources = [
        seeds::pollutants(),
        seeds::rules(),
        Source { file: "bench.toml".to_owned(), text: document(outlets, 1) },
    ];
    let started = clock::monotonic();
    let catalogue = catalogue::parse(&sources).unwrap();
    let parsed = started.elapsed();
    let started = clock::monotonic();
    plant::save(&mut client, &catalogue).await.unwrap();
    println!(
        "a plant of {outlets} outlets x 16 channels: read and checked in {:.1} s, saved in {:.1} s",
        parsed.as_secs_f64(),
        started.elapsed().as_secs_f64()
    );
    let zone = TimeZone::get("Asia/Shanghai").unwrap();
    let now = clock::now();
    let hour = Window::containing(AveragingPeriod::Hour, now - SignedDuration::from_hours(3), &zone);
    let (known, frames) = frame::load(&client).await.unwrap();
    let mut session = Session::new(&url);
    minutes(&mut session, &known, hour, &zone).await;
    scans(&mut session, &known, hour).await;
    client.batch_execute("VACUUM ANALYZE").await.unwrap();

    let dues: Vec<Due> = known
        .outlets
        .iter()
        .map(|outlet| Due {
            outlet_id: outlet.id,
            source_id: 1,
            period: AveragingPeriod::Hour,
            start: hour.start,
            due_at: hour.end,
        })
        .collect();
    due::append_all(&client, &dues).await.unwrap();
    let shared = alone(known, frames, zone.clone());
    let (stop, started) = (Shutdown::new(), clock::monotonic());
    let closer = Closer::new(shared, Session::new(&url), SignedDuration::from_hours(100));
    let running = tokio::spawn(closer.run(stop.clone()));
    while count(&client, "SELECT count(*) FROM due WHERE period = 4").await > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let took = started.elapsed();
    stop.cancel();
    running.await.unwrap();
    let rows = count(&client, "SELECT count(*) FROM average_long WHERE period = 4").await;
    let verdicts = count(&client, "SELECT count(*) FROM verdict_row WHERE period = 4").await;
    let exceeded = count(&client, "SELECT count(*) FROM verdict_row WHERE outcome = 'exceeded'").await;
    println!(
        "closing an hour of {outlets} outlets x 16 channels from 60 minute rows each, with the database: {:.2} s ({rows} averages, \
         {verdicts} verdicts, {exceeded} of them exceeded)",
        took.as_secs_f64()
    );
    tell("hour_close_s", took.as_secs_f64(), "s", Goal::AtMost(10.0));
    explained(&client, hour, &zone).await;
}

async fn count(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// By position; concentrations that have limits are `factor` times as large.
fn readings(outlet: &Outlet, factor: f64, random: &mut fastrand::Rng) -> Vec<Reading> {
    let mut reading = |code: &str| {
        let (_, _, _, mean) = CHANNELS.iter().find(|(known, _, _, _)| *known == code).unwrap();
        let factor = if ["a34013", "a21026", "a21002"].contains(&code) { factor } else { 1.0 };
        let value = (mean * factor * 100.0 * (1.0 + 0.1 * random.f64())).round() / 100.0;
        Reading { value: Some(value), flag: Flag::Normal }
    };
    outlet.channels.iter().map(|channel| reading(channel.code.as_str())).collect()
}

/// Sixty stored minutes of every outlet.
async fn minutes(session: &mut Session, plant: &Plant, hour: Window, zone: &TimeZone) {
    let mut partitions = Partitions::default();
    partitions.ensure(session, Partitioned::AverageWide, [hour.start].into_iter()).await.unwrap();
    let client = session.client().await.unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    for window in hour.parts(zone) {
        let first = plant.outlets.first().unwrap();
        let mut minute = |factor: f64| {
            let scan = |index: i64| StoredScan {
                at: window.start + SignedDuration::from_secs(index * 2),
                readings: readings(first, factor, &mut random),
            };
            average_scans(window, first, &(0..30).map(scan).collect::<Vec<StoredScan>>(), &HJ75_2017)
        };
        // One outlet of a hundred exceeds its limits.
        let (channels, dirty) = (minute(1.0), minute(5.0));
        for outlets in plant.outlets.chunks(1000) {
            let rows: Vec<Averages> = outlets
                .iter()
                .map(|outlet| {
                    let channels = if outlet.id % 100 == 0 { dirty.clone() } else { channels.clone() };
                    Averages { of: (outlet.id, 1), window, revision: 1, channels }
                })
                .collect();
            average::store(client, &rows, window.end).await.unwrap();
        }
    }
}

/// The scans of one outlet's hour, so that it can be explained.
async fn scans(session: &mut Session, plant: &Plant, hour: Window) {
    let (mut partitions, mut provenances) = (Partitions::default(), Provenances::default());
    let gateway = plant.gateway(&gateway(0)).unwrap();
    let origin = (gateway.id, cems::mqtt::record::Epoch::new().0, [1; 32]);
    let provenance_id = provenances.number(session, &origin).await.unwrap();
    let first = plant.outlets.first().unwrap();
    let mut random = fastrand::Rng::with_seed(2);
    let ticks: Vec<Timestamp> =
        (0..1800).map(|tick| hour.start + SignedDuration::from_secs(tick * 2)).collect();
    partitions.ensure(session, Partitioned::Scan, ticks.iter().copied()).await.unwrap();
    let rows: Vec<NewScan> = ticks
        .into_iter()
        .zip(0_i64..)
        .map(|(at, seq)| {
            let measured: Vec<f64> =
                readings(first, 1.0, &mut random).iter().filter_map(|reading| reading.value).collect();
            NewScan {
                outlet_id: first.id,
                source_id: 1,
                method: 1,
                measured_at: at,
                received_at: at,
                provenance_id,
                seq,
                hash: [2; 32],
                prev: [3; 32],
                flag: "N".repeat(measured.len()),
                checked: None,
                corrected: measured.clone(),
                measured,
            }
        })
        .collect();
    let rows: Vec<&NewScan> = rows.iter().collect();
    store(session, &rows, &[], Then::Commit).await.unwrap();
}

/// Reading the evidence of one moment and explaining all 16 channels of it; the plant of all outlets is loaded first.
async fn explained(client: &Client, hour: Window, zone: &TimeZone) {
    let started = clock::monotonic();
    let (plant, frames) = frame::load(client).await.unwrap();
    let loading = started.elapsed();
    let outlet = plant.outlets.first().unwrap();
    let positions: Vec<usize> = (0..outlet.channels.len()).collect();
    let asked = hour.start + SignedDuration::from_secs(1800);
    let started = clock::monotonic();
    let evidence = evidence(client, (outlet, &frames), (asked, clock::now()), zone).await.unwrap();
    let told = explain(outlet, &positions, &evidence, (&HJ75_2017, zone));
    let took = started.elapsed();
    println!(
        "explain of 16 channels from 1800 scans: {:.0} ms, after loading the plant of {} outlets in {:.0} ms ({} figures compared)",
        took.as_secs_f64() * 1e3,
        plant.outlets.len(),
        loading.as_secs_f64() * 1e3,
        told.compared
    );
    tell("explain_ms", took.as_secs_f64() * 1e3, "ms", Goal::AtMost(200.0));
}
