//! The bytes of one line. A Modbus client on it can be given up after a fault while the connection stays: whatever then still
//! arrives is read away here before anybody asks again. Nothing here knows Modbus.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_serial::{DataBits, FlowControl, SerialPortBuilderExt as _, SerialStream, StopBits};

use crate::config::gateway::{Link, Parity, SerialPort};

/// An open line. Clones are the same line.
#[derive(Debug, Clone)]
pub struct Wire(Arc<Mutex<Stream>>);

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Serial(SerialStream),
}

impl Wire {
    /// Opens the connection or the port.
    ///
    /// # Errors
    /// What the system says.
    pub async fn open(link: &Link) -> io::Result<Wire> {
        let stream = match link {
            Link::Tcp { address } | Link::RtuOverTcp { address } => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Stream::Tcp(stream)
            }
            Link::Serial(port) => Stream::Serial(open_port(port)?),
        };
        Ok(Wire(Arc::new(Mutex::new(stream))))
    }

    /// Reads away what has arrived and does not wait for more; how many bytes that was.
    ///
    /// # Errors
    /// The line is closed or broken.
    pub async fn drain(&self) -> io::Result<usize> {
        let mut drained = 0;
        poll_fn(|context| {
            let mut bytes = [0; 512];
            loop {
                let mut buffer = ReadBuf::new(&mut bytes);
                match self.with(|stream| stream.poll_read(context, &mut buffer)) {
                    Poll::Pending => return Poll::Ready(Ok(drained)),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                        return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                    }
                    Poll::Ready(Ok(())) => drained += buffer.filled().len(),
                }
            }
        })
        .await
    }

    /// Reads away whatever arrives until nothing has come for `silence`; how many bytes that was.
    ///
    /// # Errors
    /// The line is closed or broken.
    pub async fn drain_until_silent(&self, silence: Duration) -> io::Result<usize> {
        let mut drained = self.drain().await?;
        loop {
            tokio::time::sleep(silence).await;
            match self.drain().await? {
                0 => return Ok(drained),
                more => drained += more,
            }
        }
    }

    fn with<T>(&self, work: impl FnOnce(Pin<&mut Stream>) -> T) -> T {
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        work(Pin::new(&mut *stream))
    }
}

fn open_port(port: &SerialPort) -> io::Result<SerialStream> {
    let parity = match port.parity {
        Parity::None => tokio_serial::Parity::None,
        Parity::Even => tokio_serial::Parity::Even,
        Parity::Odd => tokio_serial::Parity::Odd,
    };
    let stop_bits = if port.stop_bits == 2 { StopBits::Two } else { StopBits::One };
    tokio_serial::new(port.device.to_string_lossy(), port.baud)
        .data_bits(DataBits::Eight)
        .parity(parity)
        .stop_bits(stop_bits)
        .flow_control(FlowControl::None)
        .open_native_async()
        .map_err(io::Error::from)
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Serial(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Serial(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Stream::Serial(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Serial(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_read(context, buffer))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.with(|stream| stream.poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_shutdown(context))
    }
}
