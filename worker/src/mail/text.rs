//! The text of a mail: the plain part if it says anything, else the HTML part; cleaned and bounded.

use mail_parser::{Message, PartType};

use super::{MAX_TEXT_CHARS, html};

/// More parts than this are not looked at.
const MAX_PARTS: usize = 50;
/// Bytes of text that are looked at: several times what is kept, because what is quoted goes first.
const MAX_READ_BYTES: usize = 4 * 1024 * 1024;
/// A plain part shorter than this ("Your program cannot show HTML") gives way to a longer HTML part.
const STUB_CHARS: usize = 80;

pub(super) fn of(message: &Message<'_>, is_reply: bool) -> String {
    let plain = clean(&joined(message, &message.text_body, is_reply));
    let stub = plain.chars().count() < STUB_CHARS;
    if !stub || message.html_body == message.text_body {
        return plain;
    }
    let rich = clean(&joined(message, &message.html_body, is_reply));
    if rich.chars().count() > plain.chars().count() * 2 { rich } else { plain }
}

fn joined(message: &Message<'_>, parts: &[u32], is_reply: bool) -> String {
    let mut text = String::new();
    for part in parts.iter().take(MAX_PARTS).filter_map(|id| message.part(*id)) {
        let read = match &part.body {
            PartType::Text(plain) => head(plain, MAX_READ_BYTES).to_owned(),
            PartType::Html(rich) => html::to_text(rich, is_reply),
            PartType::Binary(_) | PartType::InlineBinary(_) | PartType::Message(_) | PartType::Multipart(_) => continue,
        };
        text.push_str(&read);
        text.push('\n');
        if text.len() > MAX_READ_BYTES {
            break;
        }
    }
    text
}

fn head(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// No control or invisible characters, no runs of white space, at most two line breaks in a row.
fn clean(text: &str) -> String {
    let mut clean = String::new();
    let mut empty = 0;
    for line in text.lines() {
        let line = words(line);
        empty = if line.is_empty() { empty + 1 } else { 0 };
        if empty < 2 && !(line.is_empty() && clean.is_empty()) {
            clean.push_str(&line);
            clean.push('\n');
        }
    }
    fitting(clean.trim_end())
}

/// At most [`MAX_TEXT_CHARS`]: of a longer text what is quoted goes first, the oldest before the newer, because an answer may stand
/// below it.
fn fitting(text: &str) -> String {
    let fits = |text: &str| text.chars().nth(MAX_TEXT_CHARS).is_none();
    if fits(text) {
        return text.to_owned();
    }
    let without = |depth: usize| {
        let kept = text
            .lines()
            .filter(|line| line.chars().filter(|c| !c.is_whitespace()).take_while(|c| *c == '>').count() < depth);
        kept.collect::<Vec<_>>().join("\n")
    };
    let newer = without(2);
    let rest = if fits(&newer) { newer } else { without(1) };
    let rest = if rest.trim().is_empty() { text } else { rest.trim() };
    rest.chars().take(MAX_TEXT_CHARS).collect()
}

fn words(line: &str) -> String {
    let visible: String = line
        .chars()
        .filter(|c| !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{ad}'))
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}
