//! The Modbus client of one line: one request at a time, and no answer is ever taken for an answer to another request.
//!
//! Over Modbus TCP the connection is dropped after a time-out, a broken link or an answer that does not belong to the request:
//! whatever still arrives on it is never read. On RTU lines answers carry no number, so after such a fault the line is silent until
//! the slowest answer that the configuration allows would be over, and what has arrived is read away. An analyser that answers
//! later than that cannot be told from one that answers the next request: with `slowest_answer_ms` the operator vouches for it, and
//! the plan makes neighbouring requests differ in length as a second guard.
//!
//! Nothing here writes to an analyser: only the functions 1 to 4 are known. Requests go through `call`, because the crate's read
//! functions assert the answer's length in debug builds.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::task::{self, Poll};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_modbus::client::{Client as _, Context, rtu, tcp};
use tokio_modbus::slave::SlaveContext as _;
use tokio_modbus::{ExceptionCode, Request, Response, Slave};

use crate::clock;
use crate::config::gateway::{Line, Link, Table};
use crate::gateway::plan::Block;
use crate::gateway::plan::bus_time;
use crate::gateway::wire::Wire;

/// Between attempts to open a line, and between questions to a silent analyser that has a line of its own.
const BACK_OFF_MAX: Duration = Duration::from_secs(5);
/// Between questions to a silent analyser on an RTU line, where each costs the others the slowest answer.
const BACK_OFF_MAX_RTU: Duration = Duration::from_secs(30);
/// A frame on an RTU-over-TCP line is not torn apart for longer.
const SILENCE_ON_NETWORK: Duration = Duration::from_millis(5);

/// Why a block has no answer, by whose fault.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("no answer in time")]
    Timeout,
    #[error("no link: {0}")]
    Link(io::Error),
    #[error("not tried again before its back-off is over")]
    Resting,
    #[error(
        "no time left on its line: too much is asked on it, or it is silent after another analyser's fault"
    )]
    NoTime,
    #[error("the analyser refused with exception {0}; check the register addresses")]
    Exception(ExceptionCode),
    #[error("the answer does not fit the request: {0}")]
    Answer(String),
}

impl Fault {
    /// One word for counting.
    pub fn outcome(&self) -> &'static str {
        match self {
            Fault::Timeout | Fault::NoTime => "timeout",
            Fault::Link(_) | Fault::Resting => "link",
            Fault::Exception(_) => "exception",
            Fault::Answer(_) => "answer",
        }
    }

    /// Whether the analyser answered us and can be asked on.
    pub fn is_exception(&self) -> bool {
        matches!(self, Fault::Exception(_))
    }

    /// Whether it is the registers that are refused, not the moment.
    pub fn is_about_registers(&self) -> bool {
        matches!(self, Fault::Exception(ExceptionCode::IllegalDataAddress | ExceptionCode::IllegalDataValue))
    }
}

/// Whom to ask, and how long to wait.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    pub unit: u8,
    pub timeout: Duration,
    /// After this nobody waits for the answer any more.
    pub deadline: Instant,
}

/// The client of one line.
pub struct Client {
    line: Line,
    open: Option<Open>,
    /// Attempts to open the line that failed in a row.
    closed: Rest,
    units: BTreeMap<u8, Rest>,
    /// On RTU lines: an answer to a request that was given up may come until then.
    quiet_until: Option<Instant>,
    last_end: Instant,
    late: u64,
}

struct Open {
    context: Context,
    wire: Wire,
}

/// Faults in a row, and until when nothing is tried.
#[derive(Debug, Clone, Copy)]
struct Rest {
    failures: u32,
    until: Instant,
}

impl Rest {
    fn none() -> Rest {
        Rest { failures: 0, until: clock::monotonic() }
    }

    fn failed(&mut self, longest: Duration) {
        self.failures = self.failures.saturating_add(1);
        self.until = clock::monotonic() + back_off(self.failures, longest);
    }

    fn is_over(self) -> bool {
        clock::monotonic() >= self.until
    }
}

impl Client {
    /// Not yet connected.
    pub fn new(line: Line) -> Client {
        Client {
            line,
            open: None,
            closed: Rest::none(),
            units: BTreeMap::new(),
            quiet_until: None,
            last_end: clock::monotonic(),
            late: 0,
        }
    }

    /// Whether this unit answered when it was asked last.
    pub fn is_well(&self, unit: u8) -> bool {
        self.units.get(&unit).is_none_or(|rest| rest.failures == 0)
    }

    /// Bursts of bytes that came when nobody had asked: answers that were too late. Only RTU lines see them.
    pub fn late_answers(&self) -> u64 {
        self.late
    }

    /// The words of one block, exactly as many as asked for; one a coil, 0 or 1.
    ///
    /// # Errors
    /// A [`Fault`]; after any but an exception what still arrives is never read as an answer.
    pub async fn read(&mut self, block: Block, asked: Asked) -> Result<Vec<u16>, Fault> {
        if !self.closed.is_over() || self.units.get(&asked.unit).is_some_and(|rest| !rest.is_over()) {
            return Err(Fault::Resting);
        }
        self.open(asked).await?;
        self.fall_silent(asked).await?;
        let result = self.exchange(block, asked).await;
        self.last_end = clock::monotonic();
        let rest = self.units.entry(asked.unit).or_insert_with(Rest::none);
        match &result {
            // A converter that cannot reach the analyser behind it: asking on would cost its time-out each time.
            Err(Fault::Exception(ExceptionCode::GatewayTargetDevice)) => rest.failed(BACK_OFF_MAX),
            Ok(_) | Err(Fault::Exception(_)) => rest.failures = 0,
            Err(Fault::Resting | Fault::NoTime) => {}
            Err(Fault::Timeout | Fault::Link(_) | Fault::Answer(_)) => {
                rest.failed(if self.line.link.is_rtu() { BACK_OFF_MAX_RTU } else { BACK_OFF_MAX });
            }
        }
        result
    }

    async fn open(&mut self, asked: Asked) -> Result<(), Fault> {
        if self.open.is_some() {
            return Ok(());
        }
        let opened = in_time(time_left(asked), Wire::open(&self.line.link)).await;
        let wire = match opened.map(|opened| opened.map_err(Fault::Link)) {
            Ok(Ok(wire)) => wire,
            Ok(Err(fault)) | Err(fault) => {
                self.closed.failed(BACK_OFF_MAX);
                return Err(fault);
            }
        };
        self.closed = Rest::none();
        self.open = Some(Open { context: attach(&self.line.link, &wire, asked.unit), wire });
        Ok(())
    }

    /// Waits until the next request may be sent: the line's turnaround, and on RTU lines until nothing late can come.
    async fn fall_silent(&mut self, asked: Asked) -> Result<(), Fault> {
        let mut pause = self.line.turnaround;
        if self.line.link.is_rtu() {
            pause = pause.max(frame_silence(&self.line.link));
            if let Some(until) = self.quiet_until {
                if until >= asked.deadline {
                    return Err(Fault::NoTime);
                }
                tokio::time::sleep_until(until.into()).await;
                self.quiet_until = None;
            }
        }
        if !pause.is_zero() {
            tokio::time::sleep_until((self.last_end + pause).into()).await;
        }
        if self.line.link.is_rtu() {
            self.clear(asked).await?;
        }
        Ok(())
    }

    /// Reads away what came unasked. As long as something comes, nobody is asked.
    async fn clear(&mut self, asked: Asked) -> Result<(), Fault> {
        let Some(wire) = self.open.as_ref().map(|open| open.wire.clone()) else { return Err(Fault::Resting) };
        let silence = frame_silence(&self.line.link);
        let clearing = async {
            match wire.drain().await {
                Ok(0) => Ok(0),
                Ok(bytes) => wire.drain_until_silent(silence).await.map(|more| bytes + more),
                Err(error) => Err(error),
            }
        };
        match in_time(time_left(asked), clearing).await {
            Ok(Ok(0)) => Ok(()),
            Ok(Ok(_bytes)) => {
                self.late += 1;
                Ok(())
            }
            Ok(Err(error)) => {
                self.open = None;
                Err(Fault::Link(error))
            }
            // A line that never falls silent.
            Err(_) => Err(Fault::Answer("bytes arrive that nobody asked for".to_owned())),
        }
    }

    async fn exchange(&mut self, block: Block, asked: Asked) -> Result<Vec<u16>, Fault> {
        let Some(open) = &mut self.open else { return Err(Fault::Resting) };
        // A request that cannot be answered in time would only make the line silent afterwards.
        let needed = asked.timeout.min(bus_time::request(&self.line, block) * 2);
        if asked.deadline.saturating_duration_since(clock::monotonic()) < needed {
            return Err(Fault::NoTime);
        }
        open.context.set_slave(Slave(asked.unit));
        let sent = clock::monotonic();
        let answer = in_time(time_left(asked), open.context.call(request(block))).await;
        let result = answer.and_then(|answer| checked(block, answer));
        match &result {
            Ok(_) | Err(Fault::Exception(_) | Fault::Resting | Fault::NoTime) => {}
            Err(Fault::Timeout | Fault::Answer(_)) if self.line.link.is_rtu() => {
                self.quiet_until = Some(sent + self.line.slowest_answer);
                // What the client has read of the answer goes with it.
                open.context = attach(&self.line.link, &open.wire, asked.unit);
            }
            Err(Fault::Timeout | Fault::Answer(_) | Fault::Link(_)) => self.open = None,
        }
        result
    }
}

/// In which frames requests and answers travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    Tcp,
    Rtu,
}

/// What a fresh client makes of these bytes as the answer to its first request: the very same path, without a line.
///
/// # Errors
/// A [`Fault`]; [`Fault::Link`] when the bytes end before there is an answer.
pub fn answer(framing: Framing, unit: u8, block: Block, bytes: &[u8]) -> Result<Vec<u16>, Fault> {
    let heard = Heard(io::Cursor::new(bytes.to_vec()));
    let mut context = match framing {
        Framing::Tcp => tcp::attach_slave(heard, Slave(unit)),
        Framing::Rtu => rtu::attach_slave(heard, Slave(unit)),
    };
    // Nothing in it waits.
    context.call(request(block)).now_or_never().map_or(Err(Fault::Timeout), |answer| checked(block, answer))
}

/// A line on which everything has been said already.
#[derive(Debug)]
struct Heard(io::Cursor<Vec<u8>>);

impl AsyncRead for Heard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Heard {
    fn poll_write(self: Pin<&mut Self>, _: &mut task::Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn attach(link: &Link, wire: &Wire, unit: u8) -> Context {
    if link.is_rtu() {
        rtu::attach_slave(wire.clone(), Slave(unit))
    } else {
        tcp::attach_slave(wire.clone(), Slave(unit))
    }
}

const fn request(block: Block) -> Request<'static> {
    match block.table {
        Table::Coil => Request::ReadCoils(block.address, block.count),
        Table::Discrete => Request::ReadDiscreteInputs(block.address, block.count),
        Table::Holding => Request::ReadHoldingRegisters(block.address, block.count),
        Table::Input => Request::ReadInputRegisters(block.address, block.count),
    }
}

/// The words, if the answer is one to this request.
fn checked(
    block: Block,
    answer: Result<Result<Response, ExceptionCode>, tokio_modbus::Error>,
) -> Result<Vec<u16>, Fault> {
    let response = answer.map_err(|error| match error {
        tokio_modbus::Error::Protocol(error) => Fault::Answer(error.to_string()),
        // Bytes that make no frame.
        tokio_modbus::Error::Transport(error)
            if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) =>
        {
            Fault::Answer(error.to_string())
        }
        tokio_modbus::Error::Transport(error) => Fault::Link(error),
    })?;
    let count = usize::from(block.count);
    match (block.table, response.map_err(Fault::Exception)?) {
        (Table::Coil, Response::ReadCoils(bits)) | (Table::Discrete, Response::ReadDiscreteInputs(bits)) => {
            let whole = count.div_ceil(8) * 8;
            if bits.len() != whole && bits.len() != count {
                return Err(Fault::Answer(format!("asked for {count} bits, got {}", bits.len())));
            }
            Ok(bits.iter().take(count).map(|bit| u16::from(*bit)).collect())
        }
        (Table::Holding, Response::ReadHoldingRegisters(words))
        | (Table::Input, Response::ReadInputRegisters(words)) => {
            if words.len() != count {
                return Err(Fault::Answer(format!("asked for {count} registers, got {}", words.len())));
            }
            Ok(words)
        }
        (Table::Coil | Table::Discrete | Table::Holding | Table::Input, other) => {
            Err(Fault::Answer(format!("an answer of another kind: {other:?}")))
        }
    }
}

/// How long the line must be still for a frame to be over.
fn frame_silence(link: &Link) -> Duration {
    match link {
        Link::Serial(port) => bus_time::silence(port),
        Link::Tcp { .. } | Link::RtuOverTcp { .. } => SILENCE_ON_NETWORK,
    }
}

fn time_left(asked: Asked) -> Duration {
    asked.timeout.min(asked.deadline.saturating_duration_since(clock::monotonic()))
}

async fn in_time<T>(left: Duration, work: impl Future<Output = T>) -> Result<T, Fault> {
    tokio::time::timeout(left, work).await.map_err(|_elapsed| Fault::Timeout)
}

/// None after the first failure (most are one lost packet), then 0.25 s doubling to the longest.
fn back_off(failures: u32, longest: Duration) -> Duration {
    match failures {
        0 | 1 => Duration::ZERO,
        more => Duration::from_millis(125 << (more - 1).min(10)).min(longest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_one_only_when_all_of_it_fits() {
        let block = Block::new(Table::Holding, 0, 2);
        let tcp = [0, 0, 0, 0, 0, 7, 9, 3, 4, 0x41, 0xFA, 0, 1];
        assert_eq!(answer(Framing::Tcp, 9, block, &tcp).unwrap(), [0x41FA, 1]);
        // unit, function, bytes, values, checksum
        let rtu = [9, 3, 4, 0x41, 0xFA, 0, 1, 0x46, 0x63];
        let checksum = crc_of(&rtu[..7]);
        let right = [&rtu[..7], &checksum].concat();
        assert_eq!(answer(Framing::Rtu, 9, block, &right).unwrap(), [0x41FA, 1]);
        for place in 0..tcp.len() {
            let mut other = tcp;
            other[place] ^= 0x10;
            let changed = answer(Framing::Tcp, 9, block, &other);
            assert_eq!(changed.is_ok(), place >= 9, "byte {place}: only a value may differ");
        }
        for place in 0..right.len() {
            let mut other = right.clone();
            other[place] ^= 0x10;
            assert!(answer(Framing::Rtu, 9, block, &other).is_err(), "byte {place}");
            assert!(answer(Framing::Rtu, 9, block, &right[..place]).is_err(), "{place} bytes");
        }
    }

    fn crc_of(bytes: &[u8]) -> [u8; 2] {
        let mut rest = 0xFFFF_u16;
        for byte in bytes {
            rest ^= u16::from(*byte);
            for _ in 0..8 {
                rest = if rest & 1 == 1 { rest >> 1 ^ 0xA001 } else { rest >> 1 };
            }
        }
        rest.to_le_bytes()
    }

    #[test]
    fn one_failure_is_forgiven_and_many_are_bounded() {
        assert_eq!(back_off(1, BACK_OFF_MAX), Duration::ZERO);
        assert_eq!(back_off(2, BACK_OFF_MAX), Duration::from_millis(250));
        assert_eq!(back_off(u32::MAX, BACK_OFF_MAX), BACK_OFF_MAX);
        assert_eq!(back_off(u32::MAX, BACK_OFF_MAX_RTU), BACK_OFF_MAX_RTU);
    }
}
