//! `BODY[section]<partial>`: which bytes of a message.

use mail_parser::{MessageParser, PartType};

/// A section of a message: a part by its numbers, and what of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Section {
    part: Vec<usize>,
    what: What,
}

#[derive(Debug, Clone, PartialEq)]
enum What {
    Everything,
    Header,
    Mime,
    Text,
    Fields { names: Vec<String>, except: bool },
}

impl Section {
    /// Reads what stands between the brackets.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (mut part, mut rest) = (Vec::new(), text.trim());
        while let Some(digits) =
            rest.split('.').next().filter(|word| word.starts_with(|first: char| first.is_ascii_digit()))
        {
            part.push(digits.parse().ok().filter(|number| *number > 0)?);
            rest = rest[digits.len()..].trim_start_matches('.');
        }
        let upper = rest.to_ascii_uppercase();
        let what = match upper.as_str() {
            "" => What::Everything,
            "HEADER" => What::Header,
            "TEXT" => What::Text,
            "MIME" if !part.is_empty() => What::Mime,
            _ => {
                let (name, list) = upper.split_once(' ')?;
                let names = list.trim().strip_prefix('(')?.strip_suffix(')')?;
                let names = names.split_whitespace().map(|name| name.trim_matches('"').to_owned()).collect();
                match name {
                    "HEADER.FIELDS" => What::Fields { names, except: false },
                    "HEADER.FIELDS.NOT" => What::Fields { names, except: true },
                    _ => return None,
                }
            }
        };
        Some(Self { part, what })
    }

    /// The bytes; `None` if the message has no such part.
    pub(super) fn of(&self, raw: &[u8]) -> Option<Vec<u8>> {
        let Some((last, path)) = self.part.split_last() else { return Some(self.what.of_message(raw)) };
        let mut within = raw;
        for number in path {
            within = part(within, *number)?.0;
        }
        let (whole, body, is_message) = part(within, *last)?;
        Some(match &self.what {
            What::Everything => body.to_vec(),
            What::Mime => split(whole).0.to_vec(),
            what if is_message => what.of_message(body),
            _ => return None,
        })
    }
}

impl What {
    fn of_message(&self, raw: &[u8]) -> Vec<u8> {
        let (header, body) = split(raw);
        match self {
            Self::Everything => raw.to_vec(),
            Self::Header | Self::Mime => header.to_vec(),
            Self::Text => body.to_vec(),
            Self::Fields { names, except } => {
                fields(header, |name| names.iter().any(|one| one.eq_ignore_ascii_case(name)) != *except)
            }
        }
    }
}

/// Part `number` of what is a message or a part itself: with headers, without, and whether it is a message.
fn part(within: &[u8], number: usize) -> Option<(&[u8], &[u8], bool)> {
    let message = MessageParser::new().parse(within)?;
    let root = message.parts.first()?;
    if let PartType::Message(_) = root.body {
        let inner = within.get(root.offset_body as usize..root.offset_end as usize)?;
        return part(inner, number);
    }
    let found = match &root.body {
        PartType::Multipart(parts) => message.parts.get(*parts.get(number - 1)? as usize)?,
        _ if number == 1 => root,
        _ => return None,
    };
    let whole = within.get(found.offset_header as usize..found.offset_end as usize)?;
    let body = within.get(found.offset_body as usize..found.offset_end as usize)?;
    Some((whole, body, matches!(found.body, PartType::Message(_))))
}

/// Header with its empty line, and body.
pub(super) fn split(raw: &[u8]) -> (&[u8], &[u8]) {
    let mut start = 0;
    for line in raw.split_inclusive(|byte| *byte == b'\n') {
        start += line.len();
        if line == b"\r\n" || line == b"\n" {
            return raw.split_at(start);
        }
    }
    (raw, b"")
}

/// The header fields that are wanted, with their continuation lines and an empty line at the end.
fn fields(header: &[u8], wanted: impl Fn(&str) -> bool) -> Vec<u8> {
    let (mut out, mut keep) = (Vec::new(), false);
    for line in header.split_inclusive(|byte| *byte == b'\n') {
        if line.trim_ascii().is_empty() {
            break;
        }
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
            keep = wanted(String::from_utf8_lossy(name).trim());
        }
        if keep {
            out.extend_from_slice(line);
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &[u8] = b"From: a@b.de\r\nSubject: two\r\n lines\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n\
        --x\r\nContent-Type: text/plain\r\n\r\nfirst\r\n--x\r\nContent-Type: text/html\r\n\r\n<p>second\r\n--x--\r\n";

    fn body(section: &str) -> Option<String> {
        Section::parse(section)?.of(MAIL).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn finds_header_fields_and_parts() {
        assert_eq!(body("HEADER.FIELDS (SUBJECT)").as_deref(), Some("Subject: two\r\n lines\r\n\r\n"));
        assert_eq!(body("HEADER.FIELDS.NOT (SUBJECT CONTENT-TYPE)").as_deref(), Some("From: a@b.de\r\n\r\n"));
        assert_eq!(body("1").as_deref(), Some("first"));
        assert_eq!(body("2.MIME").as_deref(), Some("Content-Type: text/html\r\n\r\n"));
        assert_eq!(body("3"), None);
        assert!(body("TEXT").unwrap().starts_with("--x"));
        assert_eq!(body("").unwrap().len(), MAIL.len());
        assert_eq!(Section::parse("NONSENSE"), None);
    }
}
