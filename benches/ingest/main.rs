//! Ingest at province speed on this machine: `cargo bench --bench ingest`. A broker, a PostgreSQL (durable) and a centre of the bench's
//! own, a thousand gateways with a connection each, 16 channels a scan; real gateways where analyser, spool or alert are measured.
//!
//! Speeds stand beside plain binary COPY of the same readings in the same run. CEMS_BENCH_PARTS chooses among `ratio`, `pace`,
//! `backfill`, `storm`, `growth`; all without it.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a bench that meets the unexpected is to fail loudly"
)]

/// COPY.
mod copy;
/// Gateways without end.
mod crowd;
/// Scans as analysers would give them.
mod readings;
/// The servers and the centre.
mod world;

#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use cems::clock;
use jiff::{SignedDuration, Timestamp};

use crate::crowd::{Crowd, Outcome, Pace, Tick};
use crate::readings::ticks;
use crate::support::figures::{Goal, median, percentile, table, tell, tell_beside};
use crate::support::plant;
use crate::support::process::{memory, memory_of_family};
use crate::world::{Cpu, World};

/// A province.
const OUTLETS: usize = 5000;
const GATEWAYS: usize = 1000;
/// Outlets whose analysers are real, behind one more gateway.
const REGISTERS: usize = 200;
/// Messages of a gateway under way at full speed.
const WINDOW: usize = 6;
/// Scans of one catch-up message.
const TOGETHER: usize = 8;

fn wants(part: &str) -> bool {
    std::env::var("CEMS_BENCH_PARTS").map_or(true, |parts| parts.split(',').any(|one| one == part))
}

fn speed(scans: usize, outcome: &Outcome) -> f64 {
    (scans * 16) as f64 / outcome.took.as_secs_f64()
}

/// The last even minute that began so long ago.
fn ago(minutes: i64) -> Timestamp {
    let second = clock::now().as_second() - minutes * 60;
    Timestamp::from_second(second - second % 60).unwrap()
}

fn tell_cpu(name: &str, cpu: Cpu, readings: f64) {
    tell(&format!("cpu_s_per_million_{name}"), cpu.total() / readings * 1e6, "s/Mreadings", Goal::None);
    let total = cpu.total() + cpu.generator;
    println!(
        "  processor time: broker {:.0} %, centre {:.0} %, PostgreSQL {:.0} %, generator {:.0} %",
        cpu.broker / total * 100.0,
        cpu.centre / total * 100.0,
        cpu.postgres / total * 100.0,
        cpu.generator / total * 100.0
    );
}

/// Live and catch-up beside COPY, interleaved three times.
async fn ratio(world: &World, crowd: &mut Crowd) {
    let (live_ticks, catch_ticks) = (30, 60);
    let (mut copies, mut lives, mut catches) = (Vec::new(), Vec::new(), Vec::new());
    let mut slow = Vec::new();
    let (mut cpu_live, mut cpu_catch): (Vec<Cpu>, Vec<Cpu>) = (Vec::new(), Vec::new());
    let (live_from, catch_from) = (ago(12), ago(600));
    for round in 0..3 {
        let scans =
            ticks(OUTLETS, live_from + SignedDuration::from_mins(round), live_ticks, round.unsigned_abs());
        world.settle().await;
        copies.push(copy::narrow(&world.client, &scans).await);
        println!("  round {round}: narrow COPY {:.0} readings/s", copies.last().unwrap());

        crowd.script(&scans, 1, "live", |_| Duration::ZERO);
        world.settle().await;
        let before = world.cpu();
        let outcome = crowd.run(Pace::Full { window: WINDOW }).await;
        cpu_live.push(world.cpu().since(before));
        lives.push(speed(scans.len(), &outcome));
        slow.push(percentile(&outcome.latencies, 99));
        println!("  round {round}: live {:.0} readings/s", lives.last().unwrap());

        let from = catch_from + SignedDuration::from_mins(2 * round);
        let scans = ticks(OUTLETS, from, catch_ticks, 10 + round.unsigned_abs());
        // A gateway sends one outlet's scans after the other's in a message, as its spool has them.
        crowd.script(&scans, TOGETHER, "backfill", |_| Duration::ZERO);
        world.settle().await;
        let before = world.cpu();
        let outcome = crowd.run(Pace::Full { window: WINDOW / 2 }).await;
        cpu_catch.push(world.cpu().since(before));
        catches.push(speed(scans.len(), &outcome));
        println!("  round {round}: catch-up {:.0} readings/s", catches.last().unwrap());
    }
    let reference = median(&copies);
    tell("copy_narrow", reference, "readings/s", Goal::None);
    tell_beside("ingest_live", median(&lives), "readings/s", reference, Goal::AtLeast(1.5));
    tell_beside("ingest_catchup", median(&catches), "readings/s", reference, Goal::AtLeast(3.0));
    tell("receipt_p99_ms_full", median(&slow), "ms", Goal::AtMost(200.0));
    let live = (OUTLETS * live_ticks * 16) as f64;
    tell_cpu("live", cpu_live[1], live);
    tell_cpu("catchup", cpu_catch[1], (OUTLETS * catch_ticks * 16) as f64);
    let scans = ticks(OUTLETS, live_from, live_ticks, 0);
    world.settle().await;
    let narrow_bytes = copy::narrow_bytes(&world.client).await;
    let by_two = copy::narrow_by_two(&world.url, &scans).await;
    world.settle().await;
    let wide = copy::wide(&world.client, &scans).await;
    tell_beside("copy_narrow_two_connections", by_two, "readings/s", reference, Goal::None);
    tell_beside("copy_wide", wide, "readings/s", reference, Goal::None);
    world.client.batch_execute("DROP TABLE narrow; DROP TABLE wide").await.unwrap();
    let bytes = "SELECT sum(pg_total_relation_size(inhrelid))::float8 / (SELECT sum(length(flag)) FROM scan)::float8 \
        FROM pg_inherits WHERE inhparent = 'scan'::regclass";
    let bytes = world.number(bytes).await;
    tell_beside("bytes_per_reading", bytes, "bytes", narrow_bytes, Goal::None);
    tell("bytes_per_reading", bytes, "bytes", Goal::AtMost(36.0));
    tell("bytes_per_reading_narrow", narrow_bytes, "bytes", Goal::None);
}

/// A province at its own pace, for so many ticks.
async fn at_pace(crowd: &mut Crowd, count: usize, spread: Duration, seed: u64) -> Outcome {
    let from = Timestamp::from_second(clock::now().as_second() / 2 * 2 + 4).unwrap();
    let scans = ticks(OUTLETS, from, count, seed);
    let step = spread.div_f64(OUTLETS as f64);
    let due = |index: usize| {
        let (tick, outlet) = (index / OUTLETS, index % OUTLETS);
        Duration::from_secs(2) * u32::try_from(tick).unwrap() + step * u32::try_from(outlet).unwrap()
    };
    crowd.script(&scans, 1, "live", due);
    crowd.run(Pace::Timed).await
}

async fn pace(world: &World, crowd: &mut Crowd) {
    world.settle().await;
    let before = world.cpu();
    let outcome = at_pace(crowd, 35, Duration::from_secs(2), 20).await;
    let cpu = world.cpu().since(before);
    println!("  {} messages in {:.0} s", outcome.messages, outcome.took.as_secs_f64());
    tell("receipt_p50_ms_40k", percentile(&outcome.latencies, 50), "ms", Goal::None);
    tell("receipt_p99_ms_40k", percentile(&outcome.latencies, 99), "ms", Goal::AtMost(50.0));
    tell_cpu("40k", cpu, (outcome.messages * 16) as f64);
    tell(
        "machine_share_at_40k",
        cpu.total() / outcome.took.as_secs_f64() / 2.0 * 100.0,
        "% of 2 cores",
        Goal::None,
    );
    let outcome = at_pace(crowd, 10, Duration::ZERO, 21).await;
    tell("receipt_p99_ms_40k_all_at_once", percentile(&outcome.latencies, 99), "ms", Goal::None);
}

#[tokio::main]
async fn main() {
    let document = plant::document_with(OUTLETS, GATEWAYS, REGISTERS);
    let world = World::start(document).await;
    let mut crowd = Crowd::connect(world.broker(), GATEWAYS).await;
    if wants("ratio") {
        ratio(&world, &mut crowd).await;
    }
    if wants("pace") {
        pace(&world, &mut crowd).await;
    }
    tell("centre_rss_mb_5000_outlets", memory(world.centre(), "VmHWM"), "MiB", Goal::AtMost(150.0));
    tell("broker_rss_mb", memory(world.servers.mosquitto.pid().unwrap(), "VmHWM"), "MiB", Goal::None);
    tell("postgres_pss_mb", memory_of_family(world.servers.postgres.pid().unwrap()), "MiB", Goal::None);
    drop(crowd);
    world.stop().await;
    table();
}
