//! How long a line is busy with the scans of one tick, and whether that fits between two ticks. Pure. A serial line is computed
//! from its speed; of a network only the analysers' usual answer time is known.

use std::sync::Arc;
use std::time::Duration;

use crate::config::gateway::{Gateway, Line, Link, Parity, SerialPort};
use crate::config::problem::Problem;
use crate::gateway::plan::{Block, Inquiry, answer_bytes, inquiries};

/// Bytes of a request: unit, function, address, count, check sum.
const REQUEST_BYTES: u32 = 8;
/// Bytes of an answer besides its values: unit, function, length, check sum.
const ANSWER_BYTES: u32 = 5;
/// Silence between frames, in half characters (3.5 characters), and in a fixed time above 19,200 baud, as the protocol has it.
const SILENCE_HALF_CHARACTERS: u32 = 7;
const SILENCE_FAST: Duration = Duration::from_micros(1750);
const FAST_BAUD: u32 = 19_200;
/// Share of a period that stays free, in percent.
const FREE_PERCENT: u32 = 10;

/// One line's work for one tick at which all that is on it is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineTime {
    /// Index of the line.
    pub line: usize,
    pub requests: usize,
    pub busy: Duration,
    /// The shortest period of the outlets that use it.
    pub period: Duration,
    /// What one analyser that is silent adds to it, at most.
    pub silence: Duration,
}

impl LineTime {
    /// Whether a tick's work ends before the next tick, with some time to spare.
    pub fn fits(&self) -> bool {
        self.busy <= self.period * (100 - FREE_PERCENT) / 100
    }

    /// Whether it still does when one analyser is silent.
    pub fn fits_with_one_silent(&self) -> bool {
        LineTime { busy: self.busy + self.silence, ..self.clone() }.fits()
    }
}

/// The time of each line that is used.
pub fn lines(config: &Gateway) -> Vec<LineTime> {
    let asked: Vec<(Duration, Vec<Arc<Inquiry>>)> =
        config.outlets.iter().map(|outlet| (outlet.period, inquiries(config, outlet))).collect();
    let of_line = |index: usize, line: &Line| {
        let mut time = LineTime {
            line: index,
            requests: 0,
            busy: Duration::ZERO,
            period: Duration::MAX,
            silence: line.slowest_answer,
        };
        for (period, inquiries) in &asked {
            for inquiry in inquiries {
                let analyser = config.analysers.get(inquiry.analyser);
                if analyser.is_none_or(|analyser| analyser.line != index) {
                    continue;
                }
                time.period = time.period.min(*period);
                time.requests += inquiry.blocks.len();
                time.busy +=
                    inquiry.blocks.iter().map(|planned| request(line, planned.block)).sum::<Duration>();
            }
        }
        time
    };
    let times = config.lines.iter().enumerate().map(|(index, line)| of_line(index, line));
    times.filter(|time| time.requests > 0).collect()
}

/// A problem for each line that cannot do its work in time.
pub fn problems(file: &str, config: &Gateway) -> Vec<Problem> {
    let problem = |time: LineTime| {
        let line = config.lines.get(time.line).map_or("", |line| line.name.as_str());
        Problem {
            file: file.to_owned(),
            line: None,
            key: format!("line {line:?}"),
            found: format!(
                "{} requests a tick that take {} ms, with a period of {} ms",
                time.requests,
                time.busy.as_millis(),
                time.period.as_millis()
            ),
            allowed: format!(
                "at most {FREE_PERCENT} % less than the period: poll less often (period_ms), in fewer blocks (max_gap), or \
                 on more lines or a faster one; `cems gateway plan` shows each request"
            ),
        }
    };
    lines(config).into_iter().filter(|time| !time.fits()).map(problem).collect()
}

/// How long one request takes on a line, with its answer and the silence around.
pub fn request(line: &Line, block: Block) -> Duration {
    let wire = match &line.link {
        Link::Serial(port) => {
            let bytes = REQUEST_BYTES + ANSWER_BYTES + answer_bytes(block);
            character(port) * bytes + silence(port) * 2
        }
        Link::Tcp { .. } | Link::RtuOverTcp { .. } => Duration::ZERO,
    };
    wire + line.usual_answer + line.turnaround
}

/// One character on the wire: a start bit, eight data bits, parity and stop bits.
fn character(port: &SerialPort) -> Duration {
    let parity = match port.parity {
        Parity::None => 0,
        Parity::Even | Parity::Odd => 1,
    };
    let bits = 9 + parity + u32::from(port.stop_bits);
    Duration::from_secs(1) * bits / port.baud.max(1)
}

/// Between two frames.
pub fn silence(port: &SerialPort) -> Duration {
    if port.baud > FAST_BAUD { SILENCE_FAST } else { character(port) * SILENCE_HALF_CHARACTERS / 2 }
}
