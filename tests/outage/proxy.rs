//! A line between two parts: it passes bytes on, or holds them as a partition does (nothing is lost, as TCP would send it again), refuses, or passes
//! one byte a second.

use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

use crate::support::wait::slowness;

/// What the line does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Pass,
    /// Half-open: connections are accepted and stay, and nothing passes.
    Silent,
    /// Connections break, and new ones break at once.
    Refuse,
    /// One byte a second in each direction.
    Trickle,
    /// What comes from the listening side's client does not go on; answers do.
    HoldOutgoing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Outgoing,
    Incoming,
}

impl Mode {
    fn lets(self, direction: Direction) -> bool {
        match self {
            Mode::Pass | Mode::Trickle => true,
            Mode::Silent | Mode::Refuse => false,
            Mode::HoldOutgoing => direction == Direction::Incoming,
        }
    }
}

/// Where a line leads to.
#[derive(Debug, Clone)]
pub enum Target {
    Port(u16),
    Socket(PathBuf),
}

#[derive(Debug, Clone, Copy)]
struct State {
    mode: Mode,
    /// Counts the cuts: a connection of before one is over.
    cuts: u64,
}

/// A line that listens on a port of its own until it is dropped.
pub struct Proxy {
    port: u16,
    state: watch::Sender<State>,
    listening: tokio::task::JoinHandle<()>,
}

impl Proxy {
    pub async fn to(target: Target) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (state, seen) = watch::channel(State { mode: Mode::Pass, cuts: 0 });
        let listening = tokio::spawn(async move {
            loop {
                let Ok((client, _)) = listener.accept().await else { continue };
                tokio::spawn(carry(client, target.clone(), seen.clone()));
            }
        });
        Proxy { port, state, listening }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn set(&self, mode: Mode) {
        self.state.send_modify(|state| state.mode = mode);
    }

    /// All connections break; what they held is gone.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
        self.listening.abort();
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

async fn carry(client: TcpStream, target: Target, state: watch::Receiver<State>) {
    let (mut over, mut opening) = (state.clone(), state.clone());
    let cuts = state.borrow().cuts;
    let over = over.wait_for(|state| state.cuts != cuts || state.mode == Mode::Refuse);
    let relay = async {
        if opening.wait_for(|state| state.mode != Mode::Silent).await.is_err() {
            return;
        }
        let Ok(server) = connect(target).await else { return };
        let _no_delay = client.set_nodelay(true);
        let (from_client, to_client) = tokio::io::split(client);
        let (from_server, to_server) = tokio::io::split(server);
        tokio::select! {
            () = pump(from_client, to_server, state.clone(), Direction::Outgoing) => {}
            () = pump(from_server, to_client, state.clone(), Direction::Incoming) => {}
        }
    };
    tokio::select! {
        _ = over => {}
        () = relay => {}
    }
}

async fn connect(target: Target) -> std::io::Result<Box<dyn Stream>> {
    Ok(match target {
        Target::Port(port) => {
            let server = TcpStream::connect(("127.0.0.1", port)).await?;
            server.set_nodelay(true)?;
            Box::new(server)
        }
        Target::Socket(path) => Box::new(UnixStream::connect(path).await?),
    })
}

/// Until one side ends.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut state: watch::Receiver<State>,
    direction: Direction,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else { return };
        let mut rest = &buffer[..count];
        while !rest.is_empty() {
            let Ok(seen) = state.wait_for(|state| state.mode.lets(direction)).await.map(|state| *state)
            else {
                return;
            };
            let step = if seen.mode == Mode::Trickle { 1 } else { rest.len() };
            if to.write_all(&rest[..step]).await.is_err() {
                return;
            }
            rest = &rest[step..];
            if seen.mode == Mode::Trickle {
                tokio::select! {
                    () = slowness(Duration::from_secs(1)) => {}
                    _ = state.wait_for(|state| state.mode != Mode::Trickle) => {}
                }
            }
        }
    }
}
