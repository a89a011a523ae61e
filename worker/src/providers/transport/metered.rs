//! A stream that refuses to read more than it was allowed to: the only bound on a server that announces a short
//! message and then sends without end, because `async-imap` itself buffers up to 512 MiB of one response, and lettre a line of any
//! length.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many more bytes may be read. Shared, so that the owner sets it while the protocol client holds the stream.
#[derive(Debug, Clone, Default)]
pub struct Budget(Arc<AtomicU64>);

impl Budget {
    /// Allows this many bytes from now on, whatever was left before.
    pub fn allow(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    pub fn is_spent(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    fn take(&self, bytes: u64) {
        let left = self.0.load(Ordering::Relaxed);
        self.0.store(left.saturating_sub(bytes), Ordering::Relaxed);
    }
}

/// Counts what is read against a [`Budget`]; once that is spent, reading fails with [`io::ErrorKind::FileTooLarge`].
#[derive(Debug)]
pub struct Metered<T> {
    inner: T,
    budget: Budget,
}

impl<T> Metered<T> {
    pub fn new(inner: T, budget: Budget) -> Self {
        Self { inner, budget }
    }

    pub fn inner(&self) -> &T {
        &self.inner
    }

    pub fn into_inner(self) -> T {
        self.inner
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Metered<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.budget.is_spent() {
            return Poll::Ready(Err(io::ErrorKind::FileTooLarge.into()));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.budget.take((buf.filled().len() - before) as u64);
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Metered<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::{Budget, Metered};

    #[tokio::test]
    async fn an_endless_server_is_cut_off_when_its_budget_is_spent() {
        let budget = Budget::default();
        budget.allow(10_000);
        let mut stream = Metered::new(tokio::io::repeat(b'x'), budget.clone());
        let mut chunk = [0; 4096];
        let mut read = 0;
        let error = loop {
            match stream.read(&mut chunk).await {
                Ok(n) => read += n,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), std::io::ErrorKind::FileTooLarge);
        assert!((10_000..=10_000 + chunk.len()).contains(&read));
        budget.allow(1);
        assert!(stream.read(&mut chunk).await.is_ok(), "a new allowance opens it again");
    }
}
