//! Opens the way to a broker, protected or not. Each reason why there is none is a sentence with its remedy.

use std::io;
use std::time::Duration;

use jiff::Timestamp;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::clock;
use crate::config::broker::Tls;
use crate::mqtt::line::{Line, Reading};
use crate::mqtt::refusal::{self, Broker};
use crate::mqtt::tls::{Keys, load};

/// For the connection and the handshake together.
const CONNECT: Duration = Duration::from_secs(5);
/// For what the broker still has to say when it takes nothing more.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// A disk that takes longer is not waited for.
const READ: Duration = Duration::from_secs(2);

/// How the way to a broker is protected: the files, if there are any, and what they held when they were last good.
pub struct Guard {
    files: Option<Tls>,
    keys: Option<Keys>,
}

impl Guard {
    pub fn new(files: Option<Tls>) -> Guard {
        Guard { files, keys: None }
    }

    /// Connects, and shakes hands where there are files. These are read again each time, so that a renewed certificate is taken without
    /// a restart; where that fails, what was read before serves on. Gives the end of our own certificate too, if we have one.
    ///
    /// # Errors
    /// A sentence that says why there is no way to the broker.
    pub async fn open(
        &mut self,
        at: Broker<'_>,
        reading: Reading,
    ) -> Result<(Line, Option<Timestamp>), String> {
        let keys = self.keys().await?;
        let connecting = async {
            let stream = connect(at).await.map_err(|error| refusal::no_broker(at, &error))?;
            Ok(match &keys {
                Some(keys) => Line::new(self.shake_hands(at, keys, stream).await?, reading),
                None => Line::new(stream, reading),
            })
        };
        let line = tokio::time::timeout(CONNECT, connecting)
            .await
            .unwrap_or_else(|_late| Err(refusal::slow(at, CONNECT, keys.is_some())))?;
        Ok((line, keys.and_then(|keys| keys.certificate_until)))
    }

    /// What an error of reading or writing means, where it is one of TLS.
    fn explain(&self, at: Broker<'_>, error: &io::Error) -> Option<String> {
        refusal::of_tls(at, self.files.as_ref()?, error)
    }

    /// Why a line broke, where TLS knows it better than the client above.
    pub async fn why(&self, at: Broker<'_>, line: Line) -> Option<String> {
        self.files.as_ref()?;
        self.explain(at, &line.why(LAST_WORDS).await?)
    }

    async fn shake_hands(
        &self,
        at: Broker<'_>,
        keys: &Keys,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, String> {
        let name = ServerName::try_from(at.host.to_owned()).map_err(|_invalid| {
            format!("{:?} is no name that a certificate can have; correct mqtt.url", at.host)
        })?;
        let shaking = TlsConnector::from(keys.config.clone()).connect(name, stream).await;
        shaking.map_err(|error| self.explain(at, &error).unwrap_or_else(|| refusal::hung_up(at)))
    }

    async fn keys(&mut self) -> Result<Option<Keys>, String> {
        let Some(files) = self.files.clone() else { return Ok(None) };
        let file = files.ca.path.display().to_string();
        let reading = tokio::task::spawn_blocking(move || load(&files, clock::now()));
        let found = match tokio::time::timeout(READ, reading).await {
            Ok(Ok(Ok(keys))) => return Ok(Some(self.keys.insert(keys).clone())),
            Ok(Ok(Err(problems))) => {
                let problems: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
                problems.join("; ")
            }
            Ok(Err(_)) | Err(_) => {
                format!("the files of mqtt.tls ({file}) are not read in time; look at their disk")
            }
        };
        self.keys.clone().map(Some).ok_or(found)
    }
}

async fn connect(Broker { host, port }: Broker<'_>) -> io::Result<TcpStream> {
    let line = TcpStream::connect((host, port)).await?;
    line.set_nodelay(true)?;
    Ok(line)
}
