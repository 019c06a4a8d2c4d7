//! A Modbus TCP server made by hand, so that it can break every rule. Each register holds its own address.
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::wait::{slowness, slowness_between};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    Serve,
    Hang,
    Exception,
    /// One word less than asked for, in a frame that is right in itself.
    Short,
    /// One word more.
    Long,
    WrongTransaction,
    WrongUnit,
    WrongFunction,
    Garbage,
    HangUp,
    /// The first half of the right answer, and no more.
    HalfFrame,
    /// After the time-out, on the old connection.
    Late,
    /// Every third answer is late, by little more than the time-out.
    OftenLate,
    /// So many answers of a hundred are late, each by a time between these.
    SomeLate {
        percent: u8,
        from: Duration,
        to: Duration,
    },
}

impl Behaviour {
    pub const FAULTS: [Behaviour; 11] = [
        Behaviour::Hang,
        Behaviour::Exception,
        Behaviour::Short,
        Behaviour::Long,
        Behaviour::WrongTransaction,
        Behaviour::WrongUnit,
        Behaviour::WrongFunction,
        Behaviour::Garbage,
        Behaviour::HangUp,
        Behaviour::HalfFrame,
        Behaviour::Late,
    ];
}

pub struct Stub {
    port: u16,
    behaviour: Arc<Mutex<Behaviour>>,
    late: Arc<AtomicU64>,
    asked: Arc<Mutex<Vec<Instant>>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Stub {
    pub async fn start() -> Stub {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let behaviour = Arc::new(Mutex::new(Behaviour::Serve));
        let late = Arc::new(AtomicU64::new(0));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let shared = (Arc::clone(&behaviour), Arc::clone(&late), Arc::clone(&asked));
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, shared.clone()));
            }
        });
        Stub { port, behaviour, late, asked, serving }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn behave(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    /// When each request came.
    pub fn asked(&self) -> Vec<Instant> {
        self.asked.lock().unwrap().clone()
    }

    /// Answers of `SomeLate` that were late and were really written: to a connection that its peer had not been known to have closed.
    pub fn late_answers(&self) -> u64 {
        self.late.load(Ordering::SeqCst)
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// How it behaves, late answers, when it was asked.
type Shared = (Arc<Mutex<Behaviour>>, Arc<AtomicU64>, Arc<Mutex<Vec<Instant>>>);

/// Answers requests of 12 bytes until the peer, or the behaviour, ends it.
async fn converse(mut stream: TcpStream, (behaviour, late, asked): Shared) {
    let mut served = 0_u32;
    let mut request = [0; 12];
    while stream.read_exact(&mut request).await.is_ok() {
        served += 1;
        asked.lock().unwrap().push(cems::clock::monotonic());
        let behaviour = *behaviour.lock().unwrap();
        let mut is_late = false;
        let answer = match behaviour {
            Behaviour::Hang => continue,
            Behaviour::HangUp => return,
            Behaviour::HalfFrame => {
                let whole = frame(&request, request[6], &words(&request, 0));
                whole[..whole.len() / 2].to_vec()
            }
            Behaviour::Garbage => b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
            Behaviour::Exception => frame(&request, request[6], &[request[7] | 0x80, 2]),
            Behaviour::Short => frame(&request, request[6], &words(&request, -1)),
            Behaviour::Long => frame(&request, request[6], &words(&request, 1)),
            Behaviour::WrongUnit => frame(&request, request[6] + 1, &words(&request, 0)),
            Behaviour::WrongTransaction => {
                let mut other = request;
                other[1] = other[1].wrapping_add(1);
                frame(&other, request[6], &words(&request, 0))
            }
            Behaviour::WrongFunction => {
                let mut pdu = words(&request, 0);
                pdu[0] = 7 - pdu[0];
                frame(&request, request[6], &pdu)
            }
            Behaviour::Late => {
                slowness(Duration::from_millis(450)).await;
                frame(&request, request[6], &words(&request, 0))
            }
            Behaviour::OftenLate => {
                if served.is_multiple_of(3) {
                    slowness(Duration::from_millis(22)).await;
                }
                frame(&request, request[6], &words(&request, 0))
            }
            Behaviour::SomeLate { percent, from, to } => {
                is_late = fastrand::u8(0..100) < percent;
                if is_late {
                    slowness_between(from, to).await;
                }
                frame(&request, request[6], &words(&request, 0))
            }
            Behaviour::Serve => frame(&request, request[6], &words(&request, 0)),
        };
        if stream.write_all(&answer).await.is_err() {
            return;
        }
        if is_late {
            late.fetch_add(1, Ordering::SeqCst);
        }
    }
}

fn frame(request: &[u8; 12], unit: u8, pdu: &[u8]) -> Vec<u8> {
    let length = (pdu.len() + 1) as u16;
    let mut frame = vec![request[0], request[1], 0, 0];
    frame.extend(length.to_be_bytes());
    frame.push(unit);
    frame.extend(pdu);
    frame
}

/// The answer's own bytes, with so many words more than asked for.
fn words(request: &[u8; 12], more: i32) -> Vec<u8> {
    let address = u16::from_be_bytes([request[8], request[9]]);
    let count = (i32::from(u16::from_be_bytes([request[10], request[11]])) + more) as u16;
    let mut pdu = vec![request[7], (count * 2) as u8];
    for offset in 0..count {
        pdu.extend((address + offset).to_be_bytes());
    }
    pdu
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_late_answers_are_counted() {
    let stub = Stub::start().await;
    let mut stream = TcpStream::connect(("127.0.0.1", stub.port())).await.unwrap();
    let (from, to) = (Duration::from_millis(1), Duration::from_millis(3));
    for (percent, late) in [(0, 0..=0), (50, 25..=75), (100, 100..=100)] {
        let before = stub.late_answers();
        stub.behave(Behaviour::SomeLate { percent, from, to });
        for address in 0..100 {
            // One input register of unit 7.
            stream.write_all(&[0, address, 0, 0, 0, 6, 7, 4, 0, address, 0, 1]).await.unwrap();
            let mut answer = [0; 11];
            stream.read_exact(&mut answer).await.unwrap();
            assert_eq!(answer, [0, address, 0, 0, 0, 5, 7, 4, 2, 0, address]);
        }
        stub.behave(Behaviour::Serve);
        // The last is counted after it was written.
        stream.write_all(&[0, 0, 0, 0, 0, 6, 7, 4, 0, 0, 0, 1]).await.unwrap();
        stream.read_exact(&mut [0; 11]).await.unwrap();
        let counted = stub.late_answers() - before;
        assert!(late.contains(&counted), "{percent} percent: {counted} of 100");
    }
}
