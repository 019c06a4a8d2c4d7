//! The gateway's configuration, `schema = "gateway/1"`: broker, spool, analysers with their links, outlets with their
//! channels. config/gateway-example.toml shows every key.

/// How the file is read.
mod reading;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::broker::Tls;
use crate::config::document::{Document, Overlay};
use crate::config::problem::Problems;
use crate::domain::flag::Flag;
use crate::domain::plant::ChannelCode;

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

/// One device that answers Modbus requests.
#[derive(Debug, Clone)]
pub struct Analyser {
    pub name: String,
    /// `host:port` of its Modbus TCP server.
    pub address: String,
    pub unit: u8,
    /// For connecting and for each answer.
    pub timeout: Duration,
    pub status: Option<StatusRegister>,
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
    /// This bit is set; 0 is the least significant.
    Bit(u8),
    /// The whole word equals this.
    Value(u16),
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

/// One measured quantity and where its registers are.
#[derive(Debug, Clone)]
pub struct Channel {
    pub code: ChannelCode,
    /// Index into [`Gateway::analysers`].
    pub analyser: usize,
    pub table: Table,
    /// Address of the first register, 0-based as on the wire.
    pub address: u16,
    pub number: Number,
    pub order: Order,
    /// value = raw x scale + offset
    pub scale: f64,
    pub offset: f64,
}

/// Which registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// Function code 3.
    Holding,
    /// Function code 4.
    Input,
}

/// How registers hold a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    U16,
    I16,
    U32,
    I32,
    F32,
}

impl Number {
    /// Registers it takes.
    pub const fn words(self) -> u16 {
        match self {
            Number::U16 | Number::I16 => 1,
            Number::U32 | Number::I32 | Number::F32 => 2,
        }
    }
}

/// In which order the bytes arrive; A is the most significant. One-register numbers have their bytes exchanged by `BADC` and
/// `DCBA`.
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
