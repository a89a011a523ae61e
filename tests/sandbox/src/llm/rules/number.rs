//! Numbers as people of different countries write them, in digits and in words.

use rust_decimal::Decimal;

use super::token::{Kind, Token};

mod words;

/// Where a number is used decides what a lone separator before three digits means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Pieces: `1.000` and `1,000` are a thousand.
    Count,
    /// A size: `1,200` is a thousand and two hundred in English, a little more than one elsewhere.
    Size { english: bool },
}

/// A number in the text: its value as a plain decimal text, and how many tokens it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) value: String,
    pub(super) length: usize,
    /// An article such as `ein`, which counts only if nothing better does.
    pub(super) weak: bool,
}

/// The number that starts at the first token.
pub(super) fn at(tokens: &[Token], language: &str, used: Use) -> Option<Found> {
    let first = tokens.first()?;
    match first.kind {
        Kind::Number => {
            let (digits, length) = grouped(tokens, language);
            Some(Found { value: plain(&digits, used)?, length, weak: false })
        }
        Kind::Word => words::at(tokens, language),
        Kind::Sign => None,
    }
}

/// How many, written in digits: `1.000` is a thousand.
pub(super) fn plain_count(text: &str) -> Option<String> {
    let number = text.bytes().next().is_some_and(|first| first.is_ascii_digit());
    plain(text, Use::Count)
        .filter(|_| number)
        .map(|value| tidy(&value))
        .filter(|value| value.parse::<Decimal>().is_ok())
}

/// `1 200` where thousands are grouped by spaces; elsewhere two numbers stay two.
fn grouped(tokens: &[Token], language: &str) -> (String, usize) {
    let first = &tokens[0].text;
    let by_spaces = matches!(language, "fr" | "pl" | "sv" | "cs" | "da");
    let short = first.len() <= 3 && first.bytes().all(|byte| byte.is_ascii_digit());
    if let (true, true, Some(next)) = (by_spaces, short, tokens.get(1)) {
        let three = next.text.split([',', '.']).next().is_some_and(|whole| whole.len() == 3);
        if next.kind == Kind::Number && three && !next.joined {
            return (format!("{first}{}", next.text), 2);
        }
    }
    (first.clone(), 1)
}

/// Digits and separators as a plain decimal; `None` for what is no single number, as a date.
fn plain(text: &str, used: Use) -> Option<String> {
    let text: String =
        text.chars().filter(|letter| !matches!(letter, '\'' | '’' | '\u{a0}' | '\u{202f}' | '\u{2009}')).collect();
    let (sign, text) = match text.strip_prefix(['-', '−']) {
        Some(rest) => ("-", rest),
        None => ("", text.as_str()),
    };
    let last = text.rfind(['.', ',']);
    let Some(last) = last else { return Some(format!("{sign}{text}")) };
    let (whole, fraction) = (&text[..last], &text[last + 1..]);
    let mark = text.as_bytes()[last];
    let groups: Vec<&str> = whole.split(['.', ',']).collect();
    let in_threes =
        groups.iter().skip(1).all(|group| group.len() == 3) && !groups[0].is_empty() && groups[0].len() <= 3;
    let same_mark = groups.len() > 1 && whole.bytes().any(|byte| byte == mark);
    if !in_threes && groups.len() > 1 {
        return None;
    }
    let thousands = fraction.len() == 3
        && groups[0].len() <= 3
        && groups[0] != "0"
        && (same_mark
            || (groups.len() == 1
                && match used {
                    Use::Count => true,
                    Use::Size { english } => (mark == b',') == english,
                }));
    let digits = groups.concat();
    match (thousands, same_mark) {
        (true, _) => Some(format!("{sign}{digits}{fraction}")),
        (false, true) => None,
        (false, false) => Some(format!("{sign}{digits}.{fraction}")),
    }
}

/// Without needless zeros: `1.50` is `1.5`. What is too long for a decimal stays as it is written.
pub(super) fn tidy(value: &str) -> String {
    value.parse::<Decimal>().map_or_else(|_| value.to_owned(), |number| number.normalize().to_string())
}

#[cfg(test)]
mod tests {
    use super::super::token::tokens_of_line;
    use super::*;

    fn read(text: &str, language: &str, used: Use) -> Option<String> {
        at(&tokens_of_line(text, 0), language, used).map(|found| found.value)
    }

    #[test]
    fn separators_mean_what_the_country_means() {
        let size = |english| Use::Size { english };
        let cases = [
            ("1.000", "de", Use::Count, "1000"),
            ("1,000", "en", Use::Count, "1000"),
            ("2 500", "fr", Use::Count, "2500"),
            ("2 500", "de", Use::Count, "2"),
            ("1'500", "de", Use::Count, "1500"),
            ("1,200", "en", size(true), "1200"),
            ("1,200", "de", size(false), "1.200"),
            ("1.200", "de", size(false), "1200"),
            ("1.200", "en", size(true), "1.200"),
            ("0,500", "de", size(false), "0.500"),
            ("1.234,5", "de", size(false), "1234.5"),
            ("1,234.5", "en", size(true), "1234.5"),
            ("-5", "en", Use::Count, "-5"),
        ];
        for (text, language, used, expected) in cases {
            assert_eq!(read(text, language, used).as_deref(), Some(expected), "{text} {language}");
        }
        assert_eq!(read("15.01.2027", "de", Use::Count), None);
    }

    #[test]
    fn number_words_are_added_up() {
        let cases = [
            ("en", "five thousand", "5000"),
            ("en", "two hundred and fifty", "250"),
            ("en", "twenty-five", "25"),
            ("en", "a dozen", "12"),
            ("de", "fünfundzwanzig", "25"),
            ("de", "zweihundertfünfzig", "250"),
            ("de", "zwei Dutzend", "24"),
            ("fr", "douze", "12"),
            ("fr", "deux cents", "200"),
            ("fr", "quatre-vingt-dix", "90"),
            ("nl", "één", "1"),
            ("nl", "vijfentwintig", "25"),
            ("it", "sei", "6"),
            ("it", "duecentocinquanta", "250"),
            ("pl", "dwustu", "200"),
            ("es", "doscientas", "200"),
            ("hi", "पाँच", "5"),
        ];
        for (language, text, expected) in cases {
            assert_eq!(read(text, language, Use::Count).as_deref(), Some(expected), "{text} {language}");
        }
        assert_eq!(read("seid", "de", Use::Count), None);
    }
}
