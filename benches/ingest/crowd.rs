//! A thousand gateways that make no trouble: one connection each, their messages made beforehand, receipts read. MQTT is written by hand
//! here, since a real gateway is another machine and the generator is to cost as little as it can.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use cems::clock::monotonic;
use cems::domain::plant::ChannelCode;
use cems::domain::scan::{Reading, Scan};
use cems::mqtt::receipt::Receipt;
use cems::mqtt::record::{Body, Epoch, Hash, Record};
use jiff::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::plant;

/// Nobody waits longer for a receipt.
const PATIENCE: Duration = Duration::from_mins(1);

/// One scan to be sent.
pub struct Tick {
    pub outlet: usize,
    pub at: Timestamp,
    pub readings: Vec<(ChannelCode, Reading)>,
}

/// One message, ready to be written.
struct Message {
    first: u64,
    last: u64,
    packet: Vec<u8>,
    /// Since the start of the run.
    due: Duration,
}

/// How a run sends.
#[derive(Clone, Copy)]
pub enum Pace {
    /// As fast as receipts allow, with at most so many messages of a gateway under way.
    Full { window: usize },
    /// By the clock.
    Timed,
}

/// One gateway with its connection.
pub struct Gateway {
    name: String,
    epoch: Epoch,
    seq: u64,
    prev: Hash,
    stream: TcpStream,
    buffer: Vec<u8>,
    script: Vec<Message>,
    packet_id: u16,
}

/// What a run took.
#[derive(Default)]
pub struct Outcome {
    /// Publish to receipt of each message, milliseconds, sorted.
    pub latencies: Vec<f64>,
    /// From the first message to the last receipt.
    pub took: Duration,
    pub messages: usize,
}

/// Gateways, and how many there are in the plant.
pub struct Crowd(Vec<Gateway>, usize);

fn variable(out: &mut Vec<u8>, mut number: usize) {
    loop {
        let low = u8::try_from(number % 128).unwrap();
        number /= 128;
        out.push(if number > 0 { low | 0x80 } else { low });
        if number == 0 {
            return;
        }
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&u16::try_from(text.len()).unwrap().to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    variable(&mut out, body.len());
    out.extend_from_slice(body);
    out
}

fn publish(topic: &str, id: u16, properties: &[(&str, String)], payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(payload.len() + 200);
    text(&mut body, topic);
    body.extend_from_slice(&id.to_be_bytes());
    let mut told = Vec::new();
    for (name, value) in properties {
        told.push(0x26);
        text(&mut told, name);
        text(&mut told, value);
    }
    variable(&mut body, told.len());
    body.extend_from_slice(&told);
    body.extend_from_slice(payload);
    packet(0x32, &body)
}

/// A number of seven bits a byte, and the bytes it took; nothing while it is not whole.
fn read_variable(bytes: &[u8]) -> Option<(usize, usize)> {
    let (mut number, mut shift) = (0, 0);
    for (index, byte) in bytes.iter().take(4).enumerate() {
        number |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return Some((number, index + 1));
        }
    }
    None
}

impl Gateway {
    async fn connect(port: u16, number: usize) -> Gateway {
        let name = plant::gateway(number);
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut body = Vec::new();
        text(&mut body, "MQTT");
        // Version 5, clean start, no keep-alive, no properties.
        body.extend_from_slice(&[5, 2, 0, 0, 0]);
        text(&mut body, &name);
        stream.write_all(&packet(0x10, &body)).await.unwrap();
        let mut body = vec![0, 1, 0];
        text(&mut body, &format!("cems/v1/{name}/receipt"));
        body.push(0);
        stream.write_all(&packet(0x82, &body)).await.unwrap();
        let (epoch, prev) = (Epoch::new(), Hash::ZERO);
        let mut gateway = Gateway {
            name,
            epoch,
            seq: 0,
            prev,
            stream,
            buffer: Vec::new(),
            script: Vec::new(),
            packet_id: 1,
        };
        let mut answered = 0;
        while answered < 2 {
            gateway.fill().await;
            while let Some((kind, _)) = gateway.take() {
                answered += usize::from(kind == 0x20 || kind == 0x90);
            }
        }
        gateway
    }

    async fn fill(&mut self) {
        let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.buffer)).await;
        assert!(read.expect("the broker or the centre is silent").unwrap() > 0, "the broker hung up");
    }

    /// The next whole packet: its kind and body.
    fn take(&mut self) -> Option<(u8, Vec<u8>)> {
        let (length, width) = read_variable(self.buffer.get(1..)?)?;
        let end = 1 + width + length;
        let body = self.buffer.get(1 + width..end)?.to_vec();
        let kind = *self.buffer.first()? & 0xf0;
        self.buffer.drain(..end);
        Some((kind, body))
    }

    /// Puts scans into the script, so many a message.
    fn write(&mut self, ticks: &[&Tick], due: Duration, lane: &str) {
        let first = self.seq;
        let mut payload = Vec::new();
        for tick in ticks {
            let scan =
                Scan { outlet: plant::outlet(tick.outlet), at: tick.at, readings: tick.readings.clone() };
            let record = Record {
                gateway: self.name.clone(),
                epoch: self.epoch,
                seq: self.seq,
                prev: self.prev,
                cfg: Hash::of(b"bench"),
                body: Body::Scan(scan),
            };
            let bytes = record.encode();
            self.prev = Hash::of(&bytes);
            self.seq += 1;
            if !payload.is_empty() {
                payload.push(b'\n');
            }
            payload.extend_from_slice(&bytes);
        }
        let last = self.seq - 1;
        let properties =
            [("epoch", self.epoch.to_string()), ("first", first.to_string()), ("last", last.to_string())];
        let topic = format!("cems/v1/{}/{lane}", self.name);
        // No gateway of these has so many under way that a number comes round again.
        self.packet_id = if self.packet_id == u16::MAX { 1 } else { self.packet_id + 1 };
        let packet = publish(&topic, self.packet_id, &properties, &payload);
        self.script.push(Message { first, last, packet, due });
    }

    async fn run(mut self, pace: Pace, started: Instant) -> (Gateway, Vec<f64>, Instant) {
        let mut script: VecDeque<Message> = std::mem::take(&mut self.script).into();
        let mut under_way: VecDeque<(u64, u64, Instant)> = VecDeque::new();
        let mut latencies = Vec::with_capacity(script.len());
        let mut last = started;
        while !script.is_empty() || !under_way.is_empty() {
            let mut wait = PATIENCE;
            while let Some(next) = script.front() {
                let now = monotonic();
                let goes = match pace {
                    Pace::Full { window } => under_way.len() < window,
                    Pace::Timed => {
                        wait = (started + next.due).saturating_duration_since(now);
                        wait.is_zero()
                    }
                };
                if !goes {
                    break;
                }
                let Some(message) = script.pop_front() else { break };
                self.stream.write_all(&message.packet).await.unwrap();
                // By the clock a message is late from when it was due, so that a slow generator cannot hide anything.
                let since = match pace {
                    Pace::Full { .. } => now,
                    Pace::Timed => started + message.due,
                };
                under_way.push_back((message.first, message.last, since));
            }
            if script.is_empty() {
                wait = PATIENCE;
            }
            tokio::select! {
                () = self.fill() => {}
                () = tokio::time::sleep(wait) => continue,
            }
            while let Some((kind, body)) = self.take() {
                if kind != 0x30 {
                    continue;
                }
                let topic = usize::from(u16::from_be_bytes([body[0], body[1]]));
                let (length, width) = read_variable(&body[2 + topic..]).unwrap();
                let receipt = Receipt::decode(&body[2 + topic + width + length..], &self.name).unwrap();
                assert!(receipt.quarantined.is_empty(), "{receipt:?}");
                let now = monotonic();
                under_way.retain(|(first, last, since)| {
                    let covered = receipt.ranges.iter().any(|(from, to)| from <= *first && *last <= to);
                    if covered {
                        latencies.push(now.saturating_duration_since(*since).as_secs_f64() * 1e3);
                    }
                    !covered
                });
                last = now;
            }
        }
        (self, latencies, last)
    }
}

impl Crowd {
    /// So many connections.
    pub async fn connect(port: u16, gateways: usize) -> Crowd {
        let mut all = Vec::with_capacity(gateways);
        for number in 0..gateways {
            all.push(Gateway::connect(port, number).await);
        }
        Crowd(all, gateways)
    }

    /// Makes the messages: the scans of each gateway in their order, so many a message; `due` says when, by the scan's index.
    pub fn script(
        &mut self,
        ticks: &[Tick],
        per_message: usize,
        lane: &str,
        due: impl Fn(usize) -> Duration,
    ) {
        let names: HashMap<String, usize> =
            self.0.iter().enumerate().map(|(index, gateway)| (gateway.name.clone(), index)).collect();
        let mut open: Vec<Vec<&Tick>> = vec![Vec::new(); self.0.len()];
        for (index, tick) in ticks.iter().enumerate() {
            // Scans of gateways that are not in this crowd are not sent.
            let name = plant::gateway(tick.outlet % self.1);
            let Some(&number) = names.get(&name) else { continue };
            open[number].push(tick);
            if open[number].len() == per_message {
                self.0[number].write(&std::mem::take(&mut open[number]), due(index), lane);
            }
        }
        for (gateway, rest) in self.0.iter_mut().zip(open).filter(|(_, rest)| !rest.is_empty()) {
            gateway.write(&rest, Duration::ZERO, lane);
        }
    }

    /// Takes the last gateways out, as a crowd of their own.
    pub fn split_off(&mut self, at: usize) -> Crowd {
        Crowd(self.0.split_off(at), self.1)
    }

    /// Puts them back.
    pub fn join(&mut self, other: Crowd) {
        self.0.extend(other.0);
        self.0.sort_by(|a, b| a.name.cmp(&b.name));
    }

    /// Sends all that was written, until everything is receipted.
    pub async fn run(&mut self, pace: Pace) -> Outcome {
        let started = monotonic();
        let mut running = JoinSet::new();
        for gateway in std::mem::take(&mut self.0) {
            running.spawn(gateway.run(pace, started));
        }
        let mut outcome = Outcome::default();
        let mut last = started;
        while let Some(done) = running.join_next().await {
            let (gateway, latencies, end) = done.unwrap();
            self.0.push(gateway);
            outcome.latencies.extend(latencies);
            last = last.max(end);
        }
        self.0.sort_by(|a, b| a.name.cmp(&b.name));
        outcome.latencies.sort_by(f64::total_cmp);
        (outcome.took, outcome.messages) = (last - started, outcome.latencies.len());
        outcome
    }
}
