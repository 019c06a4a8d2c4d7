//! `make torture SEEDS=n`: every fault of the harness many times, at moments that the seed says. One line a fault; exit code 1 when any of them
//! is not clean. It runs servers of its own and prints what it does as it goes.
#![allow(
    dead_code,
    clippy::float_cmp,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "a test that meets the unexpected is to fail loudly; the support of the other tests is used in part"
)]

/// Databases, servers and waiting.
#[path = "../it/support/mod.rs"]
mod support;

/// The harness.
#[path = "mod.rs"]
mod harness;

use std::future::Future;
use std::process::ExitCode;

use harness::account::{Line, heading};
use harness::clock_step;
use harness::edits::superuser_edits;
use harness::faults::{
    Between, bad_line, broker_quota, broker_wipes, duplicates_and_shuffles, gateway_stopped,
    killed_before_the_receipt, kills, power_cuts,
};
use harness::proxy::Mode;
use harness::store_faults::{disk_full, hung, read_only, slow};
use harness::world::{Options, World};

/// In all seeds together.
const KILLS: usize = 100;
const POWER_CUTS: usize = 20;
const BROKER_WIPES: usize = 20;
const EDITS: usize = 20;
/// Of three outlets each: with 24 readings a second a copy.
const COPIES: usize = 8;

/// The lines so far, each fault once.
#[derive(Default)]
struct Table(Vec<Line>);

impl Table {
    fn add(&mut self, line: &Line) {
        println!("{line}");
        match self.0.iter_mut().find(|known| known.fault == line.fault) {
            Some(known) => join(known, line),
            None => self.0.push(line.clone()),
        }
    }

    fn add_all(&mut self, lines: &[Line]) {
        for line in lines {
            self.add(line);
        }
    }
}

/// Adds what another seed found.
fn join(line: &mut Line, other: &Line) {
    line.injected += other.injected;
    line.served += other.served;
    line.lost += other.lost;
    line.duplicated += other.duplicated;
    line.altered += other.altered;
    line.invented += other.invented;
    line.not_durable += other.not_durable;
    line.recovery.extend(&other.recovery);
    line.wrong.extend(other.wrong.iter().cloned());
}

/// What one seed has to do.
#[derive(Debug, Clone, Copy)]
struct Share {
    seed: u64,
    seeds: usize,
    copies: usize,
}

impl Share {
    fn of(self, all: usize) -> usize {
        all.div_ceil(self.seeds)
    }

    fn dice(self) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.seed)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let number = |name: &str, default: usize| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default).max(1)
    };
    let (seeds, first) = (number("SEEDS", 1), number("FIRST_SEED", 1));
    let only = std::env::var("ONLY").unwrap_or_default();
    let started = cems::clock::monotonic();
    let mut table = Table::default();
    for seed in first..first + seeds {
        let share = Share { seed: seed as u64, seeds, copies: number("COPIES", COPIES) };
        println!("torture: seed {seed}\n{}", heading());
        part(&mut table, "kills", &only, everything(share)).await;
        part(&mut table, "lines", &only, lines(share)).await;
        part(&mut table, "power cuts", &only, cuts(share)).await;
        part(&mut table, "full disk", &only, full(share)).await;
        part(&mut table, "broker's quota", &only, quota(share)).await;
        part(&mut table, "clock", &only, clock(share)).await;
    }
    let minutes = started.elapsed().as_secs() / 60;
    println!(
        "\ntorture: {seeds} seeds from {first}, {minutes} minutes. Recovery: median and longest, seconds\n{}",
        heading()
    );
    table.0.iter().for_each(|line| println!("{line}"));
    let unclean = table.0.iter().filter(|line| !line.is_clean()).count();
    println!(
        "torture: {}",
        if unclean == 0 { "all clean".to_owned() } else { format!("{unclean} faults are not clean") }
    );
    ExitCode::from(u8::from(unclean > 0))
}

/// Runs one part in a world of its own; what breaks it off is a line too.
async fn part(
    table: &mut Table,
    name: &str,
    only: &str,
    work: impl Future<Output = Vec<Line>> + Send + 'static,
) {
    if !name.contains(only) {
        return;
    }
    // Not on a thread of the runtime: the faults wait for programs, and the analysers must answer meanwhile.
    let here = tokio::runtime::Handle::current();
    match tokio::task::spawn_blocking(move || here.block_on(work)).await {
        Ok(lines) => table.add_all(&lines),
        Err(broken) => {
            let panic = broken.into_panic();
            let text = panic.downcast_ref::<String>().map_or("it broke off", String::as_str);
            let mut line = Line::of(name);
            line.wrong.push(text.to_owned());
            table.add(&line);
        }
    }
}

/// Two centres, all four kinds of process killed, the broker wiped, messages repeated; verified, and edited.
async fn everything(share: Share) -> Vec<Line> {
    let options = Options { copies: share.copies, centres: 2, ..Options::default() };
    let (mut world, mut dice) = (World::start(options).await.unwrap(), share.dice());
    let mut lines = kills(&mut world, &mut dice, share.of(KILLS)).await;
    lines.push(broker_wipes(&mut world, &mut dice, share.of(BROKER_WIPES)).await);
    lines.push(duplicates_and_shuffles(&mut world, &mut dice, 3).await);
    lines.push(killed_before_the_receipt(&mut world, 3).await);
    lines.push(gateway_stopped(&mut world, 20).await);
    lines.push(world.at_rest().await);
    lines.push(superuser_edits(&world, &mut dice, share.of(EDITS)).await);
    lines
}

/// Every line in every mode, and the database's own faults.
async fn lines(share: Share) -> Vec<Line> {
    let options = Options { copies: share.copies, centres: 2, ..Options::default() };
    let (mut world, mut dice) = (World::start(options).await.unwrap(), share.dice());
    let mut lines = Vec::new();
    for between in [Between::GatewaysAndBroker, Between::CentresAndBroker, Between::CentresAndDatabase] {
        for (mode, seconds) in
            [(Mode::Silent, 20), (Mode::Refuse, 10), (Mode::Trickle, 10), (Mode::HoldOutgoing, 10)]
        {
            lines.push(bad_line(&mut world, between, mode, seconds).await);
        }
    }
    lines.push(hung(&mut world, 20).await);
    lines.push(slow(&mut world, &mut dice, 30).await);
    lines.push(read_only(&mut world, 10).await);
    lines.push(world.at_rest().await);
    lines
}

async fn cuts(share: Share) -> Vec<Line> {
    let options = Options { copies: share.copies, spool_disk: true, ..Options::default() };
    let Some(mut world) = World::start(options).await else { return Vec::new() };
    let line = power_cuts(&mut world, &mut share.dice(), share.of(POWER_CUTS)).await;
    vec![line, world.at_rest().await]
}

async fn full(share: Share) -> Vec<Line> {
    let options = Options { copies: share.copies, database_disk: true, ..Options::default() };
    let Some(mut world) = World::start(options).await else { return Vec::new() };
    let line = disk_full(&mut world, 10).await;
    vec![line, world.at_rest().await]
}

async fn quota(share: Share) -> Vec<Line> {
    let options = Options { copies: share.copies, queued: 100, ..Options::default() };
    let mut world = World::start(options).await.unwrap();
    let line = broker_quota(&mut world, &mut share.dice()).await;
    vec![line, world.at_rest().await]
}

async fn clock(share: Share) -> Vec<Line> {
    if clock_step::library().is_none() {
        return Vec::new();
    }
    let options = Options { copies: share.copies, clock: true, ..Options::default() };
    let mut world = World::start(options).await.unwrap();
    let mut line = clock_step::steps(&mut world, 10).await;
    line.wrong.extend(world.verified().await);
    vec![line]
}
