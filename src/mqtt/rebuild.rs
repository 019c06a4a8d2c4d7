//! A record's bytes, made again from what is stored of it. Whatever no record can have stood for (a time between two
//! milliseconds, a value where the record had no channel) is an error of its own, since the bytes would not show it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::flag::Flag;
use crate::domain::plant::{ChannelCode, Outlet};
use crate::domain::scan::{Reading, Scan};
use crate::mqtt::record::{Body, Epoch, Event, Hash, Record};

/// Where a stored record says that it belongs.
#[derive(Debug, Clone, Copy)]
pub struct Head<'r> {
    pub gateway: &'r str,
    pub epoch: Epoch,
    pub cfg: Hash,
    pub seq: u64,
    pub prev: Hash,
    pub at: Timestamp,
}

impl Head<'_> {
    fn record(&self, body: Body) -> Record {
        let Head { gateway, epoch, cfg, seq, prev, at: _ } = *self;
        Record { gateway: gateway.to_owned(), epoch, seq, prev, cfg, body }
    }

    fn whole_milliseconds(&self) -> Result<(), String> {
        if self.at.subsec_nanosecond() % 1_000_000 == 0 {
            return Ok(());
        }
        Err(format!("its time {} is between two milliseconds, which no record's is", self.at))
    }
}

/// How the positions of an outlet's rows become the channels of its records.
#[derive(Debug, Clone)]
pub struct Layout {
    outlet: String,
    /// Sorted by code, as records are.
    channels: Vec<(ChannelCode, usize)>,
}

impl Layout {
    /// Of an outlet.
    pub fn of(outlet: &Outlet) -> Layout {
        let mut channels: Vec<(ChannelCode, usize)> =
            outlet.channels.iter().enumerate().map(|(position, channel)| (channel.code, position)).collect();
        channels.sort_unstable();
        Layout { outlet: outlet.code.to_string(), channels }
    }

    /// The bytes of a scan's record, from its values and letters by position.
    ///
    /// # Errors
    /// What about the row no record can have stood for.
    pub fn scan(&self, head: &Head<'_>, measured: &[Option<f64>], letters: &str) -> Result<Vec<u8>, String> {
        head.whole_milliseconds()?;
        if measured.len() != letters.len() || letters.len() > self.channels.len() {
            return Err(format!(
                "it has {} values and {} flags; the outlet has {} channels",
                measured.len(),
                letters.len(),
                self.channels.len()
            ));
        }
        let mut readings = Vec::with_capacity(measured.len());
        for (code, position) in &self.channels {
            let Some((value, letter)) = measured.get(*position).zip(letters.as_bytes().get(*position)) else {
                continue;
            };
            let flag = Flag::from_letter(char::from(*letter)).ok_or_else(|| {
                format!("channel {code} has the flag {:?}, which is none", char::from(*letter))
            })?;
            match (flag, value) {
                (Flag::Absent, None) => {}
                (Flag::Absent, Some(value)) => {
                    return Err(format!(
                        "channel {code} has the value {value}, although its record had none"
                    ));
                }
                (_, value) => readings.push((*code, Reading { value: *value, flag })),
            }
        }
        let scan = Scan { outlet: self.outlet.clone(), at: head.at, readings };
        Ok(head.record(Body::Scan(scan)).encode())
    }
}

/// The bytes of an event's record; `detail` is its JSON.
///
/// # Errors
/// What about the row no record can have stood for.
pub fn event(head: &Head<'_>, name: &str, detail: &str) -> Result<Vec<u8>, String> {
    head.whole_milliseconds()?;
    let parsed: BTreeMap<String, String> = serde_json::from_str(detail)
        .map_err(|error| format!("its detail is no JSON object of texts ({error})"))?;
    if serde_json::to_string(&parsed).ok().as_deref() != Some(detail) {
        return Err("its detail is not written as records write it".to_owned());
    }
    let event = Event { at: head.at, event: name.to_owned(), detail: parsed };
    Ok(head.record(Body::Event(event)).encode())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::evaluation::tests::kiln;
    use proptest::prelude::*;

    fn head(at: &str) -> Head<'static> {
        Head {
            gateway: "gw-1",
            epoch: Epoch::from_hex("0192f0c1b2c37d2e8a4b5c6d7e8f9a0b").unwrap(),
            cfg: Hash::of(b"cfg"),
            seq: 7,
            prev: Hash::of(b"prev"),
            at: at.parse().unwrap(),
        }
    }

    #[test]
    fn what_no_record_stood_for_is_refused() {
        let outlet = kiln();
        let layout = Layout::of(&outlet);
        let count = outlet.channels.len();
        let tick = head("2026-11-21T04:00:06Z");
        let (values, letters) = (vec![Some(1.0); count], "N".repeat(count));
        assert!(layout.scan(&tick, &values, &letters).is_ok());
        let between = head("2026-11-21T04:00:06.000001Z");
        assert!(layout.scan(&between, &values, &letters).unwrap_err().contains("between two milliseconds"));
        let more = vec![Some(1.0); count + 1];
        assert!(layout.scan(&tick, &more, &letters).unwrap_err().contains("values and"));
        assert!(layout.scan(&tick, &more, &"N".repeat(count + 1)).is_err());
        let absent = format!("-{}", "N".repeat(count - 1));
        assert!(layout.scan(&tick, &values, &absent).unwrap_err().contains("its record had none"));
        let unknown = format!("Q{}", "N".repeat(count - 1));
        assert!(layout.scan(&tick, &values, &unknown).unwrap_err().contains("which is none"));
        assert!(event(&tick, "start", "{\"a\":\"b\"}").is_ok());
        assert!(event(&tick, "start", "{\"a\": \"b\"}").unwrap_err().contains("not written as"));
        assert!(event(&tick, "start", "[]").is_err());
    }

    proptest! {
        #[test]
        fn a_record_comes_back_from_its_row(
            values in proptest::collection::vec(proptest::option::of(any::<f64>().prop_filter("finite", |v| v.is_finite())), 1..9),
            absent in any::<u8>(),
        ) {
            let outlet = kiln();
            let layout = Layout::of(&outlet);
            let mut row = vec![None; outlet.channels.len()];
            let mut letters = vec![b'-'; outlet.channels.len()];
            let mut readings = Vec::new();
            for (position, channel) in outlet.channels.iter().enumerate() {
                let value = values.get(position).copied();
                let Some(value) = value.filter(|_| absent >> (position % 8) & 1 == 0) else { continue };
                let flag = if value.is_some() { Flag::Normal } else { Flag::Communication };
                row[position] = value;
                letters[position] = u8::try_from(flag.letter()).unwrap();
                readings.push((channel.code, Reading { value, flag }));
            }
            readings.sort_by_key(|(code, _)| *code);
            let head = head("2026-11-21T04:00:06.123Z");
            let body = Body::Scan(Scan { outlet: outlet.code.to_string(), at: head.at, readings });
            let letters = String::from_utf8(letters).unwrap();
            prop_assert_eq!(layout.scan(&head, &row, &letters).unwrap(), head.record(body).encode());
        }
    }
}
