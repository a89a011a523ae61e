//! A socket whose reader looks for an answer by itself, for a moment, before it has the runtime wait for it.
//!
//! Redis answers a small call in less time than it takes to put a thread to sleep and to wake two: the one that waits for all
//! sockets, and the one that waits for this answer. So whoever wrote looks again and again, for at most [`LOOKS_FOR`], and gives
//! way to others between two looks. That is done only while answers do come so soon: with `appendfsync always`, or a server
//! that is busy or far away, nobody looks.

use std::{
    io::{self, IoSlice, Read},
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// No longer than a task may hold up others of its thread.
const LOOKS_FOR: Duration = Duration::from_micros(100);
/// Who had looked would have seen an answer that was waited for no longer than this.
const SOON: Duration = Duration::from_micros(150);

pub(super) struct Eager {
    stream: TcpStream,
    /// The same socket, past the runtime.
    socket: std::net::TcpStream,
    /// When something was written that has not been answered.
    asked: Option<Instant>,
    /// The last answer came soon.
    soon: bool,
}

impl Eager {
    pub(super) fn new(stream: TcpStream) -> io::Result<Self> {
        let stream = stream.into_std()?;
        let socket = stream.try_clone()?;
        Ok(Self { stream: TcpStream::from_std(stream)?, socket, asked: None, soon: true })
    }

    /// Looks while it is no waste of time. Returns how much was read; none if there was nothing.
    fn look_out(&self, buffer: &mut ReadBuf<'_>) -> Option<io::Result<usize>> {
        let asked = self.asked.filter(|_| self.soon)?;
        loop {
            match (&self.socket).read(buffer.initialize_unfilled()) {
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                read => return Some(read),
            }
            if asked.elapsed() >= LOOKS_FOR {
                return None;
            }
            std::thread::yield_now();
        }
    }

    fn wrote(&mut self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if result.is_ready() {
            self.asked = Some(Instant::now());
        }
        result
    }
}

impl AsyncRead for Eager {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.look_out(buffer) {
            Some(read) => buffer.advance(read?),
            None => ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?,
        }
        if let Some(asked) = self.asked.take() {
            self.soon = asked.elapsed() < SOON;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Eager {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.wrote(wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use super::{Eager, SOON};

    async fn pair() -> (Eager, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Eager::new(stream).unwrap(), listener.accept().await.unwrap().0)
    }

    /// On one thread: while somebody looks, the runtime hears of nothing.
    #[tokio::test]
    async fn an_answer_that_comes_soon_is_found_by_looking_and_one_that_comes_late_is_waited_for() {
        let (mut eager, mut other) = pair().await;
        let mut answer = [0];
        for number in *b"abc" {
            eager.write_all(b"?").await.unwrap();
            other.write_all(&[number]).await.unwrap();
            eager.soon = true;
            assert!(eager.read_exact(&mut answer).now_or_never().is_some(), "it is there");
            assert_eq!((answer[0], eager.asked), (number, None));
        }
        for number in *b"de" {
            eager.write_all(b"?").await.unwrap();
            let late = async {
                tokio::time::sleep(2 * SOON).await;
                other.write_all(&[number]).await.unwrap();
            };
            tokio::join!(async { eager.read_exact(&mut answer).await.unwrap() }, late);
            assert_eq!((answer[0], eager.soon), (number, false));
        }
    }

    #[tokio::test]
    async fn more_than_fits_goes_both_ways_until_the_end() {
        let (eager, other) = pair().await;
        let many: Vec<u8> = (0..8_000_000_u32).map(|number| number.to_be_bytes()[3]).collect();
        let (mut near, mut far) = (tokio::io::split(eager), tokio::io::split(other));
        let (mut came, mut went) = (Vec::new(), Vec::new());
        let ended: [std::io::Result<()>; 4] = tokio::join!(
            async {
                near.1.write_all(&many).await?;
                near.1.shutdown().await
            },
            async {
                far.1.write_all(&many).await?;
                far.1.shutdown().await
            },
            async { near.0.read_to_end(&mut came).await.map(drop) },
            async { far.0.read_to_end(&mut went).await.map(drop) },
        )
        .into();
        assert!(ended.iter().all(Result::is_ok), "{ended:?}");
        assert!(came == many && went == many);
    }
}
