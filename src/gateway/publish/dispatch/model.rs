//! The receipt protocol as a model: the real `Dispatch`, receipts and announcements as they really travel, a spool in memory,
//! a broker that loses, repeats, delays and reorders everything, and two centres that crash between COMMIT and receipt.
//! Virtual time. The promises of docs/protocol.md that concern a gateway are asserted at every step.
use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::gateway::publish::incoming::{Incoming, announcement, receipt};
use crate::mqtt::receipt::Receipt;
use crate::mqtt::record::Epoch;
use crate::mqtt::status::CentralStatus;

const RULES: Publish =
    Publish { receipt_timeout: Duration::from_secs(5), backfill_records_per_s: 200, window: 400 };
const STEP_MS: u64 = 50;
/// Faults go on for so long; then there is peace until all must be stored.
const STORM_MS: u64 = 10 * 60_000;
const PEACE_MS: u64 = 9 * 60_000;
const GATEWAY: &str = "gw-model";

/// What travels through the broker.
#[derive(Debug, Clone)]
enum Packet {
    Records { epoch: Epoch, first: u64, lines: Vec<Vec<u8>> },
    Receipt(Vec<u8>),
    Announcement(String),
}

/// How bad the world is, in thousandths.
#[derive(Debug, Clone, Copy)]
struct Faults {
    lost: u64,
    repeated: u64,
    delay_ms: u64,
    /// Each step: connection lost, gateway killed, spool lost, centre killed.
    broken: u64,
    crash: u64,
    /// A centre dies between COMMIT and receipt.
    before_receipt: u64,
    /// A message is kept in quarantine.
    quarantined: u64,
}

const PEACE: Faults =
    Faults { lost: 0, repeated: 0, delay_ms: 20, broken: 0, crash: 0, before_receipt: 0, quarantined: 0 };

struct Centre {
    back_at: u64,
    starts: u32,
}

struct World {
    random: fastrand::Rng,
    origin: Instant,
    now: u64,
    faults: Faults,
    dispatch: Dispatch,
    epoch: Epoch,
    next: u64,
    spool: BTreeMap<u64, Vec<u8>>,
    connected: bool,
    connect_at: u64,
    /// Arrival time and a number that tells equals apart.
    pipe: BTreeMap<(u64, u64), Packet>,
    packets: u64,
    centres: [Centre; 2],
    /// What the centres share: the database.
    stored: BTreeMap<(Epoch, u64), Vec<u8>>,
    /// All that was ever made.
    made: BTreeMap<(Epoch, u64), Vec<u8>>,
    /// Lost with a spool before it was stored; what was on its way then may still come.
    lost: BTreeSet<(Epoch, u64)>,
    /// How often each record was sent since the last event that makes all go again.
    sends: BTreeMap<u64, u32>,
    /// Starts of centres that this run of the gateway has heard of.
    heard: BTreeSet<String>,
    backfilled: Vec<(u64, u64)>,
    live_refused: u64,
}

impl World {
    fn new(seed: u64) -> World {
        let origin = crate::clock::monotonic();
        let mut random = fastrand::Rng::with_seed(seed);
        let faults = Faults {
            lost: random.u64(0..400),
            repeated: random.u64(0..300),
            delay_ms: random.u64(1..8000),
            broken: random.u64(0..4),
            crash: random.u64(0..2),
            before_receipt: random.u64(0..100),
            quarantined: random.u64(0..50),
        };
        let dispatch = Dispatch::new(RULES, origin, random.fork());
        let epoch = Epoch::new();
        World {
            random,
            origin,
            now: 0,
            faults,
            dispatch,
            epoch,
            next: 0,
            spool: BTreeMap::new(),
            connected: false,
            connect_at: 0,
            pipe: BTreeMap::new(),
            packets: 0,
            centres: [Centre { back_at: 0, starts: 1 }, Centre { back_at: 0, starts: 1 }],
            stored: BTreeMap::new(),
            made: BTreeMap::new(),
            lost: BTreeSet::new(),
            sends: BTreeMap::new(),
            heard: BTreeSet::new(),
            backfilled: Vec::new(),
            live_refused: 0,
        }
    }

    fn time(&self) -> Instant {
        self.origin + Duration::from_millis(self.now)
    }

    fn happens(&mut self, thousandths: u64) -> bool {
        self.random.u64(0..1000) < thousandths
    }

    /// Into the broker: lost, or there after a while, perhaps twice, in any order.
    fn send(&mut self, packet: &Packet) {
        let copies = 1 + u64::from(self.happens(self.faults.repeated));
        for _copy in 0..copies {
            if !self.happens(self.faults.lost) {
                let at = self.now + self.random.u64(1..=self.faults.delay_ms);
                self.packets += 1;
                self.pipe.insert((at, self.packets), packet.clone());
            }
        }
    }

    fn publish(&mut self, first: u64, last: u64) {
        let lines: Vec<Vec<u8>> = self.spool.range(first..=last).map(|(_, line)| line.clone()).collect();
        assert_eq!(lines.len() as u64, last - first + 1, "an unbroken run that is in the spool");
        for seq in first..=last {
            let tries = self.sends.entry(seq).or_default();
            *tries += 1;
            // 20 minutes of doubling waits, each half of itself at least.
            assert!(
                self.now > STORM_MS + PEACE_MS || *tries <= 14,
                "record {seq} goes for the {tries}th time"
            );
        }
        self.send(&Packet::Records { epoch: self.epoch, first, lines });
    }

    fn make(&mut self, count: u64) -> (u64, u64) {
        let first = self.next;
        for seq in first..first + count {
            let line = format!("{} {seq} {}", self.epoch, self.random.u64(..)).into_bytes();
            self.spool.insert(seq, line.clone());
            self.made.insert((self.epoch, seq), line);
        }
        self.next += count;
        (first, self.next - 1)
    }

    /// All goes again from here on, so the count of tries begins again.
    fn fresh_start(&mut self) {
        self.sends.clear();
    }

    fn gateway(&mut self) {
        if self.connected && self.happens(self.faults.broken) {
            self.connected = false;
            self.connect_at = self.now + self.random.u64(0..20_000);
            self.dispatch.disconnected(self.time());
        }
        if !self.connected && self.now >= self.connect_at {
            self.connected = true;
            self.dispatch.connected(self.time());
            self.fresh_start();
        }
        let killed = self.happens(self.faults.crash);
        if killed {
            if self.random.u8(0..4) == 0 {
                // The disk is gone: what nobody had stored is lost, and the next spool has an epoch of its own.
                self.lost.extend(std::mem::take(&mut self.spool).into_keys().map(|seq| (self.epoch, seq)));
                (self.epoch, self.next) = (Epoch::new(), 0);
            }
            let random = self.random.fork();
            self.dispatch = Dispatch::new(RULES, self.time(), random);
            let held = Ranges::of(self.spool.keys().copied());
            self.dispatch.opened(self.time(), &held);
            (self.connected, self.connect_at) = (false, self.now + 500);
            self.heard.clear();
            self.fresh_start();
        }
        if self.now.is_multiple_of(1000) {
            let count = self.random.u64(1..3);
            let (first, last) = self.make(count);
            if self.dispatch.fresh(self.time(), first, last) {
                self.publish(first, last);
            } else if self.connected {
                self.live_refused += 1;
            }
        }
        self.backfill();
    }

    fn backfill(&mut self) {
        for turn in 0.. {
            assert!(turn < 1000, "backfill does not come to an end");
            let Next::Backfill { within, most } = self.dispatch.next(self.time()) else { break };
            let run: Vec<u64> =
                self.spool.range(within.0..=within.1).rev().map(|(seq, _)| *seq).take(most.min(64)).collect();
            let newest = run.first().copied();
            let unbroken = run.windows(2).take_while(|pair| pair[0] == pair[1] + 1).count();
            let run = newest.map(|last| (last - unbroken as u64, last));
            if let Some((first, last)) = run {
                self.publish(first, last);
                self.backfilled.push((self.now, last - first + 1));
            }
            self.dispatch.sent(self.time(), within, run);
        }
        let in_flight = self.dispatch.records_under_way();
        assert!(in_flight <= 2 * u64::from(RULES.window), "{in_flight} under way");
        let recent = self.backfilled.iter().rev().take_while(|(at, _)| at + 1000 > self.now);
        let rate: u64 = recent.map(|(_, count)| count).sum();
        let cap = u64::from(RULES.backfill_records_per_s);
        assert!(rate <= cap + cap / 5, "{rate} records of backfill in a second");
    }

    fn deliver(&mut self) {
        while let Some(entry) = self.pipe.first_entry().filter(|entry| entry.key().0 <= self.now) {
            match entry.remove() {
                Packet::Records { epoch, first, lines } => self.at_a_centre(epoch, first, &lines),
                Packet::Receipt(payload) if self.connected => {
                    let me = (GATEWAY, Some(self.epoch));
                    let now = self.time();
                    if let Incoming::Settled(settled) = receipt(&mut self.dispatch, now, me, &payload) {
                        self.delete(&settled);
                    }
                }
                Packet::Announcement(start) if self.connected => self.hear(start),
                Packet::Receipt(_) | Packet::Announcement(_) => {}
            }
        }
    }

    /// A new start makes all go again, a repeated one nothing.
    fn hear(&mut self, start: String) {
        let (now, before) = (self.time(), self.dispatch.records_under_way());
        let status = CentralStatus { v: 1, online: true, start: start.clone(), version: String::new() };
        let payload = serde_json::to_vec(&status).unwrap();
        assert_eq!(announcement(&mut self.dispatch, now, &payload), Incoming::Nothing);
        let new = self.heard.insert(start);
        assert_eq!(self.dispatch.records_under_way(), if new { 0 } else { before });
        if new {
            self.fresh_start();
        }
    }

    fn delete(&mut self, settled: &Ranges) {
        for (first, last) in settled.iter() {
            for seq in first..=last {
                let line = self.spool.remove(&seq).expect("settled once only");
                let kept = self.stored.get(&(self.epoch, seq));
                assert_eq!(kept, Some(&line), "record {seq} is deleted and was not stored");
            }
        }
    }

    /// Any living centre may take any message.
    fn at_a_centre(&mut self, epoch: Epoch, first: u64, lines: &[Vec<u8>]) {
        let which = self.random.usize(0..2);
        if self.centres[which].back_at > self.now {
            return;
        }
        for (seq, line) in (first..).zip(lines) {
            let stored = self.stored.entry((epoch, seq)).or_insert_with(|| line.clone());
            assert_eq!(stored, line, "a resend is bit-identical");
        }
        if self.happens(self.faults.before_receipt) {
            self.centres[which].back_at = self.now + self.random.u64(100..20_000);
            return;
        }
        let all = Ranges::from_pairs([(first, first + lines.len() as u64 - 1)]);
        let (stored, kept) = if self.happens(self.faults.quarantined) {
            (Ranges::default(), all.clone())
        } else {
            (all.clone(), Ranges::default())
        };
        let sound = Receipt::new(GATEWAY, epoch, stored, kept);
        self.send(&Packet::Receipt(sound.encode().unwrap()));
        // What must change nothing: of another gateway, of an epoch that never was, of what is not made yet, no receipt.
        let everything = Ranges::from_pairs([(0, u64::MAX)]);
        let beyond = Ranges::from_pairs([(self.next, u64::MAX)]);
        let wrong = [
            Receipt::new("gw-other", epoch, everything.clone(), Ranges::default()),
            Receipt::new(GATEWAY, Epoch(uuid::Uuid::nil()), everything, all),
            Receipt::new(GATEWAY, self.epoch, beyond, Ranges::default()),
        ];
        let pick = self.random.usize(0..8);
        if let Some(wrong) = wrong.get(pick).filter(|_| self.faults.lost > 0) {
            let payload = wrong.encode().unwrap();
            if pick < 2 {
                self.send(&Packet::Receipt(payload));
            } else if self.connected {
                let now = self.time();
                let me = (GATEWAY, Some(self.epoch));
                assert_eq!(receipt(&mut self.dispatch, now, me, &payload), Incoming::Nothing);
            }
        }
    }

    fn centres(&mut self) {
        for which in 0..2 {
            let centre = &mut self.centres[which];
            if centre.back_at > 0 && centre.back_at <= self.now {
                centre.back_at = 0;
                centre.starts += 1;
            } else if !self.now.is_multiple_of(30_000) {
                continue;
            }
            // Said at a start, and again later: a repeat changes nothing.
            let start = format!("centre-{which}-{}", centre.starts);
            self.send(&Packet::Announcement(start));
        }
    }

    fn run(&mut self, until: u64) {
        while self.now < until {
            self.now += STEP_MS;
            self.deliver();
            self.centres();
            self.gateway();
        }
    }
}

fn seeds() -> u64 {
    std::env::var("CEMS_MODEL_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(24)
}

#[test]
fn whatever_fails_all_is_stored_once_and_nothing_is_deleted_before() {
    for seed in 0..seeds() {
        println!("seed {seed}");
        let mut world = World::new(seed);
        let past = world.random.u64(0..5000);
        world.make(past);
        world.dispatch.opened(world.origin, &Ranges::of(world.spool.keys().copied()));
        world.run(STORM_MS);
        world.faults = PEACE;
        world.centres.iter_mut().for_each(|centre| centre.back_at = centre.back_at.min(STORM_MS + 1));
        world.run(STORM_MS + PEACE_MS);
        // What was made in the last moments may be under way.
        let left = world.spool.len();
        assert!(left <= 4, "{left} records are left in the spool");
        world.stored.extend(world.spool.iter().map(|(seq, line)| ((world.epoch, *seq), line.clone())));
        let missing =
            world.made.keys().find(|key| !world.lost.contains(key) && !world.stored.contains_key(key));
        assert_eq!(missing, None, "made, not lost with its spool, and not stored");
        let invented = world.stored.iter().find(|(key, line)| world.made.get(key) != Some(line));
        assert_eq!(invented, None, "stored and never made so");
        assert_eq!(world.live_refused, 0, "fresh records went at once whenever there was a connection");
    }
}

#[test]
fn a_record_that_nobody_receipts_is_sent_ever_more_seldom() {
    let mut world = World::new(7);
    world.faults = Faults { lost: 1000, ..PEACE };
    world.make(300);
    world.dispatch.opened(world.origin, &Ranges::of(world.spool.keys().copied()));
    world.run(60 * 60_000);
    let most = world.sends.values().max().copied().unwrap_or_default();
    // 5, 10, 20 … 300 s apart on the average, with jitter half of it at least: in an hour some thirty tries at most.
    assert!(most <= 32, "{most} tries of one record within an hour");
    let all: u64 = world.sends.values().map(|count| u64::from(*count)).sum();
    assert!(all <= world.made.len() as u64 * 12, "{all} sends of {} records", world.made.len());
}

#[test]
fn live_goes_at_once_while_a_large_past_is_sent() {
    let mut world = World::new(3);
    world.faults = PEACE;
    world.make(60_000);
    world.dispatch.opened(world.origin, &Ranges::of(world.spool.keys().copied()));
    let start = world.now;
    while world.spool.len() > 10 {
        world.run(world.now + 1000);
        assert!(world.now < start + 330_000, "{} records are left: the rate is not used", world.spool.len());
        // All that was made more than two seconds ago and after the start is receipted, however much waits.
        let late = world.spool.range(60_000..).filter(|(seq, _)| **seq + 8 < world.next).count();
        assert_eq!(late, 0, "live records wait behind backfill");
    }
    assert_eq!(world.live_refused, 0);
}
