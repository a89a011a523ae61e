//! Lines of a body, read as they arrive, each of bounded length.

use std::io;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};
use tokio_util::io::StreamReader;

use crate::json::MAX_BODY_BYTES;
use crate::problem::{Answer, Problem, ProblemType};

/// The lines that hold something.
pub(super) struct Lines<S: Stream<Item = io::Result<Bytes>>>(FramedRead<StreamReader<S, Bytes>, LinesCodec>);

impl<S: Stream<Item = io::Result<Bytes>> + Unpin> Lines<S> {
    pub(super) fn of(body: S) -> Self {
        Self(FramedRead::new(StreamReader::new(body), LinesCodec::new_with_max_length(MAX_BODY_BYTES)))
    }

    /// The next line: a text, or why this line cannot be read though the following ones may. An error ends the body.
    pub(super) async fn next(&mut self) -> Answer<Option<Answer<String>>> {
        loop {
            match self.0.next().await {
                None => return Ok(None),
                Some(Ok(line)) if line.trim().is_empty() => {}
                Some(Ok(line)) => return Ok(Some(Ok(line))),
                Some(Err(LinesCodecError::MaxLineLengthExceeded)) => {
                    // FramedRead ends once after an error, then goes on behind the long line.
                    let _pause = self.0.next().await;
                    let detail = format!("A line may have {MAX_BODY_BYTES} bytes.");
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
