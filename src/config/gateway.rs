//! The gateway's configuration, `schema = "gateway/1"`: broker, spool, lines, analysers, outlets with their channels. config/gateway-example.toml shows every key.

/// How the file is read.
mod reading;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::document::{Document, Overlay};
use crate::config::problem::Problems;
use crate::domain::flag::Flag;
use crate::domain::plant::ChannelCode;
use crate::domain::unit::UnitConversion;

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
    /// SHA-256 of the file's text and of the values that the environment laid over it (all but the password).
    pub hash: [u8; 32],
}

/// Which broker, as whom.
#[derive(Clone)]
pub struct Mqtt {
    pub host: String,
    pub port: u16,
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

/// A register whose content says how far the analyser's other registers can be trusted.
#[derive(Debug, Clone)]
pub struct StatusRegister {
    pub table: Table,
    pub address: u16,
    /// The first that applies gives the flag; none: the analyser says that all is well.
    pub rules: Vec<StatusRule>,
}

/// One meaning of a status register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusRule {
    pub when: StatusCondition,
    pub flag: Flag,
}

/// What a status register holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusCondition {
    /// This bit is set; 0 is the least significant. A coil is bit 0.
    Bit(u8),
    /// The bits under the mask equal this.
    Mask { mask: u16, value: u16 },
    /// The whole word equals this.
    Value(u16),
}

/// A register that says whether one channel's value is good.
#[derive(Debug, Clone)]
pub struct Quality {
    pub table: Table,
    pub address: u16,
    /// Only these bits count.
    pub mask: u16,
    /// Any of these is good.
    pub good: Vec<u16>,
    /// The channel's flag when it is not.
    pub flag: Flag,
}

/// A register that is read along and must hold what the configuration says, as a measuring range, a unit or a serial number.
#[derive(Debug, Clone)]
pub struct Check {
    /// What it is, for people.
    pub name: String,
    pub place: Place,
    pub expected: Expected,
    /// These channels get a fault flag while it does not; empty: all of the analyser's.
    pub channels: Vec<ChannelCode>,
}

/// What a checked register must hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    Number(f64),
    Text(String),
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
    Register(Measured),
    /// Not measured: always this value, flagged "set by hand".
    Constant(f64),
}

/// Registers of an analyser that hold a channel's value.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Index into [`Gateway::analysers`].
    pub analyser: usize,
    pub place: Place,
    pub conversion: Conversion,
    /// For this channel alone; looked at after the analyser's own.
    pub statuses: Vec<StatusRegister>,
    pub quality: Option<Quality>,
    /// A whole multiple of the outlet's period: scans between have no reading of this channel.
    pub period: Duration,
    /// A register that changes with each new result: only a scan that finds it changed carries the value.
    pub fresh: Option<(Table, u16)>,
}

/// A number or text in registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub table: Table,
    /// Address of the first register, 0-based as on the wire.
    pub address: u16,
    pub number: Number,
    pub order: Order,
}

/// From the raw number to the channel's unit: value = (raw x scale + offset) x factor + shift.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conversion {
    pub scale: f64,
    pub offset: f64,
    /// A raw number below this is a broken signal: no value, a fault.
    pub under: Option<f64>,
    /// A raw number above this is above the range: the value, flagged so.
    pub over: Option<f64>,
    /// From the analyser's unit to the channel's.
    pub unit: UnitConversion,
}

impl Conversion {
    /// The raw number is the value.
    pub const NONE: Conversion =
        Conversion { scale: 1.0, offset: 0.0, under: None, over: None, unit: UnitConversion::NONE };
}

/// Which registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// Function code 1; one bit each.
    Coil,
    /// Function code 2; one bit each.
    Discrete,
    /// Function code 3.
    Holding,
    /// Function code 4.
    Input,
}

impl Table {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Table::Coil => "coil",
            Table::Discrete => "discrete",
            Table::Holding => "holding",
            Table::Input => "input",
        }
    }
}

/// How registers hold a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// One coil or discrete input: 0 or 1.
    Bit,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
    /// Four decimal digits in one register.
    Bcd16,
    /// Eight decimal digits in two.
    Bcd32,
    /// So many bits of one register from the bit `low` on, as an unsigned number; 0 is the least significant.
    Bits {
        low: u8,
        count: u8,
    },
    /// So many registers of two characters each; ends at the first NUL.
    Ascii {
        registers: u16,
    },
}

impl Number {
    /// Registers it takes; coils for [`Number::Bit`].
    pub const fn registers(self) -> u16 {
        match self {
            Number::Bit | Number::U16 | Number::I16 | Number::Bcd16 | Number::Bits { .. } => 1,
            Number::U32 | Number::I32 | Number::F32 | Number::Bcd32 => 2,
            Number::U64 | Number::I64 | Number::F64 => 4,
            Number::Ascii { registers } => registers,
        }
    }
}

/// In which order the bytes arrive; A is the most significant. One-register numbers have their bytes exchanged by `BADC` and
/// `DCBA`; numbers of four registers follow the same pattern: `CDAB` is least significant register first, `BADC` bytes exchanged
/// within each register, `DCBA` both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Abcd,
    Cdab,
    Badc,
    Dcba,
}

/// Reads a gateway's configuration; the environment is laid over it.
///
/// # Errors
/// All problems at once.
pub fn parse(file: &str, text: &str) -> Result<Gateway, Problems> {
    let document = Document::parse(file, text, Overlay::Environment)?;
    let hash = reading::hash(text, &document);
    let built = reading::gateway(&mut document.root(), hash);
    document.finish(built)
}

#[cfg(test)]
mod tests;
