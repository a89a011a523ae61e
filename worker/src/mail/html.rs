//! HTML to text, without ever failing: what the good converter cannot read, the simple one flattens.

mod quotes;

use self::quotes::Part;

/// Longer bodies are read only this far: no request needs more, and layout costs grow with nesting.
const MAX_HTML_BYTES: usize = 512 * 1024;
/// Wide enough that no sentence or table row is broken into lines.
const WIDTH: usize = 4_000;

/// Deeper nesting is not layout but an attack: the converter's time grows with its square.
const MAX_DEPTH: i32 = 400;

/// The text a reader would see; tables keep one line per row. What a mail program marked as quoted begins with `> `, as in plain
/// text, if it is a reply.
pub(super) fn to_text(html: &str, is_reply: bool) -> String {
    let html = head(html, MAX_HTML_BYTES);
    if !is_reply {
        return flat(html);
    }
    let mut text = String::new();
    for part in quotes::parts(html) {
        match part {
            Part::New(html) => text.push_str(&flat(html)),
            Part::Quoted(html) => {
                let quoted = flat(html);
                // Gmail wraps what is forwarded in the same element.
                let is_forwarded =
                    quoted.lines().find(|line| !line.trim().is_empty()).is_some_and(super::quoted::is_forward);
                let mark = if is_forwarded { "" } else { "> " };
                text.extend(quoted.lines().flat_map(|line| [mark, line, "\n"]));
            }
        }
        text.push('\n');
    }
    text
}

fn flat(html: &str) -> String {
    if depth(html) > MAX_DEPTH {
        return mail_parser::decoders::html::html_to_text(html);
    }
    let config = html2text::config::plain_no_decorate().no_table_borders().allow_width_overflow().link_footnotes(false);
    match config.string_from_read(html.as_bytes(), WIDTH) {
        Ok(text) => text,
        Err(error) => {
            tracing::debug!(%error, "HTML flattened instead of rendered");
            mail_parser::decoders::html::html_to_text(html)
        }
    }
}

fn head(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The deepest nesting if every element is closed by its own tag. Too high for lists and paragraphs that leave
/// their end tags out, which does no harm: they are flattened.
fn depth(html: &str) -> i32 {
    const VOID: [&str; 8] = ["br", "hr", "img", "input", "meta", "link", "col", "wbr"];
    let (mut depth, mut deepest) = (0, 0);
    for tag in html.split('<').skip(1) {
        let name: String = tag.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '/').take(10).collect();
        if name.starts_with('/') {
            depth -= 1;
        } else if !name.is_empty() && !VOID.contains(&name.to_ascii_lowercase().as_str()) {
            depth += 1;
            deepest = deepest.max(depth);
        }
    }
    deepest
}
