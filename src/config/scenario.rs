//! The scenario document (`schema = "scenario/1"`): which analysers of which processes are simulated, how their registers
//! are laid out, and what happens when. As checked; how it is read is in `reading`. The demo's is config/scenario-demo.toml.
//!
//! ```toml
//! schema = "scenario/1"
//! seed = 7                                   # optional; the same seed gives the same values at the same time
//!
//! [[outlet]]
//! code = "demo-cement-kiln"
//! process = "cement-kiln"                    # cement-kiln, glass-furnace, carbon-roasting
//!
//! [[outlet.analyser]]
//! name = "gas"
//! listen = "127.0.0.1:0"                     # port 0: any free port
//! unit = 1
//! status = { register = 6, table = "input" } # optional; bits: 0 calibration, 1 maintenance, 2 fault, 3 over range
//! channel = [
//!   { code = "a21026", register = 0, table = "input", type = "f32", order = "CDAB", noise = 0.3, range_max = 300 },
//!   { code = "a19001", register = 2, table = "input", type = "u16", scale = 0.01, noise = 0.02 },
//! ]
//!
//! [[event]]
//! after_s = 20                               # after the start of the simulation
//! for_s = 60                                 # optional; without it: for ever
//! outlet = "demo-cement-kiln"
//! kind = "rise"
//! channel = "a21026"
//! to = 60                                    # in the channel's unit, as measured
//! within_s = 0                               # optional; how long the move takes
//! ```
//! Registers count from 0, as on the wire. Unused registers between used ones read as zero; beyond them is no register.

use std::net::SocketAddr;
use std::time::Duration;

use crate::config::document::{Document, Overlay};
use crate::config::problem::Problems;
use crate::domain::plant::ChannelCode;

mod reading;

/// A whole plant with its timeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// What all randomness comes from.
    pub seed: u64,
    pub outlets: Vec<Outlet>,
    /// In the order of the file; where two touch the same value, the later one wins.
    pub events: Vec<Event>,
}

/// One simulated discharge point.
#[derive(Debug, Clone, PartialEq)]
pub struct Outlet {
    /// Public code, unique.
    pub code: String,
    pub process: Process,
    pub analysers: Vec<Analyser>,
}

/// What burns there; decides levels and their swings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    CementKiln,
    GlassFurnace,
    CarbonRoasting,
}

/// One Modbus TCP server.
#[derive(Debug, Clone, PartialEq)]
pub struct Analyser {
    /// Unique within its outlet.
    pub name: String,
    /// Port 0: any free port.
    pub listen: SocketAddr,
    /// Modbus unit identifier, 1 to 247.
    pub unit: u8,
    pub channels: Vec<Channel>,
    pub status: Option<Place>,
}

/// One measured quantity in its registers.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel {
    /// Unique within its outlet.
    pub code: ChannelCode,
    pub quantity: Quantity,
    pub place: Place,
    pub number: Number,
    /// Value = raw * scale + offset.
    pub scale: f64,
    pub offset: f64,
    /// Amplitude of the measuring noise, in the channel's unit.
    pub noise: f64,
    /// Upper end of the measuring range, in the channel's unit: what is above reads as this, with status bit 3.
    pub range_max: Option<f64>,
}

/// Where a value begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub table: Table,
    /// From 0.
    pub register: u16,
}

/// Which of the two register tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Function 3.
    Holding,
    /// Function 4.
    Input,
}

/// How a number is laid into registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    U16,
    I16,
    U32(Order),
    I32(Order),
    F32(Order),
}

impl Number {
    /// Registers that it takes.
    pub const fn width(self) -> u16 {
        match self {
            Number::U16 | Number::I16 => 1,
            Number::U32(_) | Number::I32(_) | Number::F32(_) => 2,
        }
    }
}

/// The order of four bytes on the wire, A the most significant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Abcd,
    Cdab,
    Badc,
    Dcba,
}

/// What a process can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quantity {
    /// mg/m3 as an in-situ meter sees it: wet, at the gas's own temperature and pressure.
    Dust,
    /// mg/m3, dry, standard state.
    SulphurDioxide,
    /// mg/m3 as NO2, dry, standard state.
    NitrogenOxides,
    /// Percent of the dry gas.
    Oxygen,
    /// Degrees Celsius.
    Temperature,
    /// kPa relative to the ambient.
    StaticPressure,
    /// Percent by volume.
    Moisture,
    /// m/s
    Velocity,
}

impl Quantity {
    /// All with their HJ 212-2017 factor code.
    pub const ALL: [(&'static str, Quantity); 8] = [
        ("a34013", Quantity::Dust),
        ("a21026", Quantity::SulphurDioxide),
        ("a21002", Quantity::NitrogenOxides),
        ("a19001", Quantity::Oxygen),
        ("a01012", Quantity::Temperature),
        ("a01013", Quantity::StaticPressure),
        ("a01014", Quantity::Moisture),
        ("a01011", Quantity::Velocity),
    ];

    /// The quantity of a factor code.
    pub fn of_factor(factor: &str) -> Option<Quantity> {
        Quantity::ALL.iter().find(|(code, _)| *code == factor).map(|(_, quantity)| *quantity)
    }
}

/// Something that happens to one outlet.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Since the start of the simulation.
    pub after: Duration,
    /// `None`: for ever.
    pub lasts: Option<Duration>,
    /// Index into the outlets.
    pub outlet: usize,
    pub kind: EventKind,
}

/// What happens. `analyser` is an index into the outlet's analysers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum EventKind {
    /// One channel moves to a value, whatever the process does.
    Rise { channel: ChannelCode, to: f64, within: Duration },
    /// Air leaks in until the gas has this much oxygen; pollutants and moisture are diluted by it.
    AirLeak { oxygen_percent: f64, within: Duration },
    /// The analyser measures span gas and says so.
    Calibration { analyser: usize },
    /// The analyser goes on measuring and says that people work on it.
    Maintenance { analyser: usize },
    /// The analyser's values stand still, and it says so.
    Fault { analyser: usize },
    /// Connections are accepted, requests never answered.
    SilentAnalyser { analyser: usize },
    /// All analysers of the outlet are silent.
    SilentOutlet,
    /// The fire is out: air in the duct, which cools down.
    StoppedSource,
}

/// Reads and checks a scenario.
///
/// # Errors
/// Every problem of the text at once, each with line and key.
pub fn parse(file: &str, text: &str) -> Result<Scenario, Problems> {
    let document = Document::parse(file, text, Overlay::None)?;
    let scenario = reading::scenario(document.root());
    document.finish(scenario)
}

#[cfg(test)]
mod tests;
