//! Ingest at province speed on this machine: `cargo bench --bench ingest`. A broker, a PostgreSQL (durable) and a centre of the bench's
//! own, a thousand gateways with a connection each, 16 channels a scan; real gateways where analyser, spool or alert are measured.
//!
//! Speeds stand beside plain binary COPY of the same readings in the same run. CEMS_BENCH_PARTS chooses among `live` (of `ratio` what is
//! live alone), `ratio`, `pace`, `webhook`, `alerts`, `backfill`, `growth`; all without it.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a bench that meets the unexpected is to fail loudly"
)]

/// Ten thousand episodes at once.
mod alerts;
/// COPY.
mod copy;
/// Gateways without end.
mod crowd;
/// Scans as analysers would give them.
mod readings;
/// Real analysers behind a real gateway.
mod registers;
/// A gateway with a week in its spool.
mod week;
/// The servers and the centre.
mod world;

#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use cems::clock;
use jiff::{SignedDuration, Timestamp};

use crate::crowd::{Crowd, Outcome, Pace};
use crate::readings::ticks;
use crate::registers::Registers;
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
const WINDOW: usize = 2;
/// Scans of one catch-up message: a few, and about a third of what a gateway of ours puts into one (64 KiB).
const TOGETHER: [usize; 2] = [8, 32];

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
    let a_scan = |seconds: f64| seconds / readings * 16.0 * 1e6;
    println!(
        "  processor time a scan: broker {:.1} us, centre {:.1} us, PostgreSQL {:.1} us, generator {:.1} us",
        a_scan(cpu.broker),
        a_scan(cpu.centre),
        a_scan(cpu.postgres),
        a_scan(cpu.generator)
    );
}

/// Live and catch-up beside COPY, interleaved three times.
async fn ratio(world: &World, crowd: &mut Crowd, whole: bool) {
    let (live_ticks, catch_ticks) = (30, 60);
    let (mut copies, mut lives, mut slow, mut cpu_live) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut catches: [(Vec<f64>, Vec<Cpu>); 2] = Default::default();
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

        if !whole {
            continue;
        }
        for (index, together) in TOGETHER.into_iter().enumerate() {
            let from = catch_from + SignedDuration::from_mins(4 * round + 2 * i64::try_from(index).unwrap());
            let scans = ticks(OUTLETS, from, catch_ticks, 10 + round.unsigned_abs());
            crowd.script(&scans, together, "backfill", |_| Duration::ZERO);
            world.settle().await;
            let before = world.cpu();
            let outcome = crowd.run(Pace::Full { window: 32 / together }).await;
            let of_size = &mut catches[index];
            of_size.1.push(world.cpu().since(before));
            of_size.0.push(speed(scans.len(), &outcome));
            println!(
                "  round {round}: catch-up, {together} a message, {:.0} readings/s",
                of_size.0.last().unwrap()
            );
        }
    }
    let reference = median(&copies);
    tell("copy_narrow", reference, "readings/s", Goal::None);
    tell_beside("ingest_live", median(&lives), "readings/s", reference, Goal::AtLeast(1.5));
    tell("receipt_p99_ms_full", median(&slow), "ms", Goal::AtMost(200.0));
    let live = (OUTLETS * live_ticks * 16) as f64;
    tell_cpu("live", cpu_live[1], live);
    if !whole {
        return;
    }
    let [few, many] = &catches;
    tell_beside("ingest_catchup_8_a_message", median(&few.0), "readings/s", reference, Goal::None);
    tell_beside("ingest_catchup", median(&many.0), "readings/s", reference, Goal::AtLeast(3.0));
    tell_cpu("catchup", many.1[1], (OUTLETS * catch_ticks * 16) as f64);
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

/// The latencies from the tick of a scan to the webhook, milliseconds, sorted: the wait for the poll is not in them.
fn to_webhook(alerts: &[(Timestamp, serde_json::Value)]) -> Vec<f64> {
    let of_alert = |(at, body): &(Timestamp, serde_json::Value)| {
        let tick: Timestamp = body["started_at"].as_str()?.parse().ok()?;
        Some(at.duration_since(tick).as_secs_f64() * 1e3)
    };
    let mut all: Vec<f64> = alerts.iter().filter_map(of_alert).collect();
    all.sort_by(f64::total_cmp);
    all
}

/// From a register to the webhook while a province sends at its pace, then while four hundred gateways send their past as well.
async fn webhook(world: &World, crowd: &mut Crowd) {
    let registers = Registers::start(world).await;
    world.settle().await;
    let half = REGISTERS / 2;
    let raising = registers.raise(0..half, Duration::from_secs(40));
    let (outcome, ()) = tokio::join!(at_pace(crowd, 25, Duration::from_secs(2), 30), raising);
    let told = to_webhook(&world.told("early-warning", half).await);
    tell("webhook_p50_ms_40k", percentile(&told, 50), "ms", Goal::None);
    tell("webhook_p99_ms_40k", percentile(&told, 99), "ms", Goal::AtMost(250.0));
    tell("receipt_p99_ms_40k_with_alerts", percentile(&outcome.latencies, 99), "ms", Goal::None);

    // Four hundred come back with the past of three hours, as fast as they may; the others send what they measure.
    let mut back = crowd.split_off(GATEWAYS - 400);
    let past = ticks(OUTLETS, ago(400), 120, 31);
    back.script(&past, TOGETHER[0], "backfill", |_| Duration::ZERO);
    let live = async {
        let raising = registers.raise(half..REGISTERS, Duration::from_secs(20));
        tokio::join!(at_pace(crowd, 15, Duration::from_secs(2), 32), raising).0
    };
    let (storm, live) = tokio::join!(back.run(Pace::Full { window: 3 }), live);
    let told = to_webhook(&world.told("early-warning", REGISTERS - half).await);
    tell("webhook_p99_ms_storm", percentile(&told, 99), "ms", Goal::AtMost(2000.0));
    tell("receipt_p99_ms_storm_live", percentile(&live.latencies, 99), "ms", Goal::None);
    tell("storm_readings_per_s", speed(storm.messages * TOGETHER[0], &storm), "readings/s", Goal::None);
    crowd.join(back);
    registers.stop();
}

/// Seven days of one gateway, from its spool to the last row, alone and beside live data.
async fn backfill(world: &World, crowd: &mut Crowd) {
    world.settle().await;
    let gateway = week::Gateway::fill(world, &plant::gateway(GATEWAYS), 0);
    let stored = || world.metric("cems_central_scans_stored_total");
    let (before, started) = (stored().await, clock::monotonic());
    let running = gateway.start();
    while stored().await - before < week::SCANS {
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(started.elapsed() < Duration::from_mins(5), "the backfill does not end");
    }
    let took = started.elapsed().as_secs_f64();
    tell("backfill_7d_s", took, "s", Goal::AtMost(30.0));
    tell("backfill_7d_readings_per_s", week::SCANS * 16.0 / took, "readings/s", Goal::None);
    tell("gateway_rss_mb_backfill", memory(running.pid(), "VmHWM"), "MiB", Goal::None);
    drop(running);
    world.settle().await;

    let gateway = week::Gateway::fill(world, &plant::gateway(GATEWAYS), 1);
    let before = stored().await;
    let running = gateway.start();
    let outcome = at_pace(crowd, 12, Duration::from_secs(2), 40).await;
    let live = (outcome.messages) as f64;
    println!("  meanwhile {:.0} scans of the past were stored", stored().await - before - live);
    tell("receipt_p99_ms_40k_beside_backfill", percentile(&outcome.latencies, 99), "ms", Goal::None);
    drop(running);
}

/// Live ingest and memory with plants of other sizes.
async fn growth() {
    for outlets in [100, 1000] {
        let gateways = outlets.min(GATEWAYS);
        let world = World::start(plant::document(outlets, gateways)).await;
        let mut crowd = Crowd::connect(world.broker(), gateways).await;
        let count = 100_000 / outlets;
        let scans = ticks(outlets, ago(12 + i64::try_from(count).unwrap() / 30), count, 50);
        crowd.script(&scans, 1, "live", |_| Duration::ZERO);
        world.settle().await;
        let window = WINDOW * GATEWAYS / gateways;
        let outcome = crowd.run(Pace::Full { window }).await;
        tell(
            &format!("ingest_live_{outlets}_outlets"),
            speed(scans.len(), &outcome),
            "readings/s",
            Goal::None,
        );
        if outlets == 1000 {
            let before = memory(world.centre(), "VmHWM");
            tell("centre_rss_mb", before, "MiB", Goal::AtMost(64.0));
        }
        drop(crowd);
        world.stop().await;
    }
}

#[tokio::main]
async fn main() {
    println!(
        "ingest: {} processors, {OUTLETS} outlets x 16 channels behind {GATEWAYS} gateways",
        processors()
    );
    let document = plant::document_with(OUTLETS, GATEWAYS, REGISTERS);
    let world = World::start(document).await;
    tell("centre_rss_mb_at_start", memory(world.centre(), "VmRSS"), "MiB", Goal::None);
    let mut crowd = Crowd::connect(world.broker(), GATEWAYS).await;
    if wants("ratio") || wants("live") {
        ratio(&world, &mut crowd, wants("ratio")).await;
    }
    if wants("pace") {
        pace(&world, &mut crowd).await;
    }
    if wants("webhook") {
        webhook(&world, &mut crowd).await;
    }
    if wants("alerts") {
        alerts::alerts(&world).await;
    }
    if wants("backfill") {
        backfill(&world, &mut crowd).await;
    }
    tell("centre_rss_mb_5000_outlets", memory(world.centre(), "VmHWM"), "MiB", Goal::AtMost(150.0));
    tell("broker_rss_mb", memory(world.servers.mosquitto.pid().unwrap(), "VmHWM"), "MiB", Goal::None);
    tell("postgres_pss_mb", memory_of_family(world.servers.postgres.pid().unwrap()), "MiB", Goal::None);
    println!(
        "  {:.0} messages found no room in the centre",
        world.metric("cems_central_messages_left_out_total").await
    );
    drop(crowd);
    world.stop().await;
    if wants("growth") {
        growth().await;
    }
    table();
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(0, usize::from)
}
