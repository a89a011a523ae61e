//! Result lines on their way to the client: the first in memory, more of them in a file without a name, so that an answer of any
//! length costs the process the same.

use std::io::{self, SeekFrom};

use axum::body::Body;
use tokio::fs::File;
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};
use tokio_util::io::ReaderStream;

/// What is kept in memory.
const IN_MEMORY: usize = 256 * 1024;
/// What is read from the file at once.
const PIECE: usize = 64 * 1024;

/// Bytes that are first written, then sent.
#[derive(Debug, Default)]
pub(super) struct Spool {
    memory: Vec<u8>,
    file: Option<File>,
}

impl Spool {
    /// Adds something; afterwards `bytes` is empty.
    pub(super) async fn add(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        self.memory.append(bytes);
        if self.memory.len() > IN_MEMORY {
            self.put_away().await?;
        }
        Ok(())
    }

    async fn put_away(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let file = tokio::task::spawn_blocking(tempfile::tempfile).await.map_err(io::Error::other)??;
                none.insert(File::from_std(file))
            }
        };
        file.write_all(&self.memory).await?;
        self.memory.clear();
        Ok(())
    }

    /// All that was added, in that order.
    pub(super) async fn into_body(mut self) -> io::Result<Body> {
        if self.file.is_none() {
            return Ok(Body::from(self.memory));
        }
        self.put_away().await?;
        let Some(mut file) = self.file else { return Ok(Body::empty()) };
        file.flush().await?;
        file.seek(SeekFrom::Start(0)).await?;
        Ok(Body::from_stream(ReaderStream::with_capacity(file, PIECE)))
    }
}

#[cfg(test)]
mod tests {
    use super::{IN_MEMORY, Spool};

    #[tokio::test]
    async fn what_was_added_comes_out_whatever_its_length() {
        for (pieces, is_in_file) in [(0, false), (1, false), (3 * IN_MEMORY / 1000, true)] {
            let mut spool = Spool::default();
            let mut expected = Vec::new();
            for number in 0..pieces {
                let mut piece = format!("{number:0>999}\n").into_bytes();
                expected.extend_from_slice(&piece);
                spool.add(&mut piece).await.unwrap();
                assert!(piece.is_empty());
            }
            assert!(spool.memory.len() <= IN_MEMORY);
            assert_eq!(spool.file.is_some(), is_in_file);
            let body = axum::body::to_bytes(spool.into_body().await.unwrap(), usize::MAX).await.unwrap();
            assert_eq!(body, expected);
        }
    }
}
