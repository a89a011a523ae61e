//! One client's connection: lines and counted bytes in, buffered bytes out, each with a deadline and a bound.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Answers above this size go out at once instead of waiting for the end of the command.
const OUT_BYTES: usize = 64 * 1024;

/// A plain or an encrypted connection.
#[derive(Debug)]
pub enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A stream with its buffers. Every read and write fails with `TimedOut` after `patience`.
#[derive(Debug)]
pub struct Wire {
    stream: Option<Stream>,
    input: BytesMut,
    output: BytesMut,
    patience: Duration,
}

impl Wire {
    /// A connection that is encrypted from the first byte, where there is something to do so with.
    pub async fn open(stream: TcpStream, patience: Duration, encrypt: Option<&TlsAcceptor>) -> io::Result<Self> {
        let _ = stream.set_nodelay(true);
        let stream = Some(Stream::Plain(stream));
        let mut wire = Self { stream, input: BytesMut::new(), output: BytesMut::new(), patience };
        if let Some(acceptor) = encrypt {
            wire.start_tls(acceptor).await?;
        }
        Ok(wire)
    }

    pub fn is_encrypted(&self) -> bool {
        matches!(self.stream, Some(Stream::Tls(_)))
    }

    /// Whether more commands of the client have arrived already (pipelining).
    pub fn has_input(&self) -> bool {
        !self.input.is_empty()
    }

    /// One line with its line feed; `InvalidData` if it is longer than `max` bytes.
    /// Safe to drop half-way: what was read stays buffered.
    pub async fn line(&mut self, max: usize) -> io::Result<Bytes> {
        let mut searched = 0;
        loop {
            if let Some(at) = self.input[searched..].iter().position(|byte| *byte == b'\n') {
                let length = searched + at + 1;
                if length <= max {
                    return Ok(self.input.split_to(length).freeze());
                }
            }
            searched = self.input.len();
            if searched > max {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "line too long"));
            }
            self.fill().await?;
        }
    }

    /// Exactly `count` bytes.
    pub async fn exactly(&mut self, count: usize) -> io::Result<Bytes> {
        while self.input.len() < count {
            self.fill().await?;
        }
        Ok(self.input.split_to(count).freeze())
    }

    /// Queues bytes for the client; large answers are sent on the way.
    pub async fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.output.extend_from_slice(bytes);
        if self.output.len() > OUT_BYTES { self.flush().await } else { Ok(()) }
    }

    /// Sends what is queued.
    pub async fn flush(&mut self) -> io::Result<()> {
        let patience = self.patience;
        let (stream, output) = (open(&mut self.stream)?, &mut self.output);
        while output.has_remaining() {
            timeout(patience, stream.write_buf(output)).await??;
        }
        timeout(patience, stream.flush()).await?
    }

    /// Queues bytes and sends everything.
    pub async fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.put(bytes).await?;
        self.flush().await
    }

    /// Reads and forgets until the client goes away or the patience ends: a server that hangs.
    pub async fn hang(&mut self) {
        self.input.clear();
        while self.fill().await.is_ok() {
            self.input.clear();
        }
    }

    /// Ends the connection with TCP RST; unsent output is lost, as with a crashed host.
    pub fn reset(&mut self) {
        self.output.clear();
        if let Some(stream) = self.stream.take() {
            let _ = stream.socket().set_zero_linger();
        }
    }

    /// Continues encrypted. Input that came before the handshake is thrown away, against command injection.
    pub async fn start_tls(&mut self, acceptor: &TlsAcceptor) -> io::Result<()> {
        self.input.clear();
        if let Some(Stream::Plain(stream)) = self.stream.take() {
            let stream = timeout(self.patience, acceptor.accept(stream)).await??;
            self.stream = Some(Stream::Tls(Box::new(stream)));
        }
        Ok(())
    }

    async fn fill(&mut self) -> io::Result<()> {
        let patience = self.patience;
        let (stream, input) = (open(&mut self.stream)?, &mut self.input);
        input.reserve(16 * 1024);
        match timeout(patience, stream.read_buf(input)).await?? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

fn open(stream: &mut Option<Stream>) -> io::Result<&mut Stream> {
    stream.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
}

impl Stream {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
