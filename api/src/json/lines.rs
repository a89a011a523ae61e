//! Lines of a body, read as they arrive, each of bounded length.

use std::io;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _};
use tokio_util::codec::{Decoder as _, LinesCodec, LinesCodecError};

use crate::problem::{Answer, Problem, ProblemType};

/// The lines that hold something: the same ones in whatever pieces they come.
#[derive(Debug)]
pub struct Lines<S> {
    body: S,
    /// What came and was not read yet.
    waiting: BytesMut,
    has_ended: bool,
    codec: LinesCodec,
    longest: usize,
}

impl<S: Stream<Item = io::Result<Bytes>> + Unpin> Lines<S> {
    /// Lines of at most so many bytes.
    pub fn of(body: S, longest: usize) -> Self {
        let codec = LinesCodec::new_with_max_length(longest);
        Self { body, waiting: BytesMut::new(), has_ended: false, codec, longest }
    }

    /// The next line: a text, or why this line cannot be read though the following ones may. An error ends the body.
    ///
    /// It may be dropped and asked again: nothing is lost by that.
    pub async fn next(&mut self) -> Answer<Option<Answer<String>>> {
        loop {
            let read = if self.has_ended {
                self.codec.decode_eof(&mut self.waiting)
            } else {
                self.codec.decode(&mut self.waiting)
            };
            match read {
                Ok(Some(line)) if line.trim().is_empty() => {}
                Ok(Some(line)) => return Ok(Some(Ok(line))),
                Ok(None) if self.has_ended => return Ok(None),
                Ok(None) => match self.body.next().await {
                    Some(Ok(piece)) => self.waiting.extend_from_slice(&piece),
                    Some(Err(error)) => return Err(cut_off(error)),
                    None => self.has_ended = true,
                },
                Err(LinesCodecError::MaxLineLengthExceeded) => {
                    let detail = format!("A line may have {} bytes.", self.longest);
                    return Ok(Some(Err(Problem::new(ProblemType::PayloadTooLarge, detail))));
                }
                // It reads from memory: nothing else can be wrong. The line is gone by now.
                Err(LinesCodecError::Io(error)) => {
                    let problem = Problem::new(ProblemType::MalformedJson, "The line is not UTF-8.");
                    return Ok(Some(Err(problem.caused_by(error))));
                }
            }
        }
    }
}

fn cut_off(error: io::Error) -> Problem {
    let detail = "The body could not be read to its end; jobs before that may be in the queue.";
    Problem::new(ProblemType::MalformedJson, detail).caused_by(error)
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    /// What the lines are if the body comes in pieces of this size: texts, and `-` for one that cannot be read.
    async fn lines(body: &'static [u8], size: usize) -> Vec<String> {
        let pieces = body.chunks(size).map(|piece| Ok(Bytes::from_static(piece)));
        let mut lines = Lines::of(stream::iter(pieces), 4);
        let mut found = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            found.push(line.unwrap_or_else(|_| "-".to_owned()));
        }
        found
    }

    #[tokio::test]
    async fn each_line_has_its_answer_in_whatever_pieces_it_comes() {
        let body = b"one\r\n\n  \n12345\n67890\ntwo\n1234\n123456789\n123456789\r\nend";
        for size in 1..=body.len() {
            assert_eq!(lines(body, size).await, ["one", "-", "-", "two", "1234", "-", "-", "end"], "by {size}");
        }
        assert_eq!(lines(b"12345", 2).await, ["-"]);
        assert_eq!(lines(b"a\r\nb\r", 1).await, ["a", "b"]);
    }

    #[tokio::test]
    async fn a_line_in_another_encoding_harms_no_other() {
        let body = b"one\nM\xfcr\n\xe2\x82\xac\r\n\xe2\x82\nend\xff";
        for size in 1..=body.len() {
            assert_eq!(lines(body, size).await, ["one", "-", "\u{20ac}", "-", "-"], "by {size}");
        }
    }
}
