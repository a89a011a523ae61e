//! The mail as the rules see it: cut, with every product's name found and every number that is no quantity marked.

use super::super::request::{Product, QuoteRequest};
use super::lexicon::CURRENCIES;
use super::measure::{self, Group};
use super::mention::{self, Mention};
use super::quantity::Sight;
use super::token::{Kind, Token, tokens_of_line};
use super::unit::{Cut, Shape, Unit};
use super::{date, language, text, unit};

pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) products: &'a [Product],
    pub(super) language: &'static str,
    pub(super) cut: Cut,
    pub(super) mentions: Vec<Mention>,
    pub(super) dates: Vec<date::Dated>,
    /// Sizes by the unit they stand in.
    pub(super) sizes: Vec<Vec<Group>>,
    /// Tokens that are no quantity: names, sizes, prices, dates, list numbers.
    pub(super) taken: Vec<bool>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(request: &'a QuoteRequest, text: &'a str) -> Self {
        let lines = text::own_lines(text);
        let all: Vec<Token> = lines.iter().flat_map(|line| tokens_of_line(line.text, line.start)).collect();
        Self::in_language(request, text, language::detect(&all))
    }

    /// A text that is too short to tell its language.
    pub(super) fn in_language(request: &'a QuoteRequest, text: &'a str, language: &'static str) -> Self {
        let lines = text::own_lines(text);
        let names = mention::product_names(&request.products);
        let opens_item =
            |tokens: &[Token]| unit::counts_at_start(tokens, &mention::find(tokens, 0, tokens.len(), &names, language));
        let cut = unit::cut(&lines, opens_item);
        let find = |unit: &Unit| mention::find(&cut.tokens, unit.from, unit.to, &names, language);
        let mentions: Vec<Mention> = cut.units.iter().flat_map(find).collect();
        let dates = date::find(&cut.tokens, language == "en");
        let mut taken = cut.marks.clone();
        for (from, to) in mentions
            .iter()
            .map(|mention| (mention.from, mention.to))
            .chain(dates.iter().map(|dated| (dated.from, dated.to)))
        {
            taken[from..to].fill(true);
        }
        take_prices(&cut.tokens, &mut taken);
        let sizes: Vec<Vec<Group>> =
            cut.units.iter().map(|unit| measure::find(&cut.tokens, unit.from, unit.to, &taken, language)).collect();
        for length in sizes.iter().flatten().flatten() {
            taken[length.from..length.to].fill(true);
        }
        Self { text, products: &request.products, language, cut, mentions, dates, sizes, taken }
    }

    pub(super) fn sight<'b>(&'b self, taken: &'b [bool], product: Option<&'b Product>) -> Sight<'b> {
        Sight {
            tokens: &self.cut.tokens,
            taken,
            language: self.language,
            unit_label: product.and_then(|product| product.unit_label.as_deref()),
        }
    }

    /// The sizes between two tokens of a unit.
    pub(super) fn sizes_between(&self, unit: usize, from: usize, to: usize) -> Vec<Group> {
        let groups = self.sizes.get(unit).into_iter().flatten();
        groups.filter(|group| group.iter().all(|length| from <= length.from && length.to <= to)).cloned().collect()
    }

    /// The words of the mail, verbatim, without bullets at the start and loose ends at the end.
    pub(super) fn excerpt(&self, mut from: usize, mut to: usize) -> String {
        let tokens = &self.cut.tokens;
        while from + 1 < to && self.cut.marks[from] {
            from += 1;
        }
        while to > from + 1
            && tokens[to - 1]
                .is_one_of(&[",", ";", ".", ":", "-", "–", "(", "and", "und", "et", "y", "e", "en", "oraz", "och"])
        {
            to -= 1;
        }
        let words = &self.text[tokens[from].start..tokens[to - 1].end];
        let end = words.char_indices().nth(400).map_or(words.len(), |(end, _)| end);
        words[..end].trim().to_owned()
    }

    pub(super) fn is_form(&self, unit: usize) -> bool {
        self.cut.units.get(unit).is_some_and(|unit| unit.shape == Shape::Form)
    }
}

/// Numbers beside a currency or a percent sign.
fn take_prices(tokens: &[Token], taken: &mut [bool]) {
    let is_money = |at: usize| tokens.get(at).is_some_and(|token| token.is_one_of(CURRENCIES) || token.is("%"));
    for at in 0..tokens.len() {
        let before = at > 0 && tokens[at - 1].is_one_of(&["€", "$", "£", "₹", "eur", "usd", "#"]);
        if tokens[at].kind == Kind::Number && (before || is_money(at + 1) && !tokens[at + 1].opens_line) {
            taken[at] = true;
        }
    }
}
