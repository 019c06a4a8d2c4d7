//! Modbus TCP servers as cheap as can be: a fixed image of registers, answers made on the stack. In each answer the low word of
//! the first value is another, so that no two scans are alike.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A request to read registers: header of seven bytes, function, address, count.
const REQUEST: usize = 12;
/// Header, function, number of bytes.
const HEAD: usize = 9;
/// Registers of an image.
const REGISTERS: usize = 2000;
/// Registers of an answer.
const ANSWER: usize = 125;

type Image = [u8; REGISTERS * 2];

/// So many servers; they end with the runtime.
pub struct Slaves {
    ports: Vec<u16>,
    requests: Arc<AtomicU64>,
}

impl Slaves {
    /// Each with so many runs of registers from 0 on: so many floating-point values, and whole numbers after these.
    pub async fn start(count: usize, runs: usize, (floats, words): (u16, u16)) -> Slaves {
        let requests = Arc::new(AtomicU64::new(0));
        let mut ports = Vec::with_capacity(count);
        for number in 0..count {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            ports.push(listener.local_addr().unwrap().port());
            let image = image(u64::try_from(number).unwrap(), runs, (floats, words));
            let counter = Arc::clone(&requests);
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    stream.set_nodelay(true).unwrap();
                    tokio::spawn(converse(stream, Box::new(image), Arc::clone(&counter)));
                }
            });
        }
        Slaves { ports, requests }
    }

    pub fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// Requests answered so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

/// Values as analysers give them: no round numbers.
fn image(seed: u64, runs: usize, (floats, words): (u16, u16)) -> Image {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut image = [0; REGISTERS * 2];
    let mut bytes = Vec::with_capacity(REGISTERS * 2);
    for _ in 0..runs {
        bytes.extend((0..floats).flat_map(|_| (5.0 + random.f32() * 95.0).to_be_bytes()));
        bytes.extend((0..words).flat_map(|_| random.u16(900..1400).to_be_bytes()));
    }
    image[..bytes.len()].copy_from_slice(&bytes);
    image
}

/// Answers until the peer hangs up. Requests may come in parts, or several at once.
async fn converse(mut stream: TcpStream, mut image: Box<Image>, requests: Arc<AtomicU64>) {
    let mut request = [0; REQUEST];
    let mut answer = [0; HEAD + ANSWER * 2];
    let mut served = 0_u16;
    while stream.read_exact(&mut request).await.is_ok() {
        served = served.wrapping_add(1);
        requests.fetch_add(1, Ordering::Relaxed);
        image[2..4].copy_from_slice(&served.to_be_bytes());
        let length = fill(&mut answer, &request, &image);
        if stream.write_all(&answer[..length]).await.is_err() {
            return;
        }
    }
}

/// The answer to a request; its length.
fn fill(answer: &mut [u8; HEAD + ANSWER * 2], request: &[u8; REQUEST], image: &Image) -> usize {
    let number = |at: usize| usize::from(u16::from_be_bytes([request[at], request[at + 1]]));
    let (function, from, bytes) = (request[7], number(8) * 2, number(10) * 2);
    assert!(function == 3 && from + bytes <= image.len(), "no such registers here: {request:?}");
    answer[..4].copy_from_slice(&[request[0], request[1], 0, 0]);
    answer[4..6].copy_from_slice(&u16::try_from(bytes + 3).unwrap().to_be_bytes());
    answer[6..HEAD].copy_from_slice(&[request[6], function, u8::try_from(bytes).unwrap()]);
    answer[HEAD..HEAD + bytes].copy_from_slice(&image[from..from + bytes]);
    HEAD + bytes
}
