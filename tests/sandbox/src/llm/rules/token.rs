//! The words, numbers and signs of a mail, each with its place in the text.

use super::fold::fold;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Word,
    /// Digits with their separators, as written: `1.200,50`.
    Number,
    Sign,
}

#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Folded; of a number the digits and separators, with the minus sign that touches it.
    pub(super) text: String,
    /// Bytes in the mail's text.
    pub(super) start: usize,
    pub(super) end: usize,
    /// No white space between this token and the one before.
    pub(super) joined: bool,
    /// First on its line.
    pub(super) opens_line: bool,
}

impl Token {
    pub(super) fn is(&self, text: &str) -> bool {
        self.text == text
    }

    pub(super) fn is_one_of(&self, texts: &[&str]) -> bool {
        texts.contains(&self.text.as_str())
    }
}

/// Tokens of one line; `offset` is where the line starts in the text.
pub(super) fn tokens_of_line(line: &str, offset: usize) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut at = 0;
    while let Some(first) = line[at..].chars().next() {
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let rest = &line[at..];
        let before = line[..at].chars().next_back();
        let (kind, length) = if first.is_ascii_digit() || is_signed(rest, before) {
            (Kind::Number, number_length(rest))
        } else if is_letter(first) {
            (Kind::Word, word_length(rest))
        } else {
            (Kind::Sign, first.len_utf8())
        };
        let raw = &rest[..length];
        tokens.push(Token {
            kind,
            text: if kind == Kind::Number { raw.to_owned() } else { fold(raw) },
            start: offset + at,
            end: offset + at + length,
            joined: before.is_some_and(|before| !before.is_whitespace()),
            opens_line: tokens.is_empty(),
        });
        at += length;
    }
    tokens
}

/// A minus that touches a number and nothing else is its sign.
fn is_signed(rest: &str, before: Option<char>) -> bool {
    let mut letters = rest.chars();
    matches!(letters.next(), Some('-' | '−'))
        && letters.next().is_some_and(|next| next.is_ascii_digit())
        && before.is_none_or(char::is_whitespace)
}

fn is_letter(letter: char) -> bool {
    (letter.is_alphabetic() || matches!(letter, '\u{300}'..='\u{36f}' | '\u{900}'..='\u{963}' | '\u{970}'..='\u{97f}'))
        && !matches!(letter, '²' | '³' | 'º' | 'ª')
}

fn word_length(rest: &str) -> usize {
    let mut end = 0;
    for (at, letter) in rest.char_indices() {
        // An apostrophe between letters belongs to the word (`don't`); one at its end is a sign (inch marks, quotes).
        let inside =
            matches!(letter, '\'' | '’') && rest[at + letter.len_utf8()..].chars().next().is_some_and(is_letter);
        if !is_letter(letter) && !inside {
            break;
        }
        end = at + letter.len_utf8();
    }
    end
}

fn number_length(rest: &str) -> usize {
    let mut end = 0;
    for (at, letter) in rest.char_indices() {
        let after = &rest[at + letter.len_utf8()..];
        let next_is_digit = after.starts_with(|next: char| next.is_ascii_digit());
        let separator = matches!(letter, '.' | ',' | '\'' | '’' | '\u{a0}' | '\u{202f}' | '\u{2009}') && next_is_digit;
        // Spaces that do not break lines group digits only in threes.
        let grouped = !matches!(letter, '\u{a0}' | '\u{202f}' | '\u{2009}') || digits(after) == 3;
        let sign = at == 0 && matches!(letter, '-' | '−');
        if !(letter.is_ascii_digit() || sign || (separator && grouped)) {
            break;
        }
        end = at + letter.len_utf8();
    }
    end
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str) -> Vec<String> {
        tokens_of_line(line, 0).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn numbers_keep_their_separators_and_part_from_letters() {
        assert_eq!(texts("1.200,50 m x 3m"), ["1.200,50", "m", "x", "3", "m"]);
        assert_eq!(texts("-5 Roll-ups, 2."), ["-5", "roll", "-", "ups", ",", "2", "."]);
        assert_eq!(texts("24\" wide"), ["24", "\"", "wide"]);
        assert_eq!(texts("don't Größe"), ["don't", "grosse"]);
        assert_eq!(texts("1\u{a0}200 mm"), ["1\u{a0}200", "mm"]);
        assert_eq!(texts("चौड़ाई 3 मीटर"), ["चौडाई", "3", "मीटर"]);
    }
}
