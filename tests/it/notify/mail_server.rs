//! A mail server of the test's own: just enough of RFC 5321, 3207 and 4954 to take mail, or not to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// How it behaves.
#[derive(Clone, Default)]
pub struct Manner {
    /// TLS after STARTTLS, or from the first byte.
    pub starttls: Option<TlsAcceptor>,
    pub tls: Option<TlsAcceptor>,
    /// Nobody sends without this login.
    pub login: Option<(&'static str, &'static str)>,
    /// What it says to recipients that begin so, as "550 no such user".
    pub refuses: Vec<(&'static str, &'static str)>,
    /// What it says to a mail when it has it all; empty: it takes it.
    pub after_data: &'static str,
    /// It accepts connections and says nothing.
    pub hangs: bool,
}

/// A mail that was taken.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    pub by_tls: bool,
    pub from: String,
    pub to: Vec<String>,
    /// Head and body as they came.
    pub data: String,
}

#[derive(Clone)]
pub struct MailServer {
    pub address: SocketAddr,
    taken: Arc<Mutex<Vec<Taken>>>,
    /// Every line that came without TLS.
    plain: Arc<Mutex<Vec<String>>>,
}

impl MailServer {
    pub async fn listen(manner: Manner) -> MailServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = MailServer { address, taken: Arc::default(), plain: Arc::default() };
        let our = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (our, manner) = (our.clone(), manner.clone());
                tokio::spawn(async move { our.serve(stream, &manner).await });
            }
        });
        server
    }

    /// Who does not trust our certificate hangs up.
    async fn serve(&self, stream: TcpStream, manner: &Manner) {
        if manner.hangs {
            std::future::pending::<()>().await;
        }
        if let Some(tls) = &manner.tls {
            if let Ok(stream) = tls.accept(stream).await {
                self.talk(BufReader::new(stream), manner, true, true).await;
            }
            return;
        }
        let rest = self.talk(BufReader::new(stream), manner, false, true).await;
        if let (Some(stream), Some(tls)) = (rest, &manner.starttls)
            && let Ok(stream) = tls.accept(stream.into_inner()).await
        {
            self.talk(BufReader::new(stream), manner, true, false).await;
        }
    }

    pub fn taken(&self) -> Vec<Taken> {
        self.taken.lock().unwrap().clone()
    }

    /// What came without TLS.
    pub fn plain(&self) -> Vec<String> {
        self.plain.lock().unwrap().clone()
    }

    /// One conversation. Gives the stream back when TLS is to begin.
    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut stream: BufReader<S>,
        manner: &Manner,
        by_tls: bool,
        greets: bool,
    ) -> Option<BufReader<S>> {
        let mut mail = Taken { by_tls, ..Taken::default() };
        let mut is_known = manner.login.is_none();
        if greets {
            say(&mut stream, "220 test ESMTP").await?;
        }
        loop {
            let line = hear(&mut stream).await?;
            if !by_tls {
                self.plain.lock().unwrap().push(line.clone());
            }
            let word = line.split([' ', ':']).next().unwrap_or_default().to_uppercase();
            match word.as_str() {
                "EHLO" => {
                    let offers_tls = manner.starttls.is_some() && !by_tls;
                    say(
                        &mut stream,
                        if offers_tls {
                            "250-test\r\n250 STARTTLS"
                        } else {
                            "250-test\r\n250 AUTH PLAIN LOGIN"
                        },
                    )
                    .await?;
                }
                "STARTTLS" => {
                    say(&mut stream, "220 go ahead").await?;
                    return Some(stream);
                }
                "AUTH" => {
                    let given =
                        STANDARD.decode(line.split(' ').nth(2).unwrap_or_default()).unwrap_or_default();
                    let (user, password) = manner.login.unwrap_or_default();
                    is_known = given == format!("\0{user}\0{password}").as_bytes();
                    say(&mut stream, if is_known { "235 welcome" } else { "535 5.7.8 wrong password" })
                        .await?;
                }
                "MAIL" if is_known => {
                    mail.from = line.clone();
                    say(&mut stream, "250 ok").await?;
                }
                "MAIL" => say(&mut stream, "530 5.7.0 login first").await?,
                "RCPT" => {
                    let refusal = manner.refuses.iter().find(|(who, _)| line.contains(&format!("<{who}")));
                    if let Some((_, refusal)) = refusal {
                        say(&mut stream, refusal).await?;
                    } else {
                        mail.to.push(line.clone());
                        say(&mut stream, "250 ok").await?;
                    }
                }
                "DATA" => {
                    say(&mut stream, "354 go on").await?;
                    mail.data = data(&mut stream).await?;
                    if manner.after_data.is_empty() {
                        self.taken.lock().unwrap().push(mail.clone());
                        say(&mut stream, "250 queued").await?;
                    } else {
                        say(&mut stream, manner.after_data).await?;
                    }
                }
                "QUIT" => {
                    say(&mut stream, "221 bye").await?;
                    return None;
                }
                other => panic!("not spoken here: {other}"),
            }
        }
    }
}

async fn say<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufReader<S>, text: &str) -> Option<()> {
    stream.get_mut().write_all(format!("{text}\r\n").as_bytes()).await.ok()?;
    stream.get_mut().flush().await.ok()
}

async fn hear<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> Option<String> {
    let mut line = String::new();
    let read = stream.read_line(&mut line).await.ok()?;
    (read > 0).then(|| line.trim_end().to_owned())
}

/// Up to the line that is a dot, with doubled dots undone.
async fn data<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> Option<String> {
    let mut data = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if line == ".\r\n" {
            return Some(data);
        }
        data.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}
