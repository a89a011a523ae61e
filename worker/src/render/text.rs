//! Text from outside, tamed: one line or several, without tricks, bounded, breakable, and of characters we can draw.

use unicode_segmentation::UnicodeSegmentation as _;

use super::fonts;

/// A run without a space longer than this gets places where it may break, or it would leave the page.
const MAX_RUN: usize = 36;
/// The same in the column of items, which large amounts make narrow.
const MAX_NAME_RUN: usize = 18;
/// Stands for a letter of a script that no font of ours has, such as Chinese.
const UNKNOWN_LETTER: char = '?';

/// One line: spaces folded, controls and direction overrides removed, bounded, breakable.
pub(super) fn clean(text: &str, max: usize) -> String {
    breakable(&plain(text, max), MAX_RUN)
}

/// Several lines, each of them clean.
pub(super) fn clean_lines(text: &str, max: usize) -> String {
    let mut lines: Vec<String> = text.lines().map(|line| clean(line, max)).take(60).collect();
    lines.dedup_by(|a, b| a.is_empty() && b.is_empty());
    shortened(lines.join("\n").trim(), max)
}

/// One line for the column of items.
pub(super) fn name_of_item(text: &str, max: usize) -> String {
    breakable(&plain(text, max), MAX_NAME_RUN)
}

/// A short detail stays on one line.
pub(super) fn unbroken(text: &str) -> String {
    if letters(text).len() <= MAX_RUN { text.replace(' ', "\u{a0}") } else { text.to_owned() }
}

fn plain(text: &str, max: usize) -> String {
    let mut kept = String::with_capacity(text.len());
    for character in text.chars().filter_map(drawn) {
        // Joiners shape the letters around them; what held an emoji together would hold nothing.
        let joins = matches!(character, '\u{200c}' | '\u{200d}');
        if !joins || kept.ends_with(|before: char| !before.is_ascii() && !before.is_whitespace()) {
            kept.push(character);
        }
    }
    shortened(&kept.split_whitespace().collect::<Vec<_>>().join(" "), max)
}

/// Signs that silence a vowel and so join two consonants to one letter, in the scripts of India.
fn is_virama(c: char) -> bool {
    matches!(
        c,
        '\u{94d}' | '\u{9cd}' | '\u{a4d}' | '\u{acd}' | '\u{b4d}' | '\u{bcd}' | '\u{c4d}' | '\u{ccd}' | '\u{d4d}'
    )
}

/// Letters as people see them. Unicode's clusters, joined where a virama joins them: its rule leaves some scripts out.
fn letters(text: &str) -> Vec<&str> {
    let mut letters = Vec::new();
    let (mut from, mut joins) = (0, false);
    for (at, cluster) in text.grapheme_indices(true) {
        if at > 0 && !(joins && cluster.starts_with(char::is_alphabetic)) {
            letters.push(&text[from..at]);
            from = at;
        }
        joins = cluster.trim_end_matches('\u{200d}').ends_with(is_virama);
    }
    if from < text.len() {
        letters.push(&text[from..]);
    }
    letters
}

/// The character, or what stands for it. Emoji and other signs that no font of ours has are left out: an empty box in
/// their place says less than nothing.
fn drawn(character: char) -> Option<char> {
    match character {
        _ if character.is_whitespace() => Some(character),
        _ if is_trick(character) => None,
        _ if fonts::covers(character) => Some(character),
        _ if character.is_alphanumeric() => Some(UNKNOWN_LETTER),
        _ => None,
    }
}

/// Control characters, and those that make text read other than it is stored.
fn is_trick(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Cut between two letters as people see them: a vowel sign stays with its consonant.
fn shortened(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut left = max - 1;
    for letter in letters(text) {
        let Some(rest) = left.checked_sub(letter.chars().count()) else { break };
        left = rest;
        short.push_str(letter);
    }
    short.truncate(short.trim_end().len());
    short.push('…');
    short
}

/// Puts invisible breaks into words that would leave their place: after punctuation, else after every `run` letters.
fn breakable(text: &str, run: usize) -> String {
    let words = text.split(' ');
    let words = words.map(|word| if letters(word).len() > run { broken(word, run) } else { word.to_owned() });
    words.collect::<Vec<_>>().join(" ")
}

fn broken(word: &str, at: usize) -> String {
    let mut result = String::with_capacity(word.len() + 16);
    let mut run = 0;
    for letter in letters(word) {
        if run == at {
            result.push('\u{200b}');
            run = 0;
        }
        result.push_str(letter);
        run += 1;
        if matches!(letter, "-" | "_" | "." | "/" | "@" | "&" | "?") {
            result.push('\u{200b}');
            run = 0;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_is_tamed() {
        assert_eq!(clean("  a\r\n\tb\u{0}\u{202e}c ", 50), "a bc");
        assert_eq!(clean("abcdef", 4), "abc…");
        assert_eq!(breakable(&"x".repeat(100), 36).matches('\u{200b}').count(), 2);
        assert_eq!(clean_lines("one\n\n\n\ntwo\n", 50), "one\n\ntwo");
    }

    #[test]
    fn letters_of_several_characters_are_neither_cut_nor_torn() {
        // क्षि is one letter of four characters.
        assert_eq!(clean("कक्षि", 4), "क…");
        let long = "ಕ್ಷಿ".repeat(40);
        assert!(breakable(&long, 18).split('\u{200b}').all(|part| part.starts_with('ಕ') && part.ends_with('ಿ')));
        assert_eq!(breakable(&long, 18).matches('\u{200b}').count(), 2);
        assert_eq!(breakable(&"ஸ்ரீ".repeat(18), 36).matches('\u{200b}').count(), 0);
    }

    #[test]
    fn what_no_font_has_leaves_no_box() {
        assert_eq!(clean("Neue Schilder 🎉👩‍🔧 bitte ✨", 50), "Neue Schilder bitte");
        assert_eq!(clean("王 & Söhne", 50), "? & Söhne");
        assert_eq!(clean("₹ € £ ¥ – — … · × ½ ² ° µ Ø ≤ → • “ ” «»", 80), "₹ € £ ¥ – — … · × ½ ² ° µ Ø ≤ → • “ ” «»");
    }
}
