//! How many of a product are wanted.

use super::lexicon::{BREAKS, NOT_PIECES, PIECES, QUANTITY_LABELS, RANGES};
use super::number::{self, Found, Use};
use super::token::{Kind, Token};
use super::unit::Columns;

/// A number that may be the quantity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) at: usize,
    pub(super) value: String,
    pub(super) weak: bool,
    /// `2 to 3`: no quantity, but a reason to ask.
    pub(super) range: bool,
}

/// What is known of the tokens: `taken` ones are sizes, prices, dates, names and list numbers.
#[derive(Clone, Copy)]
pub(super) struct Sight<'a> {
    pub(super) tokens: &'a [Token],
    pub(super) taken: &'a [bool],
    pub(super) language: &'a str,
    pub(super) unit_label: Option<&'a str>,
}

/// Words between a number and its product: `two large printed`.
const WORDS_BETWEEN: usize = 5;

impl Sight<'_> {
    /// The number before a product's name that starts at `name`; `from` is the earliest token to look at.
    pub(super) fn before(&self, from: usize, name: usize) -> Option<Candidate> {
        let earliest = from.max(name.saturating_sub(WORDS_BETWEEN + 3));
        (earliest..name).find_map(|at| {
            let found = self.number(at, name)?;
            let between = &self.tokens[at + found.length..name];
            let times = between.first().is_some_and(|token| token.is_one_of(&["x", "×"]));
            let mut words = between.iter().skip(usize::from(times)).enumerate();
            // `2 Stück von …`, `2 pieces of …`: the word after a piece may be anything.
            let fits = words.all(|(place, token)| {
                let piece_before = place > 0 && between[place - 1].is_one_of(PIECES);
                let hyphen = token.is("-") && token.joined;
                hyphen
                    || token.kind == Kind::Word
                        && !token.is_one_of(NOT_PIECES)
                        && (piece_before || !token.is_one_of(BREAKS))
            });
            (fits && between.len() <= WORDS_BETWEEN).then(|| self.candidate(at, from, &found))
        })
    }

    /// Numbers that say of themselves that they are quantities: after a label, before `pieces`.
    pub(super) fn told(&self, from: usize, to: usize) -> Vec<Candidate> {
        (from..to)
            .filter_map(|at| {
                let found = self.number(at, to)?;
                let after = self.tokens.get(at + found.length).filter(|_| at + found.length < to);
                let pieces = after.is_some_and(|after| {
                    after.kind == Kind::Word && (after.is_one_of(PIECES) || self.is_unit_label(after))
                });
                let mut before = at;
                while before > from && self.tokens[before - 1].is_one_of(&[":", "=", "-", "–", ".", "("]) {
                    before -= 1;
                }
                let labelled = before > from && self.tokens[before - 1].is_one_of(QUANTITY_LABELS);
                (pieces || labelled).then(|| Candidate { weak: false, ..self.candidate(at, from, &found) })
            })
            .collect()
    }

    /// `Roll-up: 6`, `Roll-up x 5`, `Roll-up (5)`, `Roll-up – 6`: a bare number after the name, and nothing more.
    pub(super) fn after(&self, name_end: usize, to: usize) -> Option<Candidate> {
        let mut at = name_end;
        while at < to && self.tokens[at].is_one_of(&[":", "-", "–", "—", "x", "×", "(", "="]) {
            at += 1;
        }
        let found = self.number(at, to).filter(|_| at > name_end && self.tokens[at].kind == Kind::Number)?;
        let end = at + found.length;
        let ends = end >= to || self.tokens[end].kind == Kind::Sign || self.tokens[end].opens_line;
        ends.then(|| self.candidate(at, name_end, &found))
    }

    /// The quantity in a table's row; several numbers and no hint from the head are no answer.
    pub(super) fn in_row(&self, from: usize, to: usize, columns: Columns) -> Option<Candidate> {
        let skip =
            usize::from(columns.numbered && self.tokens.get(from).is_some_and(|first| first.kind == Kind::Number));
        let mut numbers: Vec<Candidate> = (from + skip..to)
            .filter(|at| self.tokens[*at].kind == Kind::Number)
            .filter_map(|at| self.number(at, to).map(|found| self.candidate(at, from + skip, &found)))
            .collect();
        match numbers.len() {
            0 => None,
            1 => numbers.pop(),
            _ if columns.quantity_last => numbers.pop(),
            _ if columns.quantity_first => Some(numbers.swap_remove(0)),
            _ => None,
        }
    }

    fn number(&self, at: usize, to: usize) -> Option<Found> {
        if at >= to || self.taken[at] {
            return None;
        }
        number::at(&self.tokens[at..to], self.language, Use::Count)
            .filter(|found| !self.taken[at..at + found.length].contains(&true))
    }

    fn candidate(&self, at: usize, from: usize, found: &Found) -> Candidate {
        let number_at = |at: usize| self.tokens.get(at).is_some_and(|token| token.kind == Kind::Number);
        let joins = |at: usize| self.tokens.get(at).is_some_and(|token| token.is_one_of(RANGES));
        let end = at + found.length;
        let range = at >= from + 2 && joins(at - 1) && number_at(at - 2) && !self.taken[at - 2]
            || joins(end) && number_at(end + 1) && !self.taken.get(end + 1).copied().unwrap_or(true);
        Candidate { at, value: found.value.clone(), weak: found.weak, range }
    }

    fn is_unit_label(&self, token: &Token) -> bool {
        self.unit_label.is_some_and(|label| super::fold::fold(label) == token.text)
    }
}
