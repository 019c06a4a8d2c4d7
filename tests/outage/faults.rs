//! Each fault: injected at a random moment under load, taken back, recovered from, accounted for.

use std::time::Duration;

use rustix::process::Signal;

use crate::harness::account::{Line, PowerLoss};
use crate::harness::proxy::Mode;
use crate::harness::world::{LIMIT, World, microseconds, moment, second};
use crate::support::wait::wait_until;

/// What can be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Gateway,
    Broker,
    Centre,
    Database,
}

pub const PARTS: [Part; 4] = [Part::Gateway, Part::Broker, Part::Centre, Part::Database];

impl Part {
    fn name(self) -> &'static str {
        match self {
            Part::Gateway => "kill -9 of a gateway",
            Part::Broker => "kill -9 of the broker",
            Part::Centre => "kill -9 of a centre",
            Part::Database => "kill -9 of PostgreSQL and its sessions",
        }
    }
}

/// A random time up to this many milliseconds.
fn up_to(dice: &mut fastrand::Rng, milliseconds: u64) -> Duration {
    Duration::from_millis(dice.u64(0..=milliseconds))
}

impl World {
    /// Kills one of the kind; says which.
    pub async fn kill(&mut self, part: Part, dice: &mut fastrand::Rng) -> usize {
        match part {
            Part::Gateway => {
                let index = dice.usize(0..self.gateways.len());
                self.kill_gateway(index, None);
                index
            }
            Part::Broker => {
                self.broker.kill();
                0
            }
            Part::Centre => {
                let index = dice.usize(0..self.centres.len());
                self.centres[index].process.kill();
                index
            }
            Part::Database => {
                self.postgres.kill().await;
                0
            }
        }
    }

    /// `powerless_since`: its disk took nothing from this moment on.
    fn kill_gateway(&mut self, index: usize, powerless_since: Option<i64>) {
        let at = powerless_since.unwrap_or_else(microseconds);
        let gateway = &mut self.gateways[index];
        gateway.process.kill();
        let outlets = gateway.outlets.clone();
        self.power_losses.push(PowerLoss { outlets, at, over: i64::MAX });
    }

    fn start_gateway(&mut self, index: usize) {
        let gateway = &mut self.gateways[index];
        let ended = self.power_losses.iter_mut().rev().find(|loss| loss.outlets == gateway.outlets);
        if let Some(loss) = ended {
            // It never scans the second in which it starts; until then an analyser may answer what the dead one had asked.
            loss.over = (microseconds() / 1_000_000 + 1) * 1_000_000;
        }
        gateway.process.start();
    }

    /// Starts again what was killed.
    pub async fn start_again(&mut self, part: Part, index: usize) {
        match part {
            Part::Gateway => self.start_gateway(index),
            Part::Broker => self.broker.start_again().await,
            Part::Centre => self.centres[index].process.start(),
            Part::Database => self.postgres.restart().await.unwrap(),
        }
    }

    /// The lines of all gateways to the broker, of all centres to the broker, or of all centres to the database.
    pub fn set_lines(&self, between: Between, mode: Mode) {
        match between {
            Between::GatewaysAndBroker => {
                self.gateways.iter().for_each(|gateway| gateway.to_broker.set(mode));
            }
            Between::CentresAndBroker => self.centres.iter().for_each(|centre| centre.to_broker.set(mode)),
            Between::CentresAndDatabase => {
                self.centres.iter().for_each(|centre| centre.to_database.set(mode));
            }
        }
    }

    fn signal_centres(&self, signal: Signal) {
        self.centres.iter().for_each(|centre| centre.process.signal(signal));
    }
}

/// Kills `count` times, each part as often as the others; now and then two at once. One line a part.
pub async fn kills(world: &mut World, dice: &mut fastrand::Rng, count: usize) -> Vec<Line> {
    let mut lines = PARTS.map(|part| Line::of(part.name()));
    let mut order: Vec<usize> = (0..count).map(|number| number % PARTS.len()).collect();
    dice.shuffle(&mut order);
    let mut order = order.into_iter().peekable();
    let mut number = 0;
    while let Some(first) = order.next() {
        let together = dice.u8(0..5) == 0;
        let second = order.next_if(|second| together && *second != first);
        moment(up_to(dice, 2500)).await;
        let mut down = Vec::new();
        for which in [Some(first), second].into_iter().flatten() {
            if PARTS[which] == Part::Gateway && dice.bool() {
                // While a poll is under way, which is a small part of each second.
                let into = (microseconds() % 1_000_000).unsigned_abs();
                moment(Duration::from_micros(1_000_000 - into + dice.u64(0..60_000))).await;
            }
            down.push((which, world.kill(PARTS[which], dice).await));
            moment(up_to(dice, 300)).await;
        }
        moment(up_to(dice, 1500)).await;
        for (which, index) in &down {
            world.start_again(PARTS[*which], *index).await;
        }
        let back = microseconds();
        for (which, index) in down {
            let only = (PARTS[which] == Part::Gateway).then_some(index);
            let took = world.stored_after(back, only).await;
            lines[which].injected(took);
            number += 1;
            println!("kill {number} of {count}: {:?}, readings again after {took:.1} s", PARTS[which]);
        }
        world.account(&mut lines[first]).await;
    }
    lines.into()
}

/// The broker dies and its files are deleted, every other time full of messages that it had acknowledged and not delivered.
pub async fn broker_wipes(world: &mut World, dice: &mut fastrand::Rng, count: usize) -> Line {
    let mut line = Line::of("broker killed and its files deleted");
    for number in 0..count {
        // Its file is written once a second.
        moment(Duration::from_millis(1200) + up_to(dice, 1500)).await;
        let full = number % 2 == 0;
        if full {
            world.signal_centres(Signal::STOP);
            moment(Duration::from_millis(1500) + up_to(dice, 1500)).await;
        }
        world.broker.kill();
        let files = world.broker.wipe();
        world.signal_centres(Signal::CONT);
        world.broker.start_again().await;
        let took = world.stored_after(microseconds(), None).await;
        line.injected(took);
        println!("broker wipe {} of {count}: {files} files, readings again after {took:.1} s", number + 1);
        world.account(&mut line).await;
    }
    line
}

/// The broker's queue for the centre is too short, so that it drops messages that it has acknowledged. Needs a world with such a broker.
pub async fn broker_quota(world: &mut World, dice: &mut fastrand::Rng) -> Line {
    let mut line = Line::of("broker drops above its quota of messages");
    world.postgres.pause();
    // Copies fill the queue, and what is live behind them is dropped.
    for _ in 0..3 {
        let copies = world.spy.again(100, 10, dice).await;
        println!("{copies} copies into the broker's queue");
        moment(Duration::from_secs(2)).await;
    }
    world.postgres.resume();
    let took = world.stored_after(microseconds(), None).await;
    line.injected(took);
    if !world.broker.said().contains("being dropped") {
        line.wrong.push("the broker did not drop any message: nothing was tested".to_owned());
    }
    world.account(&mut line).await;
    line
}

/// Who is parted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Between {
    GatewaysAndBroker,
    CentresAndBroker,
    CentresAndDatabase,
}

/// A line does something else than to pass bytes for so many seconds.
pub async fn bad_line(world: &mut World, between: Between, mode: Mode, seconds: u64) -> Line {
    let parted = match between {
        Between::GatewaysAndBroker => "gateways-broker",
        Between::CentresAndBroker => "centres-broker",
        Between::CentresAndDatabase => "centres-PostgreSQL",
    };
    let what = match mode {
        Mode::Pass => "nothing",
        Mode::Silent => "half-open",
        Mode::Refuse => "refused",
        Mode::Trickle => "one byte a second",
        Mode::HoldOutgoing => "one direction held",
    };
    let mut line = Line::of(&format!("{parted}: {what} for {seconds} s"));
    world.set_lines(between, mode);
    moment(Duration::from_secs(seconds)).await;
    world.set_lines(between, Mode::Pass);
    let took = world.stored_after(microseconds(), None).await;
    line.injected(took);
    println!("{}: readings again after {took:.1} s", line.fault);
    world.account(&mut line).await;
    line
}

/// All centres die after the COMMIT of a record and before its receipt: it comes again to the bit, stays one row, and is receipted.
pub async fn killed_before_the_receipt(world: &mut World, times: usize) -> Line {
    let mut line = Line::of("centre killed between COMMIT and receipt");
    for _ in 0..times {
        // From here on no receipt reaches the broker.
        world.set_lines(Between::CentresAndBroker, Mode::HoldOutgoing);
        let from = microseconds();
        let sql = "SELECT encode(hash, 'hex') FROM scan WHERE measured_at > 'epoch'::timestamptz + $1::int8 * interval '1 microsecond' LIMIT 1";
        let client = world.client().await;
        let spy = &world.spy;
        // A tick of a second later: its receipt cannot have slipped through.
        let hash = wait_until(LIMIT, "a row", || async {
            let row = client.query_opt(sql, &[&(from + 1_000_000)]).await.unwrap();
            let hash = row.map(|row| row.get::<_, String>(0)).filter(|hash| spy.record(hash).is_some());
            hash.ok_or(())
        })
        .await;
        world.centres.iter_mut().for_each(|centre| centre.process.kill());
        // What they still held of their bytes dies with them.
        world.centres.iter().for_each(|centre| centre.to_broker.cut());
        world.set_lines(Between::CentresAndBroker, Mode::Pass);
        let (before, record) = world.spy.record(&hash).unwrap();
        if world.spy.receipted(&record) {
            line.wrong.push(format!("{hash} was receipted although no receipt could pass"));
        }
        world.centres.iter_mut().for_each(|centre| centre.process.start());
        let took = world.stored_after(microseconds(), None).await;
        line.injected(took);
        // From its gateway, or from the broker, which was never told that it had arrived.
        wait_until(LIMIT, "the record's receipt", || async {
            if world.spy.receipted(&record) { Ok(()) } else { Err(world.spy.record(&hash)) }
        })
        .await;
        let again = world.spy.record(&hash).map_or(0, |(times, _)| times) - before;
        println!("receipted by the next centre; its gateway sent it {again} times more");
        let rows: i64 = client
            .query_one("SELECT count(*) FROM scan WHERE encode(hash, 'hex') = $1", &[&hash])
            .await
            .unwrap()
            .get(0);
        if rows != 1 {
            line.wrong.push(format!("{hash} has {rows} rows"));
        }
        world.account(&mut line).await;
    }
    line
}

/// A gateway is stopped by SIGSTOP for a while: no reading is invented for that time, and none comes twice.
pub async fn gateway_stopped(world: &mut World, seconds: u64) -> Line {
    let mut line = Line::of(&format!("SIGSTOP of a gateway for {seconds} s"));
    let gateway = &world.gateways[0];
    gateway.process.signal(Signal::STOP);
    let from = second();
    moment(Duration::from_secs(seconds)).await;
    let until = second();
    gateway.process.signal(Signal::CONT);
    let took = world.stored_after(microseconds(), Some(0)).await;
    line.injected(took);
    let sql = "SELECT count(*) FROM scan s JOIN outlet o ON o.id = s.outlet_id WHERE o.code = ANY ($1) \
               AND extract(epoch FROM s.measured_at) > $2::int8::numeric AND extract(epoch FROM s.measured_at) < $3::int8::numeric";
    let rows =
        world.client().await.query_one(sql, &[&world.gateways[0].outlets, &from, &until]).await.unwrap();
    let rows: i64 = rows.get(0);
    if rows > 0 {
        line.wrong.push(format!("{rows} scans of a time in which nobody could scan"));
    }
    world.account(&mut line).await;
    line
}

/// Everything of the last seconds is said again several times, in any order, while the plant goes on.
pub async fn duplicates_and_shuffles(world: &mut World, dice: &mut fastrand::Rng, times: usize) -> Line {
    let mut line = Line::of("messages again, five times, shuffled");
    for _ in 0..times {
        let copies = world.spy.again(300, 5, dice).await;
        println!("{copies} copies");
        let took = world.stored_after(microseconds(), None).await;
        line.injected(took);
        world.account(&mut line).await;
    }
    line
}

/// The power of the first gateway's disk goes; the gateway with it. Every other time its spool holds what it could not send for
/// seconds. Needs a world with such a disk.
pub async fn power_cuts(world: &mut World, dice: &mut fastrand::Rng, count: usize) -> Line {
    let mut line = Line::of("power cut of a gateway's disk");
    for number in 0..count {
        if number % 2 == 1 {
            world.gateways[0].to_broker.set(Mode::Silent);
            moment(Duration::from_secs(2)).await;
        }
        moment(up_to(dice, 2500)).await;
        let disk = world.spool_disk.as_ref().expect("a world with a disk");
        let at = disk.cut_power();
        world.kill_gateway(0, Some(at));
        world.spool_disk.as_ref().unwrap().power_back().await;
        let before = line.not_durable;
        world.gateways[0].to_broker.cut();
        world.gateways[0].to_broker.set(Mode::Pass);
        world.start_gateway(0);
        let took = world.stored_after(microseconds(), Some(0)).await;
        line.injected(took);
        world.account(&mut line).await;
        let not_durable = line.not_durable - before;
        println!(
            "power cut {} of {count}: readings again after {took:.1} s, {not_durable} readings were not durable",
            number + 1
        );
    }
    line
}
