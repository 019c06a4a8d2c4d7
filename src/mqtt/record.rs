//! One record, version 1: one line of canonical JSON, made once by a gateway and never changed.
//!
//! A record's bytes are by definition the canonical encoding of its content: this field order, no spaces, channels and
//! details sorted by name, times in UTC with three decimals, numbers in their shortest form that reads back to the same
//! double. So the centre can check that what arrived is canonical, store only the content, and rebuild the exact bytes
//! whenever somebody asks for the evidence.
//!
//! ```json
//! {"v":1,"kind":"scan","gateway":"gw-jz-017","epoch":"0192f0c1b2c37d2e8a4b5c6d7e8f9a0b","seq":4711,"prev":"9f2c…","cfg":"51ab…",
//!  "outlet":"jz-cement-01","at":"2026-11-21T04:00:06.000Z","readings":{"a19001":[9.8,"N"],"a34013":[null,"B"]}}
//! {"v":1,"kind":"event",…,"seq":4712,"prev":"…","cfg":"…","at":"2026-11-21T04:00:07.120Z","event":"start","detail":{"version":"0.1.0"}}
//! ```
//! (broken here for reading; on the wire each is one line). `prev` is the SHA-256 of the previous record's bytes without
//! line end, zeros for the first of a chain; `cfg` is the SHA-256 of the configuration that the record was made under.

/// The fast way to read a scan.
mod canonical;
/// The slow way to read any record.
mod written;

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::domain::scan::Scan;

/// The only version there is.
pub const VERSION: u32 = 1;
/// The broker refuses larger messages; so do we.
pub const MAX_MESSAGE_BYTES: usize = 256 * 1024;
/// Bytes set aside for a record without readings, and for a reading; most need fewer.
const SIZE: usize = 512;
const READING_SIZE: usize = 40;

/// A SHA-256 hash, 64 lower-case hexadecimal digits on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// What the first record of a chain names as its predecessor.
    pub const ZERO: Hash = Hash([0; 32]);

    /// The hash of a record's bytes (without line end), or of a configuration's.
    pub fn of(bytes: &[u8]) -> Hash {
        Hash(Sha256::digest(bytes).into())
    }

    /// From 64 lower-case hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Hash> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        text.bytes().all(|byte| !byte.is_ascii_uppercase()).then_some(Hash(bytes))
    }
}

impl Hash {
    /// Its 64 digits.
    fn digits(&self) -> [u8; 64] {
        let mut digits = [b'0'; 64];
        // Twice as long as the bytes: it fits.
        let _fits = hex::encode_to_slice(self.0, &mut digits);
        digits
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.digits()).unwrap_or_default())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Names one spool file of one gateway for ever: a version-7 UUID as 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epoch(pub uuid::Uuid);

impl Epoch {
    /// A new one, ordered by time.
    pub fn new() -> Epoch {
        Epoch(uuid::Uuid::now_v7())
    }

    /// From 32 lower-case hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Epoch> {
        let valid = text.len() == 32
            && text.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase());
        valid.then(|| uuid::Uuid::try_parse(text).ok().map(Epoch)).flatten()
    }
}

impl Default for Epoch {
    fn default() -> Epoch {
        Epoch::new()
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.simple())
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a record tells.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    Scan(Scan),
    Event(Event),
}

impl Body {
    /// The time that it is about.
    pub fn at(&self) -> Timestamp {
        match self {
            Body::Scan(scan) => scan.at,
            Body::Event(event) => event.at,
        }
    }
}

/// Something that happened at the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// UTC, whole milliseconds.
    pub at: Timestamp,
    /// `[a-z-]{1,40}`, see [`event`].
    pub event: String,
    /// Sorted by name; values are text for people and programs alike.
    pub detail: BTreeMap<String, String>,
}

/// Names of events.
pub mod event {
    pub const START: &str = "start";
    pub const STOP: &str = "stop";
    pub const CONFIGURATION: &str = "configuration";
    pub const CLOCK_STEP: &str = "clock-step";
    pub const LOST_RANGE: &str = "lost-range";
    pub const SPOOL_ALARM: &str = "spool-alarm";
    pub const THINNING: &str = "thinning";
    pub const REGISTERS_REFUSED: &str = "registers-refused";
    pub const ANALYSER_CHECK: &str = "analyser-check";
}

/// One record with its place in the chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub gateway: String,
    pub epoch: Epoch,
    pub seq: u64,
    pub prev: Hash,
    pub cfg: Hash,
    pub body: Body,
}

/// Why bytes are not a record that we may store. The text names rule, found value and remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    #[error("not a record: {0}")]
    Unreadable(String),
    #[error("record version {0} is not known here (known: 1); update the centre, then retry from quarantine")]
    Version(u64),
    #[error(
        "record kind {0:?} is not known here (known: scan, event); update the centre, then retry from quarantine"
    )]
    Kind(String),
    #[error("{field}: {found:?} is not allowed; {allowed}")]
    Field { field: &'static str, found: String, allowed: &'static str },
    #[error("not in canonical form: its own content encodes to other bytes (first difference at byte {at})")]
    NotCanonical { at: usize },
}

/// A record's place in its chain: all of it but the body.
#[derive(Debug, Clone, Copy)]
pub struct Place<'g> {
    pub gateway: &'g str,
    pub epoch: Epoch,
    pub seq: u64,
    pub prev: Hash,
    pub cfg: Hash,
}

impl Place<'_> {
    /// The one and only byte form of the record with this body, without line end.
    pub fn encode(&self, body: &Body) -> Vec<u8> {
        let size = match body {
            Body::Scan(scan) => SIZE + scan.readings.len() * READING_SIZE,
            Body::Event(_) => SIZE * 2,
        };
        self.encode_into(Vec::with_capacity(size), body)
    }

    /// The same at the end of `out`.
    fn encode_into(&self, mut out: Vec<u8>, body: &Body) -> Vec<u8> {
        let kind = match body {
            Body::Scan(_) => "scan",
            Body::Event(_) => "event",
        };
        // Writing into a Vec cannot fail, and neither can encoding plain text or finite numbers as JSON.
        let _infallible = self.write_head(&mut out, kind);
        let _infallible = match body {
            Body::Scan(scan) => write_scan(&mut out, scan),
            Body::Event(event) => write_event(&mut out, event),
        };
        out
    }

    fn write_head(&self, out: &mut Vec<u8>, kind: &str) -> std::io::Result<()> {
        write!(
            out,
            r#"{{"v":{VERSION},"kind":"{kind}","gateway":"{}","epoch":"{}","#,
            self.gateway, self.epoch
        )?;
        write!(out, r#""seq":{},"prev":""#, self.seq)?;
        out.extend_from_slice(&self.prev.digits());
        out.extend_from_slice(br#"","cfg":""#);
        out.extend_from_slice(&self.cfg.digits());
        out.extend_from_slice(br#"","#);
        Ok(())
    }
}

impl Record {
    /// The one and only byte form of this record, without line end.
    pub fn encode(&self) -> Vec<u8> {
        self.place().encode(&self.body)
    }

    fn place(&self) -> Place<'_> {
        Place { gateway: &self.gateway, epoch: self.epoch, seq: self.seq, prev: self.prev, cfg: self.cfg }
    }

    /// Reads one line (without line end) and makes sure that its bytes are the canonical ones.
    ///
    /// # Errors
    /// A [`Defect`] that says what is wrong; the bytes then belong into quarantine, whole.
    pub fn decode(line: &[u8]) -> Result<Record, Defect> {
        canonical::scan(line).map_or_else(|| slowly(line), Ok)
    }

    /// The time that the record is about.
    pub fn at(&self) -> Timestamp {
        self.body.at()
    }
}

/// Reads whatever it is, and compares its canonical form with the bytes.
fn slowly(line: &[u8]) -> Result<Record, Defect> {
    let record = written::read(line)?;
    let canonical = record.place().encode_into(Vec::with_capacity(line.len() + 64), &record.body);
    if canonical == line {
        return Ok(record);
    }
    let at = canonical.iter().zip(line).take_while(|(a, b)| a == b).count();
    Err(Defect::NotCanonical { at })
}

fn write_scan(out: &mut Vec<u8>, scan: &Scan) -> std::io::Result<()> {
    out.extend_from_slice(br#""outlet":"#);
    serde_json::to_writer(&mut *out, &scan.outlet)?;
    write!(out, r#","at":"{}","readings":{{"#, time_text(scan.at))?;
    for (index, (channel, reading)) in scan.readings.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.push(b'"');
        out.extend_from_slice(channel.as_str().as_bytes());
        out.extend_from_slice(br#"":["#);
        match reading.value {
            Some(value) if value.is_finite() => serde_json::to_writer(&mut *out, &value)?,
            Some(_) | None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(br#",""#);
        out.extend_from_slice(reading.flag.letter().encode_utf8(&mut [0; 4]).as_bytes());
        out.extend_from_slice(br#""]"#);
    }
    out.extend_from_slice(b"}}");
    Ok(())
}

fn write_event(out: &mut Vec<u8>, event: &Event) -> std::io::Result<()> {
    write!(out, r#""at":"{}","event":"{}","detail":"#, time_text(event.at), event.event)?;
    serde_json::to_writer(&mut *out, &event.detail)?;
    out.push(b'}');
    Ok(())
}

/// UTC with exactly three decimals: `2026-11-21T04:00:06.000Z`.
pub fn time_text(at: Timestamp) -> String {
    format!("{at:.3}")
}

#[cfg(test)]
mod tests;
