//! Modbus RTU slaves made by hand, so that they can break every rule: behind a port (RTU over TCP) or at the end of a serial line.
//! Shares no code with the gateway, not even the checksum.
//!
//! Each slave answers its own requests in their order. Slaves that share a line do not wait for each other, so that what one says
//! too late may fall upon the answer of another.
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::gateway::until;
use crate::support::serial_line;
use crate::support::wait::slowness_between;

/// Registers and bits from 0 to this exist.
pub const LAST_ADDRESS: u16 = 0x07FF;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    Serve,
    Hang,
    /// The first half of the right answer, and no more.
    HalfFrame,
    /// Noise on the line.
    Garbage,
    WrongUnit,
    WrongFunction,
    /// One register less than asked for, in a frame that is right in itself.
    Short,
    /// One more.
    Long,
    Exception(u8),
    BadCrc,
    /// So many answers of a hundred are late, each by a time between these.
    Late {
        percent: u8,
        from: Duration,
        to: Duration,
    },
}

impl Behaviour {
    pub const FAULTS: [Behaviour; 9] = [
        Behaviour::Hang,
        Behaviour::HalfFrame,
        Behaviour::Garbage,
        Behaviour::WrongUnit,
        Behaviour::WrongFunction,
        Behaviour::Short,
        Behaviour::Long,
        Behaviour::Exception(4),
        Behaviour::BadCrc,
    ];
}

/// What a register of a unit holds: its own address, with the unit above it (for units up to 31).
pub fn held(unit: u8, address: u16) -> u16 {
    u16::from(unit) << 11 | address & LAST_ADDRESS
}

/// What a coil or a discrete input of a unit holds.
pub fn held_bit(unit: u8, address: u16) -> bool {
    (address / 3 + u16::from(unit)).is_multiple_of(2)
}

/// All that is known of the slaves on one line.
#[derive(Default)]
struct Slaves {
    behaviours: Mutex<BTreeMap<u8, Behaviour>>,
    asked: AtomicU64,
    late: AtomicU64,
}

pub struct RtuStub {
    port: Option<u16>,
    slaves: Arc<Slaves>,
    serving: tokio::task::JoinHandle<()>,
}

impl RtuStub {
    /// Slaves behind a port of their own.
    pub async fn behind_a_port(units: &[u8]) -> RtuStub {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let slaves = slaves(units);
        let shared = Arc::clone(&slaves);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (requests, answers) = stream.into_split();
                tokio::spawn(converse(requests, answers, Arc::clone(&shared)));
            }
        });
        RtuStub { port: Some(port), slaves, serving }
    }

    /// Slaves at the end of a serial line.
    pub fn at(device: &Path, units: &[u8]) -> RtuStub {
        let (requests, answers) = serial_line::open(device).unwrap();
        let slaves = slaves(units);
        let serving = tokio::spawn(converse(requests, answers, Arc::clone(&slaves)));
        RtuStub { port: None, slaves, serving }
    }

    pub fn port(&self) -> u16 {
        self.port.expect("it is behind a port")
    }

    pub fn behave(&self, unit: u8, behaviour: Behaviour) {
        let known = self.slaves.behaviours.lock().unwrap().insert(unit, behaviour);
        assert!(known.is_some(), "no unit {unit} on this line");
    }

    /// Requests that were understood, whosever they were.
    pub fn asked(&self) -> u64 {
        self.slaves.asked.load(Ordering::SeqCst)
    }

    /// Late answers that were really written.
    pub fn late_answers(&self) -> u64 {
        self.slaves.late.load(Ordering::SeqCst)
    }
}

impl Drop for RtuStub {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn slaves(units: &[u8]) -> Arc<Slaves> {
    assert!(units.iter().all(|unit| *unit < 32), "its registers tell units up to 31 apart");
    let behaviours = Mutex::new(units.iter().map(|unit| (*unit, Behaviour::Serve)).collect());
    Arc::new(Slaves { behaviours, ..Slaves::default() })
}

/// A request as it comes: unit, function, address, count, checksum.
type Request = [u8; 8];

/// Hands each request to its slave, until nobody asks any more.
async fn converse<R, W>(mut requests: R, answers: W, slaves: Arc<Slaves>)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let line = Arc::new(tokio::sync::Mutex::new(answers));
    let mut ears: BTreeMap<u8, mpsc::UnboundedSender<Request>> = BTreeMap::new();
    for unit in slaves.behaviours.lock().unwrap().keys() {
        let (ear, heard) = mpsc::unbounded_channel();
        tokio::spawn(answer_in_order(heard, Arc::clone(&line), Arc::clone(&slaves)));
        ears.insert(*unit, ear);
    }
    let mut request: Request = [0; 8];
    let mut known = 0;
    loop {
        if requests.read_exact(&mut request[known..]).await.is_err() {
            return;
        }
        if checksum(&request[..6]) != u16::from_le_bytes([request[6], request[7]]) {
            // Out of step: the next request begins at some later byte.
            request.rotate_left(1);
            known = 7;
            continue;
        }
        known = 0;
        slaves.asked.fetch_add(1, Ordering::SeqCst);
        if let Some(ear) = ears.get(&request[0]) {
            let _ended = ear.send(request);
        }
    }
}

/// One slave.
async fn answer_in_order<W: AsyncWrite + Unpin>(
    mut heard: mpsc::UnboundedReceiver<Request>,
    line: Arc<tokio::sync::Mutex<W>>,
    slaves: Arc<Slaves>,
) {
    while let Some(request) = heard.recv().await {
        let behaviour = slaves.behaviours.lock().unwrap()[&request[0]];
        let mut late = false;
        if let Behaviour::Late { percent, from, to } = behaviour {
            late = fastrand::u8(0..100) < percent;
            if late {
                slowness_between(from, to).await;
            }
        }
        let Some(answer) = answer(request, behaviour) else { continue };
        let mut line = line.lock().await;
        let written = line.write_all(&answer).await.is_ok() && line.flush().await.is_ok();
        if written && late {
            slaves.late.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// What a slave says, and whether anything.
fn answer(request: Request, behaviour: Behaviour) -> Option<Vec<u8>> {
    let [unit, function, ..] = request;
    let right = || framed(unit, &pdu(request, 0));
    Some(match behaviour {
        Behaviour::Serve | Behaviour::Late { .. } => right(),
        Behaviour::Hang => return None,
        Behaviour::HalfFrame => {
            let whole = right();
            whole[..whole.len() / 2].to_vec()
        }
        Behaviour::Garbage => (0..fastrand::usize(3..40)).map(|_| fastrand::u8(..)).collect(),
        Behaviour::WrongUnit => framed(unit ^ 0x10, &pdu(request, 0)),
        Behaviour::WrongFunction => {
            let mut pdu = pdu(request, 0);
            pdu[0] = if function == 3 { 4 } else { 3 };
            framed(unit, &pdu)
        }
        Behaviour::Short => framed(unit, &pdu(request, -1)),
        Behaviour::Long => framed(unit, &pdu(request, 1)),
        Behaviour::Exception(code) => framed(unit, &[function | 0x80, code]),
        Behaviour::BadCrc => {
            let mut whole = right();
            let last = whole.len() - 1;
            whole[last] ^= 0x01;
            whole
        }
    })
}

/// The answer without its frame, with so many registers (or bytes of bits) more than asked for.
fn pdu(request: Request, more: i32) -> Vec<u8> {
    let [unit, function, ..] = request;
    let address = u16::from_be_bytes([request[2], request[3]]);
    let count = u16::from_be_bytes([request[4], request[5]]);
    let exists = count > 0 && address.checked_add(count - 1).is_some_and(|last| last <= LAST_ADDRESS);
    let data: Vec<u8> = match function {
        _ if !exists => return vec![function | 0x80, 2],
        1 | 2 => {
            let mut bytes = vec![0; (i32::from(count.div_ceil(8)) + more) as usize];
            for bit in 0..count {
                if let Some(byte) = bytes.get_mut(usize::from(bit / 8)) {
                    *byte |= u8::from(held_bit(unit, address + bit)) << (bit % 8);
                }
            }
            bytes
        }
        3 | 4 => {
            let count = (i32::from(count) + more) as u16;
            (0..count).flat_map(|offset| held(unit, address + offset).to_be_bytes()).collect()
        }
        _ => return vec![function | 0x80, 1],
    };
    [&[function, data.len() as u8], data.as_slice()].concat()
}

/// As it goes over the line.
pub fn framed(unit: u8, pdu: &[u8]) -> Vec<u8> {
    let mut frame = vec![unit];
    frame.extend(pdu);
    let checksum = checksum(&frame);
    frame.extend(checksum.to_le_bytes());
    frame
}

/// The remainder of a division by x^16 + x^15 + x^2 + 1, bit by bit, lowest bit first, from all ones.
pub fn checksum(bytes: &[u8]) -> u16 {
    let bits = bytes.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1));
    bits.fold(0xFFFF, |rest: u16, bit| {
        let carry = (rest & 1 == 1) != bit;
        rest >> 1 ^ if carry { 0xA001 } else { 0 }
    })
}

/// One exchange with the slaves, as a master would: what was heard until it had `wanted` bytes, or for `patience`.
pub async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    line: &mut S,
    request: [u8; 6],
    wanted: usize,
    patience: Duration,
) -> Vec<u8> {
    let mut frame = request.to_vec();
    frame.extend(checksum(&request).to_le_bytes());
    line.write_all(&frame).await.unwrap();
    let mut heard = Vec::new();
    let hearing = async {
        while heard.len() < wanted {
            let mut some = [0; 256];
            let read = line.read(&mut some).await.unwrap();
            heard.extend(&some[..read]);
        }
    };
    let _some_or_all = tokio::time::timeout(patience, hearing).await;
    heard
}

const LONG: Duration = Duration::from_secs(10);

#[test]
fn the_checksum_is_that_of_the_specification() {
    // Modbus over serial line V1.02, appendix B: of 0x02 0x07 it is 0x1241, sent low byte first as 0x41 0x12.
    assert_eq!(checksum(&[0x02, 0x07]), 0x1241);
    // The check value of the catalogues.
    assert_eq!(checksum(b"123456789"), 0x4B37);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_behaviour_is_what_it_says() {
    let stub = RtuStub::behind_a_port(&[1, 17]).await;
    let mut line = tokio::net::TcpStream::connect(("127.0.0.1", stub.port())).await.unwrap();
    // Two input registers from 5, of unit 17.
    let request = [17, 4, 0, 5, 0, 2];
    let right = framed(17, &[4, 4, 17 << 3, 5, 17 << 3, 6]);
    assert_eq!(ask(&mut line, request, 9, LONG).await, right);
    assert_eq!(held(17, 5), u16::from_be_bytes([right[3], right[4]]));
    let as_sent = [17, 4, 0, 5, 0, 2, 0, 0];
    assert!(Behaviour::FAULTS.iter().all(|fault| answer(as_sent, *fault).is_none_or(|said| said != right)));
    // Out of step, it finds the next request.
    line.write_all(&[17, 4, 0]).await.unwrap();
    assert_eq!(ask(&mut line, request, 9, LONG).await, right);

    for (behaviour, heard) in [
        (Behaviour::HalfFrame, right[..4].to_vec()),
        (Behaviour::WrongUnit, framed(1, &right[1..7])),
        (Behaviour::WrongFunction, framed(17, &[&[3], &right[2..7]].concat())),
        (Behaviour::Short, framed(17, &[4, 2, 17 << 3, 5])),
        (Behaviour::Long, framed(17, &[4, 6, 17 << 3, 5, 17 << 3, 6, 17 << 3, 7])),
        (Behaviour::Exception(6), framed(17, &[0x84, 6])),
        (Behaviour::BadCrc, [&right[..8], &[right[8] ^ 1]].concat()),
    ] {
        stub.behave(17, behaviour);
        assert_eq!(ask(&mut line, request, heard.len(), LONG).await, heard, "{behaviour:?}");
    }
    stub.behave(17, Behaviour::Garbage);
    let garbage = ask(&mut line, request, 3, LONG).await;
    assert!(garbage.len() >= 3 && !garbage.starts_with(&right));
    stub.behave(17, Behaviour::Hang);
    // The rest of the garbage may be under way still.
    let little = Duration::from_millis(50);
    ask(&mut line, request, usize::MAX, little).await;
    assert_eq!(ask(&mut line, request, usize::MAX, little).await, b"");
    assert_eq!(ask(&mut line, [9, 4, 0, 5, 0, 2], usize::MAX, little).await, b"", "there is no unit 9");

    // The other slave never noticed. Nine coils from 2; 4 of them in the first byte say no.
    let coils = (2..11).map(|address| held_bit(1, address)).collect::<Vec<_>>();
    assert_eq!(coils, [false, true, true, true, false, false, false, true, true]);
    assert_eq!(ask(&mut line, [1, 1, 0, 2, 0, 9], 7, LONG).await, framed(1, &[1, 2, 0b1000_1110, 1]));
    assert_eq!(ask(&mut line, [1, 3, 7, 255, 0, 2], 5, LONG).await, framed(1, &[0x83, 2]), "beyond the last");
    assert_eq!(
        ask(&mut line, [1, 6, 0, 0, 0, 1], 5, LONG).await,
        framed(1, &[0x86, 1]),
        "nothing is written"
    );
    assert_eq!(stub.asked(), 16);
    assert_eq!(stub.late_answers(), 0);
}

/// On a serial line, where nothing but its content tells whose a late answer is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_answers_are_counted_and_come_all() {
    let Some(line) = serial_line::SerialLine::lay().await else { return };
    let stub = RtuStub::at(&line.slave(), &[1, 2]);
    let (input, output) = serial_line::open(&line.master()).unwrap();
    let mut master = tokio::io::join(input, output);
    let late = |percent| {
        let (from, to) = (Duration::from_millis(10), Duration::from_millis(30));
        Behaviour::Late { percent, from, to }
    };
    stub.behave(1, late(50));
    let mut heard = Vec::new();
    for address in 0..100 {
        heard.extend(ask(&mut master, [1, 3, 0, address, 0, 1], 7, Duration::from_millis(8)).await);
    }
    while heard.len() < 700 {
        let mut some = [0; 256];
        let read = tokio::time::timeout(LONG, master.read(&mut some)).await.unwrap().unwrap();
        heard.extend(&some[..read]);
    }
    let expected: Vec<u8> = (0..100).flat_map(|address| framed(1, &[3, 2, 1 << 3, address])).collect();
    assert_eq!(heard, expected, "all of them, in order");
    stub.behave(1, late(0));
    // The last is counted after it was written, and before the next.
    ask(&mut master, [1, 3, 0, 0, 0, 1], 7, LONG).await;
    let counted = stub.late_answers();
    assert!((25..=75).contains(&counted), "about half of 100, not {counted}");
    // The late answer of one falls upon the other's turn.
    let slow = Duration::from_millis(500);
    stub.behave(1, Behaviour::Late { percent: 100, from: slow, to: slow });
    ask(&mut master, [1, 3, 0, 7, 0, 1], 7, Duration::from_millis(1)).await;
    let both = ask(&mut master, [2, 3, 0, 8, 0, 1], 14, LONG).await;
    assert_eq!(both, [framed(2, &[3, 2, 2 << 3, 8]), framed(1, &[3, 2, 1 << 3, 7])].concat());
    until("it is counted", || stub.late_answers() == counted + 1).await;
}
