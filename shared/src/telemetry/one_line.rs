//! One event, one line: what strangers say (a job's error, a server's answer) may hold line breaks, and a log for people would show what
//! follows them as lines of our own.

use std::io::{self, Write};

/// Writes each event, which comes in one piece with its line's end, without further line breaks. JSON needs no such thing.
pub(super) struct OneLine<W>(pub(super) W);

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let (text, end) = event.strip_suffix(b"\n").map_or((event, &b""[..]), |text| (text, &b"\n"[..]));
        if text.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
            let mut line = Vec::with_capacity(event.len() + 8);
            for &byte in text {
                match byte {
                    b'\n' => line.extend_from_slice(b"\\n"),
                    b'\r' => line.extend_from_slice(b"\\r"),
                    _ => line.push(byte),
                }
            }
            line.extend_from_slice(end);
            self.0.write_all(&line)?;
        } else {
            self.0.write_all(event)?;
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::OneLine;

    #[test]
    fn only_the_end_of_an_event_ends_its_line() {
        for (event, line) in [
            ("ready\n", "ready\n"),
            ("error=x\r\nINFO forged\n", "error=x\\r\\nINFO forged\n"),
            ("two\n\n", "two\\n\n"),
            ("open", "open"),
            ("", ""),
        ] {
            let mut written = Vec::new();
            OneLine(&mut written).write_all(event.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(written).unwrap(), line);
        }
    }
}
