//! From registers to a channel's value: which registers, how they hold a number, what it becomes, and what says whether it is to be
//! trusted.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::flag::Flag;
use crate::domain::plant::ChannelCode;
use crate::domain::unit::UnitConversion;

/// Registers of an analyser that hold a channel's value.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Index into the analysers of [`crate::config::gateway::Gateway`].
    pub analyser: usize,
    pub place: Place,
    /// The same one for channels that are converted alike.
    pub conversion: Arc<Conversion>,
    /// For this channel alone; looked at after the analyser's own.
    pub statuses: Vec<StatusRegister>,
    pub quality: Option<Box<Quality>>,
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
    /// Whether it is of single bits.
    pub const fn is_bits(self) -> bool {
        match self {
            Table::Coil | Table::Discrete => true,
            Table::Holding | Table::Input => false,
        }
    }

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
