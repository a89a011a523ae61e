//! Reading one command with its literals.

use std::io;

use super::MAX_LITERAL_BYTES;
use super::value::{Part, Value, parse};
use crate::wire::Wire;

const MAX_LINE_BYTES: usize = 64 * 1024;
/// Before the login nobody has a reason for large literals.
const MAX_LOGIN_LITERAL_BYTES: usize = 4 * 1024;

pub(super) struct Command {
    pub(super) tag: String,
    /// In capitals; `UID FETCH` and its like are one name.
    pub(super) name: String,
    pub(super) arguments: Vec<Value>,
}

pub(super) enum Received {
    Command(Command),
    /// A line to be answered as it stands; the conversation goes on.
    Refused(String),
}

pub(super) async fn receive(wire: &mut Wire, logged_in: bool) -> io::Result<Received> {
    let most = if logged_in { MAX_LITERAL_BYTES } else { MAX_LOGIN_LITERAL_BYTES };
    let (mut parts, mut bytes) = (Vec::new(), 0_usize);
    loop {
        let mut line = wire.line(MAX_LINE_BYTES).await?;
        line.truncate(line.trim_ascii_end().len());
        bytes += line.len();
        let Some((before, announced)) = literal(&line) else {
            parts.push(Part::Line(line));
            return Ok(command(&parts));
        };
        bytes = bytes.saturating_add(announced.bytes);
        if bytes > most {
            if !announced.synchronizing {
                // The bytes are on their way; reading 64 MiB and more only to forget them helps nobody.
                wire.say(b"* BYE literal too big\r\n").await?;
                return Err(io::ErrorKind::InvalidData.into());
            }
            let tag = tag_of(parts.first(), &line);
            return Ok(Received::Refused(format!("{tag} NO [TOOBIG] literal too big")));
        }
        parts.push(Part::Line(line.slice(..before)));
        if announced.synchronizing {
            wire.say(b"+ go ahead\r\n").await?;
        }
        parts.push(Part::Literal(wire.exactly(announced.bytes).await?));
    }
}

struct Announced {
    bytes: usize,
    synchronizing: bool,
}

/// A literal announced at the end of the line, and where the announcement starts.
fn literal(line: &[u8]) -> Option<(usize, Announced)> {
    let inner = line.strip_suffix(b"}")?;
    let start = inner.iter().rposition(|byte| *byte == b'{')?;
    let number = std::str::from_utf8(&inner[start + 1..]).ok()?;
    let (number, synchronizing) = match number.strip_suffix('+') {
        Some(number) => (number, false),
        None => (number, true),
    };
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| (start, Announced { bytes: number.parse().unwrap_or(usize::MAX), synchronizing }))
}

fn tag_of(first: Option<&Part>, line: &[u8]) -> String {
    let line = match first {
        Some(Part::Line(line)) => line,
        _ => line,
    };
    let tag = line.split(|byte| *byte == b' ').next().unwrap_or_default();
    String::from_utf8_lossy(tag).into_owned()
}

fn command(parts: &[Part]) -> Received {
    let Some(values) = parse(parts) else {
        return Received::Refused(format!("{} BAD malformed command", tag_of(parts.first(), b"*")));
    };
    let mut values = values.into_iter();
    let (Some(Value::Atom(tag)), Some(Value::Atom(name))) = (values.next(), values.next()) else {
        return Received::Refused("* BAD tag and command expected".into());
    };
    let mut name = name.to_ascii_uppercase();
    let mut arguments: Vec<Value> = values.collect();
    if name == "UID" && !arguments.is_empty() {
        let Some(verb) = arguments.remove(0).text() else {
            return Received::Refused(format!("{tag} BAD UID what?"));
        };
        name = format!("UID {}", verb.to_ascii_uppercase());
    }
    Received::Command(Command { tag, name, arguments })
}
