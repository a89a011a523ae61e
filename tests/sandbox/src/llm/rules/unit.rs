//! The mail cut into what belongs together: sentences, entries of a list, lines of a form, rows of a table.

use super::lexicon::{COLUMN_LABELS, POSITION_LABELS, QUANTITY_LABELS};
use super::mention::Mention;
use super::text::Line;
use super::token::{Kind, Token, tokens_of_line};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Prose,
    /// An entry of a list, with a bullet or number before it.
    Listed,
    /// `Breite: 80 cm`.
    Form,
    Row(Columns),
}

/// What the head of a table says about the numbers in its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) numbered: bool,
    pub(super) quantity_first: bool,
    pub(super) quantity_last: bool,
}

/// Tokens `from..to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) shape: Shape,
    pub(super) paragraph: usize,
}

/// The mail's tokens in units. `marks` are tokens that say nothing themselves: bullets and numbers of lists.
#[derive(Debug, Default)]
pub(super) struct Cut {
    pub(super) tokens: Vec<Token>,
    pub(super) units: Vec<Unit>,
    pub(super) marks: Vec<bool>,
}

/// Words whose full stop ends no sentence.
const SHORT: [&str; 30] = [
    "ca", "z", "b", "nr", "inkl", "max", "min", "evtl", "bzw", "ggf", "dr", "herr", "mr", "mrs", "ms", "no", "approx",
    "incl", "env", "art", "aprox", "ej", "sr", "sra", "szt", "stk", "st", "pos", "i", "e",
];

pub(super) fn cut(lines: &[Line<'_>], opens_item: impl Fn(&[Token]) -> bool) -> Cut {
    let mut cut = Cut::default();
    let (mut paragraph, mut fresh) = (0, true);
    let mut table: Option<(Columns, bool)> = None;
    for line in lines {
        let tokens = tokens_of_line(line.text, line.start);
        if tokens.is_empty() {
            paragraph += usize::from(!fresh);
            fresh = true;
            table = table.filter(|(_, has_rows)| !has_rows);
            continue;
        }
        if let Some(columns) = heads(&tokens) {
            table = Some((columns, false));
            fresh = true;
            continue;
        }
        if tokens.iter().all(|token| token.kind == Kind::Sign) {
            continue;
        }
        let mark = mark(&tokens);
        let shape = match &mut table {
            Some((columns, has_rows)) => {
                *has_rows = true;
                Shape::Row(*columns)
            }
            None if mark > 0 => Shape::Listed,
            None if is_form(&tokens) => Shape::Form,
            None => Shape::Prose,
        };
        let continues = shape == Shape::Prose && !fresh && !opens_item(&tokens);
        let first = cut.tokens.len();
        cut.marks.extend((0..tokens.len()).map(|at| at < mark));
        cut.tokens.extend(tokens);
        let to = cut.tokens.len();
        match cut.units.last_mut().filter(|_| continues) {
            Some(unit) => unit.to = to,
            None => cut.units.push(Unit { from: first, to, shape, paragraph }),
        }
        split_last(&mut cut);
        fresh = false;
    }
    cut
}

/// Cuts the last unit at the ends of its sentences.
fn split_last(cut: &mut Cut) {
    let Some(unit) = cut.units.pop() else { return };
    let mut from = unit.from;
    for at in unit.from..unit.to {
        if at + 1 < unit.to && ends_sentence(&cut.tokens, at) && !cut.marks[at] {
            cut.units.push(Unit { from, to: at + 1, ..unit });
            from = at + 1;
        }
    }
    cut.units.push(Unit { from, ..unit });
}

fn ends_sentence(tokens: &[Token], at: usize) -> bool {
    let (token, before) = (&tokens[at], at.checked_sub(1).map(|before| &tokens[before]));
    let parted = tokens.get(at + 1).is_none_or(|next| !next.joined || next.opens_line);
    if token.is_one_of(&["!", "?", "।"]) {
        return parted;
    }
    let short = before.is_some_and(|before| {
        before.is_one_of(&SHORT)
            || before.text.chars().count() == 1 && before.kind == Kind::Word && !before.is_one_of(&["m"])
    });
    // `am 3. Mai`: a number's full stop within a line makes it an ordinal.
    let ordinal = before.is_some_and(|before| before.kind == Kind::Number)
        && tokens.get(at + 1).is_some_and(|next| !next.opens_line);
    token.is(".") && parted && !short && !ordinal
}

/// How many tokens at the start are a bullet, `1.`, `a)` or the like.
fn mark(tokens: &[Token]) -> usize {
    let is = |at: usize, signs: &[&str]| tokens.get(at).is_some_and(|token: &Token| token.is_one_of(signs));
    let parted = |at: usize| tokens.get(at).is_some_and(|token: &Token| !token.joined);
    let counts = |at: usize| {
        tokens.get(at).is_some_and(|token| {
            token.kind == Kind::Number && token.text.len() <= 2
                || token.kind == Kind::Word && token.text.chars().count() == 1
        })
    };
    if is(0, &["-", "–", "—", "•", "*", "·", "‣", "▪", "◦", "●", "+", "→"]) && parted(1) {
        return 1;
    }
    if counts(0) && is(1, &[".", ")"]) && tokens[1].joined && parted(2) {
        return 2;
    }
    if is(0, &["("]) && counts(1) && is(2, &[")"]) && parted(3) {
        return 3;
    }
    0
}

/// At most three words and a colon.
fn is_form(tokens: &[Token]) -> bool {
    let colon = tokens.iter().take(4).position(|token| token.is(":"));
    colon.is_some_and(|at| at > 0 && tokens[..at].iter().all(|token| token.kind == Kind::Word))
}

/// The head of a table: a line without numbers that names the quantity's column and another one.
fn heads(tokens: &[Token]) -> Option<Columns> {
    if tokens.len() > 24 || tokens.iter().any(|token| token.kind == Kind::Number || token.is(":")) {
        return None;
    }
    let places =
        |labels: &[&str]| -> Vec<usize> { (0..tokens.len()).filter(|at| tokens[*at].is_one_of(labels)).collect() };
    let quantity = *places(QUANTITY_LABELS).first()?;
    let numbered = tokens[0].is_one_of(POSITION_LABELS);
    let others = places(COLUMN_LABELS);
    let (first, last) = (others.first()?, others.last()?);
    Some(Columns { numbered, quantity_first: quantity < *first, quantity_last: quantity > *last })
}

/// Whether a product is counted right at the start: `3 Banner …` on a line of its own.
pub(super) fn counts_at_start(tokens: &[Token], mentions: &[Mention]) -> bool {
    tokens.first().is_some_and(|token| token.kind == Kind::Number)
        && mentions.first().is_some_and(|mention| (1..=4).contains(&mention.from))
}
