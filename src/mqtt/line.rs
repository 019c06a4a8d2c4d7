//! The line to the broker, beneath the MQTT client: TCP or TLS, opened by us and lent to the client. Opened by us, since the client's own
//! TLS would bring crates with advisories and hide why a handshake failed (docs/decisions/tls.md); lent, so that what the broker says
//! last can be read after the client has given up, and a goodbye is not lost with the socket.
//!
//! It gathers. What is to be sent waits until the client looks for what has come, and goes then in one call however many packets it is;
//! a reader who asks for it rests a moment once all is read, so that the next call finds more than one packet. At full speed calls for
//! single packets took a fifth of the centre's time (docs/performance.md).

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::clock;

/// More than this is not taken before what is there was sent.
const UNSENT_BYTES: usize = 64 * 1024;
/// How long a reader rests who gathers.
const REST: Duration = Duration::from_millis(1);

/// A stream of bytes, whatever protects it.
pub trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// How eagerly is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Whatever comes, at once.
    AtOnce,
    /// A little later, many packets together.
    Gathered,
}

/// An open line.
pub struct Line {
    stream: Box<dyn Stream>,
    reading: Reading,
    unsent: BytesMut,
    /// Written to the stream, and perhaps still kept there.
    unflushed: bool,
    rest: Pin<Box<Sleep>>,
    resting: bool,
    /// What broke it.
    broken: Option<io::Error>,
}

impl Line {
    pub fn new(stream: impl Stream + 'static, reading: Reading) -> Line {
        Line {
            stream: Box::new(stream),
            reading,
            unsent: BytesMut::new(),
            unflushed: false,
            rest: Box::pin(sleep_until(Instant::from_std(clock::monotonic()))),
            resting: false,
            broken: None,
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.unsent))?;
            if sent == 0 {
                return Poll::Ready(Err(ErrorKind::WriteZero.into()));
            }
            self.unsent.advance(sent);
            self.unflushed = true;
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_hear(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(Err(error)) = self.poll_send(cx) {
            return Poll::Ready(Err(error));
        }
        if self.resting {
            ready!(self.rest.as_mut().poll(cx));
            self.resting = false;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let all_is_read = buffer.filled().len() > before && buffer.remaining() > 0;
        if all_is_read && self.reading == Reading::Gathered {
            self.rest.as_mut().reset(Instant::from_std(clock::monotonic()) + REST);
            self.resting = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Remembers what broke the line, for whoever can explain it; the client is told the kind.
    fn note(&mut self, error: io::Error) -> io::Error {
        let kind = error.kind();
        self.broken.get_or_insert(error);
        kind.into()
    }

    /// What broke it. A broker may refuse our certificate after the handshake, as TLS 1.3 has it; why it takes nothing more is then in
    /// what it says, which nobody has read.
    pub async fn why(mut self, limit: Duration) -> Option<io::Error> {
        let last_words = async {
            let mut bytes = [0; 1024];
            loop {
                match self.stream.read(&mut bytes).await {
                    Ok(0) => return None,
                    Ok(_) => {}
                    Err(error) => return Some(error),
                }
            }
        };
        let last = tokio::time::timeout(limit, last_words).await.ok().flatten();
        last.filter(|error| error.kind() == ErrorKind::InvalidData).or(self.broken)
    }

    /// Sends what is not sent, says that nothing more comes, and lets the broker hang up: a socket closed with bytes that nobody has
    /// read resets the connection, and the goodbye could be lost with it.
    pub async fn farewell(mut self, limit: Duration) {
        let leaving = async {
            self.stream.write_all(&self.unsent).await?;
            self.stream.shutdown().await?;
            let mut bytes = [0; 1024];
            while self.stream.read(&mut bytes).await? > 0 {}
            io::Result::Ok(())
        };
        // A broker that does not take it in time will notice our absence by itself.
        let _late = tokio::time::timeout(limit, leaving).await;
    }
}

/// A line that is lent to a client.
#[derive(Clone)]
pub struct Lent(Arc<Mutex<Line>>);

impl Lent {
    pub fn new(line: Line) -> Lent {
        Lent(Arc::new(Mutex::new(line)))
    }

    /// The line again; nothing while somebody else has it.
    pub fn back(self) -> Option<Line> {
        Arc::into_inner(self.0).map(|line| line.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncRead for Lent {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut line = self.line();
        let heard = ready!(line.poll_hear(cx, buffer));
        Poll::Ready(heard.map_err(|error| line.note(error)))
    }
}

impl AsyncWrite for Lent {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut line = self.line();
        if line.unsent.len() >= UNSENT_BYTES {
            let sent = ready!(line.poll_send(cx));
            sent.map_err(|error| line.note(error))?;
        }
        line.unsent.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    /// Sends nothing: whoever flushes looks for answers next, and then it is sent.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut line = self.line();
        let sent = ready!(line.poll_send(cx));
        sent.map_err(|error| line.note(error))?;
        Pin::new(&mut line.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{DuplexStream, duplex};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// Counts its calls.
    struct Counted(DuplexStream, Arc<AtomicUsize>);

    impl AsyncRead for Counted {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_read(cx, buffer)
        }
    }

    impl AsyncWrite for Counted {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.1.fetch_add(1, Ordering::Relaxed);
            Pin::new(&mut self.0).poll_write(cx, bytes)
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(cx)
        }
    }

    #[tokio::test]
    async fn many_packets_go_out_in_one_call_when_answers_are_looked_for() {
        let (near, mut far) = duplex(100_000);
        let calls = Arc::new(AtomicUsize::new(0));
        let mut lent = Lent::new(Line::new(Counted(near, Arc::clone(&calls)), Reading::AtOnce));
        for _packet in 0..1000 {
            lent.write_all(&[1, 2, 3, 4]).await.unwrap();
            lent.flush().await.unwrap();
        }
        assert_eq!(calls.load(Ordering::Relaxed), 0);
        let echo = tokio::spawn(async move {
            let mut bytes = vec![0; 4000];
            far.read_exact(&mut bytes).await.unwrap();
            far.write_all(&[9]).await.unwrap();
            bytes
        });
        assert_eq!(lent.read_u8().await.unwrap(), 9);
        assert_eq!(echo.await.unwrap(), [1, 2, 3, 4].repeat(1000));
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn more_than_is_taken_pushes_back_and_nothing_is_lost_or_turned_round() {
        let (near, mut far) = duplex(1000);
        let mut lent = Lent::new(Line::new(near, Reading::AtOnce));
        let all: Vec<u8> = (0..500_000_u32).map(|number| number.to_le_bytes()[0]).collect();
        lent.write_all(&vec![0; 300_000]).await.unwrap();
        let full = tokio::time::timeout(Duration::from_millis(50), lent.write_all(&[0]));
        assert!(full.await.is_err(), "one packet more than the limit is taken, then it pushes back");
        let sent = all.clone();
        let writer = tokio::spawn(async move {
            for part in sent.chunks(997) {
                lent.write_all(part).await.unwrap();
            }
            lent.shutdown().await.unwrap();
        });
        let mut heard = Vec::new();
        far.read_to_end(&mut heard).await.unwrap();
        writer.await.unwrap();
        assert!(heard.split_at(300_000).1 == all);
    }

    #[tokio::test]
    async fn who_gathers_rests_after_all_is_read_and_hears_it_all() {
        let (near, mut far) = duplex(100_000);
        let mut lent = Lent::new(Line::new(near, Reading::Gathered));
        let mut bytes = [0; 100];
        far.write_all(&[1]).await.unwrap();
        assert_eq!(lent.read(&mut bytes).await.unwrap(), 1);
        far.write_all(&[2]).await.unwrap();
        far.write_all(&[3]).await.unwrap();
        let began = clock::monotonic();
        assert_eq!(lent.read(&mut bytes).await.unwrap(), 2);
        assert!(began.elapsed() >= REST / 2);
    }

    /// A broker that talks without an end, and a client that leaves without having read it.
    #[tokio::test]
    async fn the_last_word_gets_through_though_nobody_has_read_the_answers() {
        for size in 1..100 {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let mut lent = Lent::new(Line::new(stream, Reading::AtOnce));
            let (broker, _) = listener.accept().await.unwrap();
            let (mut heard, mut says) = broker.into_split();
            says.write_all(&[7; 5000]).await.unwrap();
            lent.write_all(&vec![1; size * 97]).await.unwrap();
            let hearing = tokio::spawn(async move {
                let mut all = Vec::new();
                let result = heard.read_to_end(&mut all).await;
                drop(says);
                result.map(|_| all.len())
            });
            lent.back().unwrap().farewell(Duration::from_secs(10)).await;
            assert_eq!(hearing.await.unwrap().unwrap(), size * 97);
        }
    }

    #[tokio::test]
    async fn a_line_that_is_still_lent_is_not_given_back() {
        let lent = Lent::new(Line::new(duplex(1).0, Reading::AtOnce));
        let other = lent.clone();
        assert!(lent.back().is_none() && other.back().is_some());
    }
}
