//! Lines of a body, read as they arrive, each of bounded length.

use std::io;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};
use tokio_util::io::StreamReader;

use crate::problem::{Answer, Problem, ProblemType};

/// The lines that hold something.
pub(super) struct Lines<S: Stream<Item = io::Result<Bytes>>> {
    lines: FramedRead<StreamReader<S, Bytes>, LinesCodec>,
    longest: usize,
}

impl<S: Stream<Item = io::Result<Bytes>> + Unpin> Lines<S> {
    /// Lines of at most so many bytes.
    pub(super) fn of(body: S, longest: usize) -> Self {
        Self { lines: FramedRead::new(StreamReader::new(body), LinesCodec::new_with_max_length(longest)), longest }
    }

    /// The next line: a text, or why this line cannot be read though the following ones may. An error ends the body.
    pub(super) async fn next(&mut self) -> Answer<Option<Answer<String>>> {
        loop {
            match self.lines.next().await {
                None => return Ok(None),
                Some(Ok(line)) if line.trim().is_empty() => {}
                Some(Ok(line)) => return Ok(Some(Ok(line))),
                Some(Err(LinesCodecError::MaxLineLengthExceeded)) => {
                    // FramedRead ends once after an error, then goes on behind the long line.
                    let _pause = self.lines.next().await;
                    let detail = format!("A line may have {} bytes.", self.longest);
                    return Ok(Some(Err(Problem::new(ProblemType::PayloadTooLarge, detail))));
                }
                Some(Err(LinesCodecError::Io(error))) => {
                    let detail = "The body could not be read to its end; jobs before that may be in the queue.";
                    return Err(Problem::new(ProblemType::MalformedJson, detail).caused_by(error));
                }
            }
        }
    }
}
