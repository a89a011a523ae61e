//! Sizes: a number with a unit of length, alone or as `120 x 80 cm`.

use super::number::{self, Use, tidy};
use super::token::{Kind, Token};

/// Unit words, folded, and the unit's short name.
const UNITS: [(&str, &str); 40] = [
    ("mm", "mm"),
    ("millimeter", "mm"),
    ("millimetre", "mm"),
    ("millimetres", "mm"),
    ("milimetros", "mm"),
    ("millimetri", "mm"),
    ("मिमी", "mm"),
    ("cm", "cm"),
    ("zentimeter", "cm"),
    ("centimeter", "cm"),
    ("centimetre", "cm"),
    ("centimetres", "cm"),
    ("centimeters", "cm"),
    ("centimetros", "cm"),
    ("centimetri", "cm"),
    ("सेमी", "cm"),
    ("m", "m"),
    ("meter", "m"),
    ("meters", "m"),
    ("metern", "m"),
    ("metre", "m"),
    ("metres", "m"),
    ("metro", "m"),
    ("metros", "m"),
    ("metri", "m"),
    ("metry", "m"),
    ("metrow", "m"),
    ("mtr", "m"),
    ("मीटर", "m"),
    ("in", "in"),
    ("inch", "in"),
    ("inches", "in"),
    ("zoll", "in"),
    ("pouces", "in"),
    ("pulgadas", "in"),
    ("pollici", "in"),
    ("duim", "in"),
    ("ft", "ft"),
    ("feet", "ft"),
    ("foot", "ft"),
];

/// One length. `value` is as written, only tidied; no unit is a unit left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Length {
    pub(super) value: String,
    pub(super) unit: Option<&'static str>,
    /// The first token and the one after the last.
    pub(super) from: usize,
    pub(super) to: usize,
}

/// Lengths joined by `x`; a single one is a group of one.
pub(super) type Group = Vec<Length>;

/// All sizes in the tokens from `from` to `to`, except where `taken`.
pub(super) fn find(tokens: &[Token], from: usize, to: usize, taken: &[bool], language: &str) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut at = from;
    while at < to {
        let group = group(tokens, at, to, taken, language);
        match group.last() {
            Some(last) => {
                at = last.to;
                groups.push(group);
            }
            None => at += 1,
        }
    }
    groups
}

fn group(tokens: &[Token], start: usize, to: usize, taken: &[bool], language: &str) -> Group {
    let mut group: Group = Vec::new();
    let mut at = start;
    while let Some(length) = length(tokens, at, to, taken, language) {
        at = length.to;
        group.push(length);
        // `1,200 mm wide × 800 mm high`: a word or two may stand before the x.
        let Some(sign) = (at..(at + 3).min(to)).find(|at| is_times(tokens, *at)) else { break };
        let words_between =
            tokens[at..sign].iter().all(|token| token.kind == Kind::Word && !token.is_one_of(super::lexicon::BREAKS));
        if !words_between || (sign > at && group.last().is_none_or(|length| length.unit.is_none())) {
            break;
        }
        at = sign + 1;
    }
    // A lone number without a unit is no size.
    if group.len() == 1 && group[0].unit.is_none() {
        return Group::new();
    }
    // `60 x 40 cm`: the last unit is everybody's.
    let last = group.last().and_then(|length| length.unit);
    for length in &mut group {
        length.unit = length.unit.or(last);
    }
    group
}

fn length(tokens: &[Token], at: usize, to: usize, taken: &[bool], language: &str) -> Option<Length> {
    if at >= to || taken[at] {
        return None;
    }
    let english = matches!(language, "en" | "hi");
    let found = number::at(&tokens[at..to], language, Use::Size { english })?;
    let after = at + found.length;
    let unit = unit(tokens, after, to);
    // Words count as sizes only with their unit: `vijf meter`.
    if tokens[at].kind == Kind::Word && unit.is_none() {
        return None;
    }
    let (unit, to) = unit.map_or((None, after), |(unit, length)| (Some(unit), after + length));
    Some(Length { value: tidy(&found.value), unit, from: at, to })
}

/// The unit and how many tokens it takes.
fn unit(tokens: &[Token], at: usize, to: usize) -> Option<(&'static str, usize)> {
    let token = tokens.get(at).filter(|_| at < to)?;
    let next = tokens.get(at + 1).filter(|next| next.joined && at + 1 < to);
    if token.joined && token.is_one_of(&["'", "′"]) {
        let doubled = next.is_some_and(|next| next.is("'"));
        return Some(if doubled { ("in", 2) } else { ("ft", 1) });
    }
    if token.joined && token.is_one_of(&["\"", "″", "”", "“", "''"]) {
        return Some(("in", 1));
    }
    let unit = UNITS.iter().find(|(word, _)| token.is(word))?.1;
    // An area is no length; `in` is a unit only where it cannot be the word.
    if next.is_some_and(|next| next.is_one_of(&["²", "³", "2"]))
        || (token.is("in") && !token.joined && !stands_alone(tokens, at, to))
    {
        return None;
    }
    let dot = next.is_some_and(|next| next.is(".") && token.is_one_of(&["mm", "cm", "in", "ft"]))
        && at + 2 < to
        && !tokens[at + 2].joined;
    Some((unit, 1 + usize::from(dot && next_continues(tokens, at + 2))))
}

/// `24 in wide`, `24 in x 18 in`: what follows is a sign or a word of size, never an article.
fn stands_alone(tokens: &[Token], at: usize, to: usize) -> bool {
    let next = tokens.get(at + 1).filter(|_| at + 1 < to);
    next.is_none_or(|next| {
        next.kind == Kind::Sign || next.is_one_of(&["x", "by", "wide", "high", "tall", "long", "and", "deep"])
    })
}

fn next_continues(tokens: &[Token], at: usize) -> bool {
    tokens.get(at).is_some_and(|next| !next.opens_line && is_times(tokens, at))
}

fn is_times(tokens: &[Token], at: usize) -> bool {
    tokens.get(at).is_some_and(|token| token.is_one_of(&["x", "×", "*", "✕", "by", "auf", "mal"]))
}

#[cfg(test)]
mod tests {
    use super::super::token::tokens_of_line;
    use super::*;

    fn read(text: &str, language: &str) -> Vec<Vec<String>> {
        let tokens = tokens_of_line(text, 0);
        let groups = find(&tokens, 0, tokens.len(), &vec![false; tokens.len()], language);
        let show = |length: &Length| format!("{} {}", length.value, length.unit.unwrap_or("?"));
        groups.iter().map(|group| group.iter().map(show).collect()).collect()
    }

    #[test]
    fn sizes_are_found_however_they_are_written() {
        assert_eq!(read("600 x 400 mm", "de"), [["600 mm", "400 mm"]]);
        assert_eq!(read("60x40cm", "de"), [["60 cm", "40 cm"]]);
        assert_eq!(read("3,00 m × 2,20 m", "de"), [["3 m", "2.2 m"]]);
        assert_eq!(read("1,200 mm wide × 800 mm high", "en"), [["1200 mm", "800 mm"]]);
        assert_eq!(read("6 ft x 3 ft, 24\" wide", "en"), [vec!["6 ft", "3 ft"], vec!["24 in"]]);
        assert_eq!(read("vijf meter breed en één meter hoog", "nl"), [["5 m"], ["1 m"]]);
        assert_eq!(read("120x80", "de"), [["120 ?", "80 ?"]]);
        assert_eq!(read("4 cm x 3 cm x 2 cm", "en"), [["4 cm", "3 cm", "2 cm"]]);
    }

    #[test]
    fn areas_and_counts_are_no_sizes() {
        assert!(read("terrasse de 120 m²", "fr").is_empty());
        assert!(read("3 in the shop", "en").is_empty());
        assert!(read("500 Visitenkarten", "de").is_empty());
    }
}
