//! The arguments of a command: atoms, strings and lists.

use bytes::Bytes;

/// What a client sent between literals, and the literals.
#[derive(Debug)]
pub(super) enum Part {
    Line(Bytes),
    Literal(Bytes),
}

/// Lists within lists; beyond it a command is malformed, so that walking it needs no deep stack.
const MAX_DEPTH: usize = 32;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// An unquoted word; a `[section]<partial>` with its spaces belongs to its atom.
    Atom(String),
    /// A quoted string or a literal.
    Text(Bytes),
    List(Vec<Value>),
}

impl Value {
    /// The text of an atom or string.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Atom(atom) => Some(atom.clone()),
            Self::Text(text) => String::from_utf8(text.to_vec()).ok(),
            Self::List(_) => None,
        }
    }

    /// The items of a list; a single value counts as a list of one.
    pub(super) fn items(&self) -> Vec<Value> {
        match self {
            Self::List(items) => items.clone(),
            single => vec![single.clone()],
        }
    }
}

/// Reads all values of a command; `None` if it is malformed.
pub(super) fn parse(parts: &[Part]) -> Option<Vec<Value>> {
    let mut open: Vec<Vec<Value>> = vec![Vec::new()];
    for part in parts {
        match part {
            Part::Literal(bytes) => open.last_mut()?.push(Value::Text(bytes.clone())),
            Part::Line(line) => parse_line(line, &mut open)?,
        }
    }
    let values = open.pop()?;
    open.is_empty().then_some(values)
}

fn parse_line(line: &[u8], open: &mut Vec<Vec<Value>>) -> Option<()> {
    let mut at = 0;
    while let Some(byte) = line.get(at) {
        match byte {
            b' ' => at += 1,
            b'(' if open.len() > MAX_DEPTH => return None,
            b'(' => {
                open.push(Vec::new());
                at += 1;
            }
            b')' => {
                let list = open.pop()?;
                open.last_mut()?.push(Value::List(list));
                at += 1;
            }
            b'"' => {
                let (text, length) = quoted(&line[at..])?;
                open.last_mut()?.push(Value::Text(text));
                at += length;
            }
            _ => {
                let length = atom_length(&line[at..]);
                open.last_mut()?.push(Value::Atom(String::from_utf8(line[at..at + length].to_vec()).ok()?));
                at += length;
            }
        }
    }
    Some(())
}

fn quoted(line: &[u8]) -> Option<(Bytes, usize)> {
    let mut text = Vec::new();
    let mut at = 1;
    loop {
        match line.get(at)? {
            b'"' => return Some((text.into(), at + 1)),
            b'\\' => {
                at += 1;
                text.push(*line.get(at)?);
            }
            byte => text.push(*byte),
        }
        at += 1;
    }
}

fn atom_length(line: &[u8]) -> usize {
    let mut in_section = false;
    for (at, byte) in line.iter().enumerate() {
        match byte {
            b'[' => in_section = true,
            b']' => in_section = false,
            b' ' | b'(' | b')' | b'"' if !in_section => return at.max(1),
            _ => (),
        }
    }
    line.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &'static str) -> Option<Vec<Value>> {
        parse(&[Part::Line(Bytes::from_static(line.as_bytes()))])
    }

    fn atom(text: &str) -> Value {
        Value::Atom(text.into())
    }

    #[test]
    fn reads_atoms_strings_lists_and_sections() {
        let values = read(r#"1:* (FLAGS BODY.PEEK[HEADER.FIELDS (DATE FROM)]<0.9>) "a \"b\"" ()"#).unwrap();
        assert_eq!(
            values,
            [
                atom("1:*"),
                Value::List(vec![atom("FLAGS"), atom("BODY.PEEK[HEADER.FIELDS (DATE FROM)]<0.9>")]),
                Value::Text("a \"b\"".into()),
                Value::List(Vec::new()),
            ]
        );
    }

    #[test]
    fn refuses_what_does_not_close() {
        assert_eq!(read("(a"), None);
        assert_eq!(read("a)"), None);
        assert_eq!(read("\"a"), None);
    }

    #[test]
    fn depth_is_bounded() {
        let mut line = "(".repeat(30_000);
        line.push_str(&")".repeat(30_000));
        let values = parse(&[Part::Line(line.into())]);
        assert_eq!(values, None);
    }
}
