//! TLS to the broker, from outside rumqttc: its own TLS would bring crates with advisories (docs/decisions/tls.md). We make the
//! connection and the handshake ourselves; rumqttc speaks to a socket of this process that has no file, and what passes there is
//! carried over. Nobody else can use that socket: who connects to it must be this very process.

use std::io::{self, ErrorKind};
use std::time::Duration;

use jiff::Timestamp;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
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

async fn relay<L: AsyncRead + AsyncWrite>(inside: UnixListener, line: L) -> io::Result<()> {
    let near = ours(&inside).await?;
    drop(inside);
    let (from_near, to_near) = near.into_split();
    let (from_line, to_line) = split(line);
    let (up, down) = (up(from_near, to_line), down(from_line, to_near));
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

/// Carries over what we say, to the last word: whoever closes with answers unread resets the socket, after all that was written. What
/// is read is written before the next is read, as `tokio::io::copy` does not do.
async fn up(mut from_near: OwnedReadHalf, mut to_line: impl AsyncWrite + Unpin) -> io::Result<()> {
    let mut bytes = vec![0; 8 * 1024];
    loop {
        let read = match from_near.read(&mut bytes).await {
            Ok(0) => return to_line.shutdown().await,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return to_line.shutdown().await,
            read => read?,
        };
        to_line.write_all(bytes.get(..read).unwrap_or_default()).await?;
        to_line.flush().await?;
    }
}

/// Carries over what the broker says until it ends. Nobody may be listening any more, but what was said last is still on its way up.
async fn down(mut from_line: impl AsyncRead + Unpin, mut to_near: OwnedWriteHalf) -> io::Result<()> {
    let mut bytes = vec![0; 8 * 1024];
    let mut listening = true;
    loop {
        let read = from_line.read(&mut bytes).await?;
        if read == 0 {
            let _gone = to_near.shutdown().await;
            return Ok(());
        }
        listening = listening && to_near.write_all(bytes.get(..read).unwrap_or_default()).await.is_ok();
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A broker that talks without an end, and a client that leaves without reading it.
    #[tokio::test]
    async fn the_last_word_gets_through_though_nobody_reads_the_answers() {
        for size in 1..200 {
            let name = format!("\0cems-test-{}-{}", std::process::id(), uuid::Uuid::now_v7().simple());
            let inside = UnixListener::bind(&name).unwrap();
            let (line, broker) = tokio::io::duplex(4096);
            let relay = tokio::spawn(relay(inside, line));
            let mut near = UnixStream::connect(&name).await.unwrap();
            let (mut heard, mut says) = split(broker);
            let talk = tokio::spawn(async move { while says.write_all(&[7; 512]).await.is_ok() {} });
            near.readable().await.unwrap();
            near.write_all(&vec![1; size * 97]).await.unwrap();
            drop(near);
            let mut all = Vec::new();
            heard.read_to_end(&mut all).await.unwrap();
            assert_eq!(all.len(), size * 97);
            talk.abort();
            relay.abort();
        }
    }
}
