//! `[[line]]`, and the links of analysers that name none: whoever writes the same link shares one line.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::check::{self, Check, milliseconds, one_of, small, text};
use crate::config::document::{Document, Overlay, Section};
use crate::config::gateway::{Line, Link, Parity, SerialPort};

const PARITIES: [(&str, Parity); 3] = [("none", Parity::None), ("even", Parity::Even), ("odd", Parity::Odd)];
const SERIAL_KEYS: [&str; 3] = ["baud", "parity", "stop_bits"];
const SLOWEST_ANSWER: Duration = Duration::from_secs(1);

/// All lines, right or not.
pub struct Lines<'d>(Vec<Known<'d>>);

struct Known<'d> {
    name: Option<String>,
    line: Option<Line>,
    /// Of a `[[line]]`.
    section: Option<Section<'d>>,
}

/// All `[[line]]`.
pub fn read<'d>(root: &mut Section<'d>) -> Lines<'d> {
    let mut lines = Lines(Vec::new());
    for mut section in root.tables("line") {
        let name = section.required("name", check::any_text());
        let line = line(&mut section, name.clone());
        if name.is_some() && lines.0.iter().any(|other| other.name == name) {
            section.problem("name", "a name that another line has", "each line has a name of its own");
        }
        if let Some(line) = &line
            && lines.to(&line.link.target()).is_some()
        {
            let found = format!("{:?}, where another line goes", line.link.target());
            section.problem(
                "link",
                &found,
                "one [[line]] for all analysers there: two requests at once would collide",
            );
        }
        lines.0.push(Known { name, line, section: Some(section) });
    }
    lines
}

fn line(section: &mut Section<'_>, name: Option<String>) -> Option<Line> {
    let allowed = "\"tcp://HOST:PORT\", \"rtu+tcp://HOST:PORT\" or \"rtu:///dev/NAME\"";
    let written = section.required("link", text(allowed, Link::from_text));
    let serial = serial(section, written.as_ref());
    let turnaround = section.with_default("turnaround_ms", milliseconds(0..=10_000), Duration::ZERO);
    let usual = written.as_ref().map_or(Duration::ZERO, usual_answer);
    let usual_answer = section.with_default("usual_answer_ms", milliseconds(0..=10_000), usual);
    let slowest_answer =
        section.with_default("slowest_answer_ms", milliseconds(10..=120_000), SLOWEST_ANSWER);
    let link = match written? {
        Link::Serial(port) => {
            let (baud, parity, stop_bits) = serial?;
            Link::Serial(SerialPort { baud, parity, stop_bits, ..port })
        }
        network @ (Link::Tcp { .. } | Link::RtuOverTcp { .. }) => network,
    };
    Some(Line {
        name: name?,
        link,
        turnaround: turnaround?,
        usual_answer: usual_answer?,
        slowest_answer: slowest_answer?,
    })
}

/// `baud`, `parity`, `stop_bits`.
fn serial(section: &mut Section<'_>, link: Option<&Link>) -> Option<(u32, Parity, u8)> {
    if link.is_some_and(|link| !matches!(link, Link::Serial(_))) {
        for key in SERIAL_KEYS {
            section.refuse(key, "only for a serial port, as link = \"rtu:///dev/ttyS0\"");
        }
        return None;
    }
    let baud = section.with_default("baud", small(1200..=921_600), 9600);
    let parity = section.with_default("parity", one_of(&PARITIES), Parity::None);
    let stop_bits = section.with_default("stop_bits", small(1..=2), 1);
    Some((baud?, parity?, stop_bits?))
}

/// The link of an analyser that names no line.
pub fn network_link<'c>() -> Check<'c, Link> {
    let allowed = "\"tcp://HOST:PORT\" or \"rtu+tcp://HOST:PORT\"; a serial port is a [[line]] with link = \"rtu:///dev/NAME\"";
    text(allowed, |text| Link::from_text(text).filter(|link| !matches!(link, Link::Serial(_))))
}

/// `HOST:PORT`.
fn is_address(address: &str) -> bool {
    address.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && !host.contains(['/', '@', ' ']) && port.parse::<u16>().is_ok_and(|port| port != 0)
    })
}

const fn usual_answer(link: &Link) -> Duration {
    Duration::from_millis(if link.is_rtu() { 20 } else { 5 })
}

impl Link {
    /// Of `tcp://HOST:PORT`, `rtu+tcp://HOST:PORT` or `rtu:///dev/NAME`; a serial port with the usual settings.
    pub fn from_text(text: &str) -> Option<Link> {
        if let Some(device) = text.strip_prefix("rtu://") {
            let plain = device.len() > 1 && device.starts_with('/') && !device.contains(char::is_control);
            let port = || SerialPort {
                device: PathBuf::from(device),
                baud: 9600,
                parity: Parity::None,
                stop_bits: 1,
            };
            return plain.then(|| Link::Serial(port()));
        }
        if let Some(address) = text.strip_prefix("rtu+tcp://") {
            return is_address(address).then(|| Link::RtuOverTcp { address: address.to_owned() });
        }
        let address = text.strip_prefix("tcp://")?;
        is_address(address).then(|| Link::Tcp { address: address.to_owned() })
    }

    /// As it is written.
    pub fn text(&self) -> String {
        match self {
            Link::Tcp { address } => format!("tcp://{address}"),
            Link::RtuOverTcp { address } => format!("rtu+tcp://{address}"),
            Link::Serial(port) => format!("rtu://{}", port.device.display()),
        }
    }

    /// Where it goes, whatever is spoken there.
    fn target(&self) -> String {
        match self {
            Link::Tcp { address } | Link::RtuOverTcp { address } => address.clone(),
            Link::Serial(port) => port.device.display().to_string(),
        }
    }
}

impl Lines<'_> {
    /// The names of all that have one of their own.
    pub fn names(&self) -> String {
        let own = self.0.iter().filter(|line| line.section.is_some());
        let names: Vec<&str> = own.filter_map(|line| line.name.as_deref()).collect();
        if names.is_empty() { "there is none".to_owned() } else { names.join(", ") }
    }

    /// Index of the `[[line]]` with this name.
    pub fn named(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|line| line.section.is_some() && line.name.as_deref() == Some(name))
    }

    /// Index of the line that goes there.
    fn to(&self, target: &str) -> Option<usize> {
        self.0.iter().position(|known| known.line.as_ref().is_some_and(|line| line.link.target() == target))
    }

    /// Index of the line with this link, which an analyser in `section` has written; a new one the first time.
    pub fn with_link(&mut self, section: &Section<'_>, link: Link) -> Option<usize> {
        if let Some(index) = self.to(&link.target()) {
            if self.line(index).is_some_and(|line| line.link != link) {
                let found = format!("{:?}, where another line goes with another protocol", link.target());
                section.problem(
                    "link",
                    &found,
                    "one protocol at one address, as the converter there speaks it",
                );
                return None;
            }
            return Some(index);
        }
        let name = link.text();
        let new = Line {
            name: name.clone(),
            turnaround: Duration::ZERO,
            usual_answer: usual_answer(&link),
            slowest_answer: SLOWEST_ANSWER,
            link,
        };
        self.0.push(Known { name: Some(name), line: Some(new), section: None });
        Some(self.0.len() - 1)
    }

    /// A line, if it is right.
    pub fn line(&self, index: usize) -> Option<&Line> {
        self.0.get(index)?.line.as_ref()
    }

    /// An answer that comes after a line is taken for silent could be taken for the answer to the next request.
    pub fn check_slowest(&self, index: usize, analyser: &Section<'_>, timeout: Duration) {
        let Some(known) = self.0.get(index) else { return };
        let Some(line) = known.line.as_ref().filter(|line| line.link.is_rtu()) else { return };
        if timeout <= line.slowest_answer {
            return;
        }
        let (timeout, slowest) = (timeout.as_millis(), line.slowest_answer.as_millis());
        match &known.section {
            Some(section) => section.problem(
                "slowest_answer_ms",
                &format!("{slowest}, with an analyser that has timeout_ms = {timeout}"),
                &format!("at least {timeout}, or a shorter timeout_ms: RTU answers carry no number of their request"),
            ),
            None => analyser.problem(
                "timeout_ms",
                &timeout.to_string(),
                &format!("at most {slowest}, or a [[line]] with a larger slowest_answer_ms instead of `link`"),
            ),
        }
    }

    /// All lines, if all are right.
    pub fn finish(self) -> Option<Vec<Line>> {
        self.0.into_iter().map(|known| known.line).collect()
    }
}

/// In which line of its text a configuration speaks of the line with this name (or link) first, for problems that show when
/// all is read.
pub fn line_of_text(text: &str, name: &str) -> Option<usize> {
    let document = Document::parse("", text, Overlay::None).ok()?;
    let mut root = document.root();
    for (table, key) in [("line", "name"), ("analyser", "link")] {
        for mut section in root.tables(table) {
            if section.optional(key, check::any_text()).flatten().as_deref() == Some(name) {
                return Some(section.line());
            }
        }
    }
    None
}
