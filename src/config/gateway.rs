//! The gateway's configuration, `schema = "gateway/1"`: broker, spool, lines, analysers, outlets with their channels. config/gateway-example.toml shows every key.

/// The templates of analysers that a configuration names.
mod library;
/// From registers to a channel's value.
mod map;
/// How the file is read.
mod reading;
/// `analyser/1`: the map of an analyser's registers.
pub mod template;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::config::broker::Tls;
use crate::config::document::{Document, Overlay};
use crate::config::problem::Problems;
use crate::domain::plant::ChannelCode;

use library::Library;
pub use map::{
    Check, Conversion, Expected, Measured, Number, Order, Place, Quality, StatusCondition, StatusRegister,
    StatusRule, Table,
};
pub use reading::line_of_text;

/// A gateway's configuration, checked.
#[derive(Debug, Clone)]
pub struct Gateway {
    /// Public name, also the MQTT user unless another is given.
    pub name: String,
    /// Folder of the spool.
    pub data_dir: PathBuf,
    pub mqtt: Mqtt,
    pub spool: Spool,
    pub publish: Publish,
    /// Where the status page is served, if it is.
    pub status: Option<SocketAddr>,
    pub lines: Vec<Line>,
    pub analysers: Vec<Analyser>,
    pub outlets: Vec<Outlet>,
    /// SHA-256 of the file's text, of the values that the environment laid over it (all but the password), and of its templates.
    pub hash: [u8; 32],
}

/// Which broker, as whom.
#[derive(Clone)]
pub struct Mqtt {
    pub host: String,
    pub port: u16,
    /// How the way is protected; `None`: not at all.
    pub tls: Option<Tls>,
    pub user: String,
    /// Never shown.
    pub password: Option<String>,
    /// Unacknowledged messages under way at most.
    pub inflight: u16,
}

impl fmt::Debug for Mqtt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let password = self.password.as_ref().map(|_hidden| "hidden");
        f.debug_struct("Mqtt")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("tls", &self.tls)
            .field("user", &self.user)
            .field("password", &password)
            .field("inflight", &self.inflight)
            .finish()
    }
}

/// Bounds of the spool.
#[derive(Debug, Clone, Copy)]
pub struct Spool {
    /// Memory for its pages.
    pub cache_bytes: usize,
    /// Records of scans at their full rate, bytes: 100 %. When it is full, a tenth more is for minute scans, and a twentieth
    /// more for events.
    pub capacity_bytes: u64,
    pub when_full: WhenFull,
}

/// What becomes of new scans when the spool is full. What is in it stays in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// Only the scan that begins a minute is kept.
    Thin,
    /// None is kept.
    Stop,
}

/// When to send what.
#[derive(Debug, Clone, Copy)]
pub struct Publish {
    /// A record without a receipt after this time goes again.
    pub receipt_timeout: Duration,
    pub backfill_records_per_s: u32,
    /// Records under way without a receipt, at most; fresh ones are never held back by it.
    pub window: u32,
}

/// One line to analysers: at most one request is under way on it at any time.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its name, or the link as written where it has none of its own.
    pub name: String,
    pub link: Link,
    /// Silence between an answer and the next request.
    pub turnaround: Duration,
    /// How long an analyser on it usually takes until it begins to answer; for computing the line's time.
    pub usual_answer: Duration,
    /// No device on the line answers later than this after its request. Where answers do not say to which request they belong
    /// (RTU), the line is silent for so long after a time-out.
    pub slowest_answer: Duration,
}

/// How a line is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// Modbus TCP at `host:port`: answers carry the number of their request.
    Tcp { address: String },
    /// RTU frames through a TCP connection to `host:port`.
    RtuOverTcp { address: String },
    /// RTU frames on a serial port.
    Serial(SerialPort),
}

impl Link {
    /// Whether answers carry no number of their request.
    pub const fn is_rtu(&self) -> bool {
        match self {
            Link::Tcp { .. } => false,
            Link::RtuOverTcp { .. } | Link::Serial(_) => true,
        }
    }
}

/// A serial port: eight data bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SerialPort {
    pub device: PathBuf,
    pub baud: u32,
    pub parity: Parity,
    /// 1 or 2.
    pub stop_bits: u8,
}

/// Of a serial port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parity {
    None,
    Even,
    Odd,
}

/// One device that answers Modbus requests.
#[derive(Debug, Clone)]
pub struct Analyser {
    pub name: String,
    /// Index into [`Gateway::lines`].
    pub line: usize,
    pub unit: u8,
    /// For connecting and for each answer.
    pub timeout: Duration,
    pub blocks: Blocks,
    /// The first rule of the first register that applies gives the flag of all channels.
    pub statuses: Vec<StatusRegister>,
    pub checks: Vec<Check>,
}

/// How registers may be read together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocks {
    /// A request asks for at most so many registers, or so many coils.
    pub max_registers: u16,
    /// Unused registers between two used ones that are read along rather than asking twice.
    pub max_gap: u16,
}

impl Blocks {
    pub const DEFAULT: Blocks = Blocks { max_registers: 120, max_gap: 8 };
}

/// One discharge point and what is measured there.
#[derive(Debug, Clone)]
pub struct Outlet {
    pub code: String,
    /// Time between two scans; divides a minute.
    pub period: Duration,
    /// Sorted by code.
    pub channels: Vec<Channel>,
}

/// One measured quantity and where it comes from.
#[derive(Debug, Clone)]
pub struct Channel {
    pub code: ChannelCode,
    pub source: Source,
}

impl Channel {
    /// Index of the analyser that it is asked from.
    pub fn analyser(&self) -> Option<usize> {
        self.measured().map(|measured| measured.analyser)
    }

    /// Its registers, when it is measured.
    pub fn measured(&self) -> Option<&Measured> {
        match &self.source {
            Source::Register(measured) => Some(measured),
            Source::Constant(_) => None,
        }
    }
}

/// Where a channel's readings come from.
#[derive(Debug, Clone)]
pub enum Source {
    Register(Arc<Measured>),
    /// Not measured: always this value, flagged "set by hand".
    Constant(f64),
}

/// Reads the configuration in a file, with the templates that it names; the environment is laid over it.
///
/// # Errors
/// All problems of the file and of its templates at once.
pub fn load(path: &Path) -> Result<Gateway, Problems> {
    parse_beside(path, &library::text_of(path)?)
}

impl Gateway {
    /// The same, each part of it in memory of its own: what was read beside it can then be given back as a whole. What many channels
    /// have in common is there once.
    #[must_use]
    pub fn compacted(&self) -> Gateway {
        const KINDS: usize = 64;
        let mut gateway = self.clone();
        let mut kinds: Vec<Arc<Conversion>> = Vec::new();
        for channel in gateway.outlets.iter_mut().flat_map(|outlet| &mut outlet.channels) {
            if let Source::Register(measured) = &mut channel.source {
                let known = kinds.iter().find(|known| **known == measured.conversion).cloned();
                let conversion = known.unwrap_or_else(|| Arc::new(*measured.conversion));
                if kinds.len() < KINDS && !kinds.contains(&conversion) {
                    kinds.push(Arc::clone(&conversion));
                }
                *measured = Arc::new(Measured { conversion, ..Measured::clone(measured) });
            }
        }
        gateway
    }
}

/// Reads a configuration as if `text` stood in the file `path`: templates are looked for beside it.
///
/// # Errors
/// All problems of the text and of its templates at once.
pub fn parse_beside(path: &Path, text: &str) -> Result<Gateway, Problems> {
    let beside = path.parent().unwrap_or(Path::new(""));
    read(&path.display().to_string(), text, Library::beside(beside))
}

/// Reads a configuration that is in no file, so that it has no templates; the environment is laid over it.
///
/// # Errors
/// All problems at once.
pub fn parse(file: &str, text: &str) -> Result<Gateway, Problems> {
    read(file, text, Library::none())
}

fn read(file: &str, text: &str, mut library: Library) -> Result<Gateway, Problems> {
    let document = Document::parse(file, text, Overlay::Environment)?;
    let built = reading::gateway(&document, text, &mut library);
    document.also(library.into_problems());
    document.finish(built)
}

#[cfg(test)]
mod tests;
