//! A Modbus TCP server made by hand, so that it can break every rule. Each register holds its own address.
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::wait::slowness;

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
    /// After the time-out, on the old connection.
    Late,
    /// Every third answer is late, by little more than the time-out.
    OftenLate,
}

impl Behaviour {
    pub const FAULTS: [Behaviour; 10] = [
        Behaviour::Hang,
        Behaviour::Exception,
        Behaviour::Short,
        Behaviour::Long,
        Behaviour::WrongTransaction,
        Behaviour::WrongUnit,
        Behaviour::WrongFunction,
        Behaviour::Garbage,
        Behaviour::HangUp,
        Behaviour::Late,
    ];
}

pub struct Stub {
    port: u16,
    behaviour: Arc<Mutex<Behaviour>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Stub {
    pub async fn start() -> Stub {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let behaviour = Arc::new(Mutex::new(Behaviour::Serve));
        let shared = Arc::clone(&behaviour);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, Arc::clone(&shared)));
            }
        });
        Stub { port, behaviour, serving }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn behave(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Answers requests of 12 bytes until the peer, or the behaviour, ends it.
async fn converse(mut stream: TcpStream, behaviour: Arc<Mutex<Behaviour>>) {
    let mut served = 0_u32;
    let mut request = [0; 12];
    while stream.read_exact(&mut request).await.is_ok() {
        served += 1;
        let behaviour = *behaviour.lock().unwrap();
        let answer = match behaviour {
            Behaviour::Hang => continue,
            Behaviour::HangUp => return,
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
            Behaviour::Serve => frame(&request, request[6], &words(&request, 0)),
        };
        if stream.write_all(&answer).await.is_err() {
            return;
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
