//! TLS to the broker, from outside rumqttc: its own TLS would bring crates with advisories (docs/decisions/tls.md). We make the
//! connection and the handshake ourselves; rumqttc speaks to a socket of this process that has no file, and what passes there is
//! carried over. Nobody else can use that socket: who connects to it must be this very process.

use std::io;
use std::time::Duration;

use jiff::Timestamp;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncWriteExt as _, copy, split};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::clock;
use crate::config::broker::Tls;
use crate::mqtt::refusal::{self, Broker};
use crate::mqtt::tls::{Keys, load};

/// For the connection and the handshake together.
const CONNECT: Duration = Duration::from_secs(5);
/// A disk that takes longer is not waited for.
const READ: Duration = Duration::from_secs(2);
/// For what the broker still has to say when it takes nothing more.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// How the way to a broker is protected: the files, and what they held when they were last good.
pub struct Guard {
    files: Tls,
    keys: Option<Keys>,
}

impl Guard {
    pub fn new(files: Tls) -> Guard {
        Guard { files, keys: None }
    }

    /// Connects and shakes hands. The files are read again each time, so that a renewed certificate is taken without a restart;
    /// where that fails, what was read before serves on.
    ///
    /// # Errors
    /// A sentence that says why there is no way to the broker.
    pub async fn open(&mut self, at: Broker<'_>) -> Result<Tunnel, String> {
        let keys = self.keys().await?;
        let connecting = async {
            let line = connect(at).await.map_err(|error| refusal::no_broker(at, &error))?;
            self.shake_hands(at, &keys, line).await
        };
        let line = tokio::time::timeout(CONNECT, connecting).await.unwrap_or_else(|_late| {
            let seconds = CONNECT.as_secs();
            Err(format!("no TLS with {at} within {seconds} s; look whether it hangs, or correct mqtt.url"))
        })?;
        let name = format!("\0cems-{}-{}", std::process::id(), uuid::Uuid::now_v7().simple());
        let inside = UnixListener::bind(&name).map_err(|error| {
            format!("no socket within this process: {error}; look at the limit of open files")
        })?;
        let relay = tokio::spawn(relay(inside, line));
        Ok(Tunnel { name, certificate_until: keys.certificate_until, relay })
    }

    /// What an error of reading or writing means, where it is one of TLS.
    pub fn explain(&self, at: Broker<'_>, error: &io::Error) -> Option<String> {
        refusal::of_tls(at, &self.files, error)
    }

    async fn shake_hands(
        &self,
        at: Broker<'_>,
        keys: &Keys,
        line: TcpStream,
    ) -> Result<TlsStream<TcpStream>, String> {
        let name = ServerName::try_from(at.host.to_owned()).map_err(|_invalid| {
            format!("{:?} is no name that a certificate can have; correct mqtt.url", at.host)
        })?;
        let shaking = TlsConnector::from(keys.config.clone()).connect(name, line).await;
        shaking.map_err(|error| self.explain(at, &error).unwrap_or_else(|| refusal::hung_up(at)))
    }

    async fn keys(&mut self) -> Result<Keys, String> {
        let files = self.files.clone();
        let reading = tokio::task::spawn_blocking(move || load(&files, clock::now()));
        let found = match tokio::time::timeout(READ, reading).await {
            Ok(Ok(Ok(keys))) => return Ok(self.keys.insert(keys).clone()),
            Ok(Ok(Err(problems))) => {
                let problems: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
                problems.join("; ")
            }
            Ok(Err(_)) | Err(_) => {
                let file = self.files.ca.path.display();
                format!("the files of mqtt.tls ({file}) are not read in time; look at their disk")
            }
        };
        self.keys.clone().ok_or(found)
    }
}

async fn connect(Broker { host, port }: Broker<'_>) -> io::Result<TcpStream> {
    let line = TcpStream::connect((host, port)).await?;
    line.set_nodelay(true)?;
    Ok(line)
}

/// A protected line to the broker. It ends when it is dropped.
pub struct Tunnel {
    /// The socket within this process, for rumqttc to connect to.
    pub name: String,
    pub certificate_until: Option<Timestamp>,
    relay: JoinHandle<io::Result<()>>,
}

impl Tunnel {
    /// What broke it, where it is known: a broker may refuse our certificate after the handshake, as TLS 1.3 has it.
    pub async fn broken(mut self) -> Option<io::Error> {
        let ended = tokio::time::timeout(LAST_WORDS, &mut self.relay).await;
        ended.ok()?.ok()?.err()
    }

    /// Waits until all is carried over, when nothing more comes.
    pub async fn drained(mut self, limit: Duration) {
        let _late = tokio::time::timeout(limit, &mut self.relay).await;
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.relay.abort();
    }
}

async fn relay(inside: UnixListener, line: TlsStream<TcpStream>) -> io::Result<()> {
    let near = ours(&inside).await?;
    drop(inside);
    let (mut from_near, mut to_near) = near.into_split();
    let (mut from_line, mut to_line) = split(line);
    let up = async {
        copy(&mut from_near, &mut to_line).await?;
        to_line.shutdown().await
    };
    let down = async {
        copy(&mut from_line, &mut to_near).await?;
        to_near.shutdown().await
    };
    tokio::pin!(up, down);
    tokio::select! {
        heard = &mut down => heard,
        told = &mut up => match (told, tokio::time::timeout(LAST_WORDS, down).await) {
            // Why it takes nothing more is in what it says.
            (Err(_), Ok(Err(error))) => Err(error),
            (told, _) => told,
        },
    }
}

/// The connection of this process; anybody else's is hung up.
async fn ours(inside: &UnixListener) -> io::Result<UnixStream> {
    loop {
        let (near, _) = inside.accept().await?;
        let pid = near.peer_cred()?.pid();
        if pid.and_then(|pid| u32::try_from(pid).ok()) == Some(std::process::id()) {
            return Ok(near);
        }
    }
}
