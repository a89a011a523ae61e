//! Which part of a reply is new. A quoted request that was answered long ago must not be quoted a second time.
//!
//! Crates that do this follow the usual Ruby parser: regular expressions that backtrack, for plain text in a few languages. This
//! reads every line a bounded number of times, knows the block of headers that Outlook writes, and leaves doubtful lines where
//! they are: a line too many is read by the model and by people, a line too few is a lost position.

mod heads;
mod signature;

pub(super) use self::heads::is_forward;

/// The parts of a mail's text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Split {
    pub new: String,
    pub quoted: String,
    /// What follows the new text as in every mail of its writer: contact data, a slogan, the name of a telephone.
    pub signature: String,
}

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    New,
    Quoted,
    /// Says whom the next lines quote.
    Head,
    Signature,
}

/// Separates what a reply quotes. Only for replies: in a forwarded mail the quoted part *is* the message, and there it stays
/// where it is. If nothing new is left, the whole text counts as new.
pub fn split(text: &str, is_reply: bool) -> Split {
    let lines: Vec<&str> = text.lines().collect();
    let whole = || Split { new: text.to_owned(), ..Split::default() };
    if !is_reply {
        return whole();
    }
    let mut kinds = kinds(&lines);
    let ahead = kinds.iter().take_while(|kind| matches!(kind, Kind::New)).count();
    // What is forwarded in front of any quote was sent on to be read.
    if lines[..(ahead + 1).min(lines.len())].iter().any(|line| heads::is_forward(line)) {
        return whole();
    }
    signature::mark(&lines, &mut kinds);
    let of = |wanted: Kind| {
        let chosen = lines.iter().zip(&kinds).filter(|(_, kind)| **kind == wanted);
        let mut chosen: Vec<&str> = chosen.map(|(line, _)| *line).collect();
        chosen.dedup_by(|line, before| line.trim().is_empty() && before.trim().is_empty());
        chosen.join("\n").trim().to_owned()
    };
    let (new, signature) = (of(Kind::New), of(Kind::Signature));
    if new.is_empty() {
        return whole();
    }
    Split { new, quoted: of(Kind::Quoted), signature }
}

/// New, quoted, or the head of a quote. Answers may stand between or below lines with quote marks; a block without marks is old to
/// its end.
fn kinds(lines: &[&str]) -> Vec<Kind> {
    let mut kinds = Vec::with_capacity(lines.len());
    while kinds.len() < lines.len() {
        let at = kinds.len();
        let rest = &lines[at..];
        if is_marked(rest[0]) {
            kinds.push(Kind::Quoted);
        } else if let Some(head) = heads::of(rest) {
            let head = head.min(rest.len());
            kinds.extend(std::iter::repeat_n(Kind::Head, head));
            let next = rest[head..].iter().find(|line| !line.trim().is_empty());
            if !next.is_some_and(|line| is_marked(line)) {
                kinds.resize(lines.len(), Kind::Quoted);
            }
        } else {
            kinds.push(Kind::New);
        }
    }
    kinds
}

fn is_marked(line: &str) -> bool {
    line.trim_start().starts_with('>')
}

#[cfg(test)]
mod tests;
