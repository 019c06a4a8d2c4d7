//! Reads a record of whatever form and finds what is wrong with it.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;

use crate::domain::flag::Flag;
use crate::domain::plant::{ChannelCode, MAX_CHANNELS};
use crate::domain::scan::{Reading, Scan};
use crate::mqtt::record::{Body, Defect, Epoch, Event, Hash, Record, VERSION, time_text};

/// A record as it was written: everything readable, nothing checked.
#[derive(Deserialize)]
struct Written<'a> {
    v: u64,
    kind: &'a str,
    gateway: &'a str,
    epoch: &'a str,
    seq: u64,
    prev: &'a str,
    cfg: &'a str,
    #[serde(borrow, default)]
    outlet: Option<std::borrow::Cow<'a, str>>,
    at: &'a str,
    #[serde(borrow, default)]
    readings: Option<Readings<'a>>,
    #[serde(borrow, default)]
    event: Option<&'a str>,
    #[serde(default)]
    detail: Option<BTreeMap<String, String>>,
}

/// The readings in the order in which they were written.
struct Readings<'a>(Vec<(&'a str, Option<f64>, char)>);

impl<'de: 'a, 'a> Deserialize<'de> for Readings<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> serde::de::Visitor<'de> for InOrder {
            type Value = Vec<(&'de str, Option<f64>, char)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of channel -> [value or null, flag]")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut readings = Vec::with_capacity(16);
                while let Some((channel, (value, flag))) = map.next_entry::<&str, (Option<f64>, char)>()? {
                    if readings.len() == MAX_CHANNELS {
                        return Err(serde::de::Error::custom("more than 256 channels"));
                    }
                    readings.push((channel, value, flag));
                }
                Ok(readings)
            }
        }
        deserializer.deserialize_map(InOrder).map(Readings)
    }
}

/// A record, whatever its form.
pub(super) fn read(line: &[u8]) -> Result<Record, Defect> {
    let raw: Written<'_> = serde_json::from_slice(line).map_err(|error| of_unreadable(line, &error))?;
    if raw.v != u64::from(VERSION) {
        return Err(Defect::Version(raw.v));
    }
    if !crate::mqtt::topic::is_gateway_name(raw.gateway) {
        return Err(field(
            "gateway",
            raw.gateway,
            "a name is 1 to 64 of a-z, 0-9 and '-', and not \"central\"",
        ));
    }
    let epoch = Epoch::from_hex(raw.epoch)
        .ok_or_else(|| field("epoch", raw.epoch, "an epoch is 32 lower-case hexadecimal digits"))?;
    if i64::try_from(raw.seq).is_err() {
        return Err(field("seq", &raw.seq.to_string(), "a sequence number is below 2^63"));
    }
    let prev = Hash::from_hex(raw.prev).ok_or_else(|| field("prev", raw.prev, HASH_RULE))?;
    let cfg = Hash::from_hex(raw.cfg).ok_or_else(|| field("cfg", raw.cfg, HASH_RULE))?;
    let at = raw.at.parse::<Timestamp>().ok().filter(|at| time_text(*at) == raw.at);
    let at = at.ok_or_else(|| {
        field("at", raw.at, "a time is UTC with three decimals, as 2026-11-21T04:00:06.000Z")
    })?;
    let body = match raw.kind {
        "scan" => Body::Scan(scan_of(raw.outlet, at, raw.readings)?),
        "event" => Body::Event(event_of(raw.event, at, raw.detail)?),
        other => return Err(Defect::Kind(other.to_owned())),
    };
    Ok(Record { gateway: raw.gateway.to_owned(), epoch, seq: raw.seq, prev, cfg, body })
}

const HASH_RULE: &str = "a hash is 64 lower-case hexadecimal digits";

/// A record of another version or kind need not have our fields; it is then named by that, not by what it lacks.
fn of_unreadable(line: &[u8], error: &serde_json::Error) -> Defect {
    #[derive(Deserialize)]
    struct Head {
        v: u64,
        kind: String,
    }
    match serde_json::from_slice::<Head>(line) {
        Ok(head) if head.v != u64::from(VERSION) => Defect::Version(head.v),
        Ok(head) if head.kind != "scan" && head.kind != "event" => Defect::Kind(head.kind),
        Ok(_) | Err(_) => Defect::Unreadable(error.to_string()),
    }
}

fn field(field: &'static str, found: &str, allowed: &'static str) -> Defect {
    Defect::Field { field, found: found.chars().take(80).collect(), allowed }
}

fn scan_of(
    outlet: Option<std::borrow::Cow<'_, str>>,
    at: Timestamp,
    readings: Option<Readings<'_>>,
) -> Result<Scan, Defect> {
    let outlet = outlet.ok_or_else(|| Defect::Unreadable("a scan needs the field `outlet`".to_owned()))?;
    let written =
        readings.ok_or_else(|| Defect::Unreadable("a scan needs the field `readings`".to_owned()))?;
    let mut readings: Vec<(ChannelCode, Reading)> = Vec::with_capacity(written.0.len());
    for (code, value, letter) in written.0 {
        let channel = ChannelCode::new(code).ok_or_else(|| {
            field("readings", code, "a channel is a factor code with an optional suffix, as a21026-2")
        })?;
        let flag = Flag::from_letter(letter).filter(|flag| *flag != Flag::Absent);
        let flag =
            flag.ok_or_else(|| field("readings", &letter.to_string(), "a flag is one of N F M S D C T B"))?;
        if value.is_none() && flag == Flag::Normal {
            return Err(field("readings", code, "a reading without a value has a flag other than N"));
        }
        if readings.last().is_some_and(|(last, _)| *last >= channel) {
            return Err(field("readings", code, "channels are sorted by code, each once"));
        }
        readings.push((channel, Reading { value, flag }));
    }
    if readings.is_empty() {
        return Err(field("readings", "{}", "a scan has at least one channel"));
    }
    Ok(Scan { outlet: outlet.into_owned(), at, readings })
}

fn event_of(
    name: Option<&str>,
    at: Timestamp,
    detail: Option<BTreeMap<String, String>>,
) -> Result<Event, Defect> {
    let name = name.ok_or_else(|| Defect::Unreadable("an event needs the field `event`".to_owned()))?;
    if !(1..=40).contains(&name.len()) || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
    {
        return Err(field("event", name, "an event's name is 1 to 40 of a-z and '-'"));
    }
    Ok(Event { at, event: name.to_owned(), detail: detail.unwrap_or_default() })
}
