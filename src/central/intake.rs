//! What a message is worth: records that may be stored, or bytes for quarantine with the reason. Pure: plant and time come
//! in, nothing is looked up elsewhere.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::domain::plant::{Outlet, Plant};
use crate::domain::scan::{Reading, Scan};
use crate::mqtt::receipt::property;
use crate::mqtt::record::{Body, Epoch, Event, Hash, Record};
use crate::mqtt::topic::{Lane, is_gateway_name, parse};
use crate::store::quarantine::Kept;

/// How far a gateway's clock may be ahead of ours.
pub const FUTURE: SignedDuration = SignedDuration::from_secs(60);
/// How old a record may be: the retention of scans.
pub const PAST: SignedDuration = SignedDuration::from_hours(400 * 24);

/// No message of a gateway has so many records: it would be larger than the broker lets through.
const MAX_LINES: usize = 1000;

/// No gateway packs more records into a message; what says so is not believed.
const MAX_TOLD: u64 = MAX_LINES as u64;

/// A message as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    pub topic: Arc<str>,
    pub payload: bytes::Bytes,
    pub user_properties: Vec<(String, String)>,
    pub received_at: Timestamp,
}

/// A record's place in its gateway's chain, for the receipt.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    pub gateway: Arc<str>,
    pub epoch: Epoch,
    pub seq: u64,
}

/// A scan that may be stored.
#[derive(Debug, Clone)]
pub struct TakenScan {
    pub outlet: Arc<Outlet>,
    pub at: Timestamp,
    /// By position of the outlet.
    pub readings: Vec<Reading>,
    pub record: Origin,
}

/// An event that may be stored.
#[derive(Debug, Clone)]
pub struct TakenEvent {
    pub event: Event,
    pub record: Origin,
}

/// Where a record came from, and its evidence.
#[derive(Debug, Clone)]
pub struct Origin {
    pub gateway_id: i32,
    pub place: Place,
    pub cfg: Hash,
    pub prev: Hash,
    pub hash: Hash,
    pub received_at: Timestamp,
    /// The record's bytes, in case it must go to quarantine after all.
    pub line: bytes::Bytes,
    pub topic: Arc<str>,
    pub lane: Lane,
}

impl Origin {
    /// When a scan of this time was a sign of life, by our clock: what comes live is one now, what is sent later was one
    /// then. A gateway's wrong clock so makes nobody silent.
    pub fn heard_at(&self, at: Timestamp) -> Timestamp {
        if self.lane == Lane::Live { self.received_at } else { at.min(self.received_at) }
    }

    /// The record for quarantine, with a reason.
    pub fn kept(&self, reason: String) -> Kept {
        Kept {
            received_at: self.received_at,
            topic: self.topic.to_string(),
            gateway: self.place.gateway.to_string(),
            epoch: Some(self.place.epoch.to_string()),
            seqs: Some((self.place.seq, self.place.seq)),
            reason,
            payload: self.line.to_vec(),
        }
    }
}

/// What one line of a message turned out to be.
#[derive(Debug, Clone)]
pub enum Taken {
    Scan(Box<TakenScan>),
    Event(Box<TakenEvent>),
    /// For quarantine; with the places to receipt as far as they are known.
    Refused(Box<Kept>),
}

impl Taken {
    /// Refused for what a newer state of the plant may allow.
    pub fn is_unregistered(&self) -> bool {
        match self {
            Taken::Refused(kept) => {
                kept.reason.contains(NOT_REGISTERED) || kept.reason.contains("does not speak for outlet")
            }
            Taken::Scan(_) | Taken::Event(_) => false,
        }
    }
}

/// In the reason of everything that is refused since the plant does not know it.
const NOT_REGISTERED: &str = "is not registered";

/// Takes a message apart. Every line becomes one [`Taken`]; a bad one stops no other.
pub fn take(arrival: &Arrival, plant: &Plant) -> Vec<Taken> {
    let Some((sender, lane @ (Lane::Live | Lane::Backfill))) = parse(&arrival.topic) else {
        return vec![refused(arrival, "", None, &arrival.payload, "the topic carries no records".to_owned())];
    };
    let told = Told::of(arrival);
    // What comes under no gateway's name is kept under none.
    let sender = if is_gateway_name(sender) { sender } else { "" };
    let whole = |reason: String| {
        let mut whole = kept(arrival, sender, None, &arrival.payload, reason);
        whole.seqs = told.first.zip(told.last).filter(|(first, last)| first <= last);
        vec![Taken::Refused(Box::new(whole))]
    };
    if arrival.payload.split(|byte| *byte == b'\n').count() > MAX_LINES {
        return whole(format!("the message has more than {MAX_LINES} lines"));
    }
    let aligned = told.count() == Some(count_lines(&arrival.payload));
    if let Some(count) = told.count().filter(|_| !aligned)
        && lines(&arrival.payload).all(|line| seq_of(line).is_none())
    {
        // Which number is whose cannot be told, but all of them together are these bytes.
        let defect = lines(&arrival.payload).find_map(|line| Record::decode(line).err());
        let defect = defect.map_or(String::new(), |defect| format!("{defect}; "));
        return whole(format!(
            "{defect}not one of the message's lines is a record, and it was to hold {count}"
        ));
    }
    let mut taken = Vec::new();
    let mut start = 0;
    for (index, line) in arrival.payload.split(|byte| *byte == b'\n').enumerate() {
        let bytes = arrival.payload.slice(start..start + line.len());
        start += line.len() + 1;
        // One line end after the last record is allowed.
        if line.is_empty() && index > 0 && start > arrival.payload.len() {
            continue;
        }
        match accept(arrival, (sender, lane), bytes, plant) {
            Ok(one) => taken.push(one),
            Err(reason) => {
                // By its place only where every place is taken.
                let seq =
                    if aligned { told.seq(index).or(seq_of(line)) } else { seq_of(line).or(told.seq(index)) };
                taken.push(refused(arrival, sender, seq, line, reason));
            }
        }
    }
    taken
}

/// The lines of a message as messages of their own, each with its own number.
pub fn line_by_line(arrival: &Arrival) -> Vec<Arrival> {
    let told = Told::of(arrival);
    let epoch = arrival.user_properties.iter().filter(|(name, _)| name == property::EPOCH);
    let lines = arrival.payload.split(|byte| *byte == b'\n').enumerate();
    lines
        .filter(|(_, line)| !line.is_empty())
        .map(|(index, line)| {
            let mut user_properties: Vec<(String, String)> = epoch.clone().cloned().collect();
            if let Some(seq) = told.seq(index) {
                user_properties.push((property::FIRST.to_owned(), seq.to_string()));
                user_properties.push((property::LAST.to_owned(), seq.to_string()));
            }
            Arrival { payload: arrival.payload.slice_ref(line), user_properties, ..arrival.clone() }
        })
        .collect()
}

/// The lines of a message; one line end after the last is allowed.
fn lines(payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    payload.strip_suffix(b"\n").unwrap_or(payload).split(|byte| *byte == b'\n')
}

fn count_lines(payload: &[u8]) -> u64 {
    u64::try_from(lines(payload).count()).unwrap_or(u64::MAX)
}

/// What the message's user properties say of its records.
struct Told {
    first: Option<u64>,
    last: Option<u64>,
}

impl Told {
    fn of(arrival: &Arrival) -> Told {
        let number = |name: &str| {
            let value = arrival.user_properties.iter().find(|(key, _)| key == name);
            value.and_then(|(_, value)| value.parse().ok())
        };
        Told { first: number(property::FIRST), last: number(property::LAST) }
    }

    /// How many records there are, as far as that can be true.
    fn count(&self) -> Option<u64> {
        self.last?.checked_sub(self.first?)?.checked_add(1).filter(|count| *count <= MAX_TOLD)
    }

    /// The sequence number of a line: messages carry contiguous ranges.
    fn seq(&self, index: usize) -> Option<u64> {
        let seq = self.first?.checked_add(u64::try_from(index).ok()?)?;
        (seq <= self.last?).then_some(seq)
    }
}

/// The sequence number of a line that is JSON but no acceptable record.
fn seq_of(line: &[u8]) -> Option<u64> {
    #[derive(serde::Deserialize)]
    struct Seq {
        seq: u64,
    }
    serde_json::from_slice::<Seq>(line).ok().map(|found| found.seq)
}

fn epoch_of(arrival: &Arrival, line: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Epoch {
        epoch: String,
    }
    let told = arrival
        .user_properties
        .iter()
        .find(|(key, _)| key == property::EPOCH)
        .map(|(_, value)| value.clone());
    told.or_else(|| serde_json::from_slice::<Epoch>(line).ok().map(|found| found.epoch))
        .filter(|epoch| epoch.len() <= 64)
}

fn refused(arrival: &Arrival, gateway: &str, seq: Option<u64>, line: &[u8], reason: String) -> Taken {
    Taken::Refused(Box::new(kept(arrival, gateway, seq, line, reason)))
}

fn kept(arrival: &Arrival, gateway: &str, seq: Option<u64>, line: &[u8], reason: String) -> Kept {
    Kept {
        received_at: arrival.received_at,
        topic: arrival.topic.to_string(),
        gateway: gateway.to_owned(),
        epoch: epoch_of(arrival, line),
        seqs: seq.map(|seq| (seq, seq)),
        reason,
        payload: line.to_vec(),
    }
}

fn accept(
    arrival: &Arrival,
    (sender, lane): (&str, Lane),
    bytes: bytes::Bytes,
    plant: &Plant,
) -> Result<Taken, String> {
    let record = Record::decode(&bytes).map_err(|defect| defect.to_string())?;
    if record.gateway != sender || !is_gateway_name(sender) {
        return Err(format!("the record says gateway {:?} but came under {sender:?}", record.gateway));
    }
    let gateway = plant.gateway(sender).ok_or_else(|| {
        format!("gateway {sender:?} is not registered; add it to the plant, then retry from quarantine")
    })?;
    check_time(record.at(), arrival.received_at)?;
    let origin = Origin {
        gateway_id: gateway.id,
        place: Place { gateway: Arc::clone(&gateway.name), epoch: record.epoch, seq: record.seq },
        cfg: record.cfg,
        prev: record.prev,
        hash: Hash::of(&bytes),
        received_at: arrival.received_at,
        line: bytes,
        topic: Arc::clone(&arrival.topic),
        lane,
    };
    match record.body {
        Body::Event(event) => Ok(Taken::Event(Box::new(TakenEvent { event, record: origin }))),
        Body::Scan(scan) => {
            let outlet = known_outlet(&scan, sender, plant)?;
            let readings = by_position(&scan, &outlet)?;
            Ok(Taken::Scan(Box::new(TakenScan { outlet, at: scan.at, readings, record: origin })))
        }
    }
}

fn check_time(at: Timestamp, now: Timestamp) -> Result<(), String> {
    let age = now.duration_since(at);
    if age < -FUTURE {
        return Err(format!(
            "the record's time {at} is more than {} s ahead of the centre's clock ({now}); set the gateway's clock",
            FUTURE.as_secs()
        ));
    }
    if age > PAST {
        return Err(format!(
            "the record's time {at} is older than the retention of 400 days (the centre's clock: {now})"
        ));
    }
    Ok(())
}

fn known_outlet(scan: &Scan, sender: &str, plant: &Plant) -> Result<Arc<Outlet>, String> {
    let outlet = plant.outlet(&scan.outlet).ok_or_else(|| {
        format!("outlet {:?} is not registered; add it to the plant, then retry from quarantine", scan.outlet)
    })?;
    if !outlet.served_by(sender, scan.at) {
        return Err(format!("gateway {sender:?} does not speak for outlet {:?} at {}", scan.outlet, scan.at));
    }
    Ok(Arc::clone(outlet))
}

fn by_position(scan: &Scan, outlet: &Outlet) -> Result<Vec<Reading>, String> {
    let mut readings = vec![Reading::ABSENT; outlet.channels.len()];
    let mut next = 0;
    for (code, reading) in &scan.readings {
        let position = outlet.position_near(*code, next);
        next = position.map_or(next, |position| position + 1);
        let slot = position.and_then(|position| readings.get_mut(position));
        let slot = slot.ok_or_else(|| {
            format!("channel {code} of outlet {:?} is not registered; add it to the plant, then retry from quarantine", scan.outlet)
        })?;
        *slot = *reading;
    }
    Ok(readings)
}

#[cfg(test)]
mod tests;
