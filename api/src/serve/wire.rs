//! A client's socket, with the patience that it deserves: little for a head that does not end, more between two requests, and none
//! for a client that does not take its answer.
//!
//! hyper's own time limit counts a head and the pause before it together, costs a timer for each request, and ends a connection
//! without a word. Here a timer is set only when nothing can be read or written, and a connection tells how it ended.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use super::{Bounds, refusal};
use crate::problem::Problem;

/// How long, and of how much, the rest of a refused request is read: closing a socket with bytes unread resets the connection, and
/// the reset overtakes the answer.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 1024 * 1024;

/// Counts the beginnings and ends of requests on one connection: odd while one is being served.
#[derive(Debug, Default, Clone)]
pub(super) struct Turns(Arc<AtomicU32>);

impl Turns {
    /// A request has begun; it ends with what this gives.
    pub(super) fn begin(&self) -> Turn {
        self.0.fetch_add(1, Ordering::Relaxed);
        Turn(self.clone())
    }

    /// Nothing is being served.
    pub(super) fn is_between(&self) -> bool {
        self.now().is_multiple_of(2)
    }

    fn now(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A request being served.
#[derive(Debug)]
pub(super) struct Turn(Turns);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A client's socket.
pub(super) struct Wire {
    stream: TcpStream,
    turns: Turns,
    head_time: Duration,
    idle: Duration,
    stall: Duration,
    /// When the head that is arriving began, and in which turn.
    head: Option<(Instant, u32)>,
    /// Set while nothing comes.
    silence: Option<Pin<Box<Sleep>>>,
    /// Set while nothing can be written.
    stuck: Option<Pin<Box<Sleep>>>,
    /// Something was read or written since `silence` was set.
    moved: bool,
    /// A head did not end in time.
    head_is_late: bool,
    /// What is written instead of hyper's own words.
    own_words: Vec<u8>,
    refused: bool,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, turns: Turns, bounds: &Bounds) -> Self {
        Self {
            stream,
            turns,
            head_time: bounds.head,
            idle: bounds.idle,
            stall: bounds.stall,
            head: None,
            silence: None,
            stuck: None,
            moved: false,
            head_is_late: false,
            own_words: Vec::new(),
            refused: false,
        }
    }

    /// Whether the connection ended because a head did not.
    pub(super) fn head_is_late(&self) -> bool {
        self.head_is_late
    }

    /// Whether the client was told why.
    pub(super) fn has_refused(&self) -> bool {
        self.refused
    }

    /// Tells the client why, and ends the connection.
    pub(super) async fn refuse(self, problem: &Problem) {
        refuse(self.stream, problem).await;
    }

    /// Waits a little for a client to read what it was told.
    pub(super) async fn linger(mut self) {
        let _ = tokio::time::timeout(LINGER, linger(&mut self.stream)).await;
    }

    /// Nothing can be read: waits for a head to go on, or for one to begin. The timer is set during a request, too, because hyper does
    /// not ask again when the answer is out; then it fires in vain, and so a pause lasts up to twice `idle`.
    fn wait(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let turn = self.turns.now();
        let late =
            self.head.filter(|(_, of)| *of == turn && self.turns.is_between()).map(|(began, _)| began + self.head_time);
        let silence = self.silence.get_or_insert_with(|| {
            self.moved = false;
            Box::pin(sleep(self.idle))
        });
        if let Some(late) = late
            && silence.deadline() != late
        {
            silence.as_mut().reset(late);
        }
        loop {
            ready!(silence.as_mut().poll(context));
            let moved = std::mem::take(&mut self.moved);
            if late.is_none() && (moved || !self.turns.is_between()) {
                silence.as_mut().reset(Instant::now() + self.idle);
                continue;
            }
            self.head_is_late = late.is_some();
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
    }

    /// A client that takes nothing has until `stall`.
    fn patient<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stuck = None;
            self.moved = true;
            return written;
        }
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep(self.stall)));
        ready!(stuck.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_own_words(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.own_words.is_empty() {
            let written = Pin::new(&mut self.stream).poll_write(context, &self.own_words);
            let written = ready!(self.patient(context, written))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.own_words.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

/// Writes a refusal and closes, so that the client gets to read it.
pub(super) async fn refuse(mut stream: TcpStream, problem: &Problem) {
    let told = async {
        stream.write_all(&refusal::text(problem)).await?;
        linger(&mut stream).await
    };
    // Whoever does not read it does without.
    let _ = tokio::time::timeout(LINGER, told).await;
}

/// Ends our side, and reads until the other one has ended, or has sent too much.
async fn linger(stream: &mut TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    let (mut rest, mut bytes) = ([0; 4096], 0);
    while bytes < LINGER_BYTES {
        match stream.read(&mut rest).await? {
            0 => break,
            more => bytes += more,
        }
    }
    Ok(())
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, into);
        if read.is_pending() {
            return self.wait(context);
        }
        if into.filled().len() > before {
            self.moved = true;
            let turn = self.turns.now();
            if self.turns.is_between() && self.head.is_none_or(|(_, of)| of != turn) {
                self.head = Some((Instant::now(), turn));
            }
        }
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.turns.is_between()
            && let Some(words) = refusal::instead_of(bytes)
        {
            (self.own_words, self.refused) = (words, true);
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.patient(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_own_words(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_own_words(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [only] = parts {
            return self.poll_write(context, only);
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.patient(context, written)
    }
}
