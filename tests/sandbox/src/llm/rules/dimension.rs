//! Which size is which dimension of a product.

use super::super::request::{Measure, Product};
use super::measure::{Group, Length};
use super::mention::{self, Mention, Name};
use super::token::{Kind, Token};

/// What the sizes say: dimensions found, and why they are not all clear.
#[derive(Debug, Default)]
pub(super) struct Sized {
    pub(super) measures: Vec<Measure>,
    pub(super) problem: Option<String>,
}

/// Words that may stand between a size and its name.
const LINKS: [&str; 18] = [
    "of", "de", "von", "di", "da", "ca", "circa", ":", "=", ".", "en", "in", "(", "van", "about", "etwa", "is", "each",
];

/// Gives every length of the groups to one of the product's dimensions, by its name or by its place.
pub(super) fn assign(
    product: &Product,
    tokens: &[Token],
    from: usize,
    to: usize,
    groups: &[Group],
    language: &str,
) -> Sized {
    let mut sized = Sized::default();
    if product.dimensions.is_empty() {
        sized.problem = groups
            .iter()
            .find(|group| !is_in_name(product, group))
            .map(|_| "the product comes in one size, the mail names a size".into());
        return sized;
    }
    let names = mention::names(
        product
            .dimensions
            .iter()
            .map(|dimension| dimension.aliases.iter().cloned().chain([dimension.name.clone()]).collect()),
    );
    let finder = Finder { tokens, from, to, names: &names, language };
    let first = groups.iter().flatten().next();
    let named_before = first.is_some_and(|length| finder.before(length).is_some());
    let mut values: Vec<Option<&Length>> = vec![None; product.dimensions.len()];
    for group in groups {
        let by_name: Vec<Option<usize>> = group.iter().map(|length| finder.name(length, named_before)).collect();
        let mut places = by_name;
        if group.len() == product.dimensions.len() && values.iter().all(Option::is_none) {
            by_place(&mut places, height_first(tokens, from, to));
        }
        for (length, place) in group.iter().zip(places) {
            match place {
                Some(place) if values[place].is_none_or(|known| same(known, length)) => values[place] = Some(length),
                Some(place) => sized.note(format!("the {} is given twice", product.dimensions[place].name)),
                None if values.iter().flatten().any(|known| same(known, length)) => (),
                None => sized.note(
                    format!("it is unclear which size {} {} is", length.value, length.unit.unwrap_or_default())
                        .trim_end()
                        .to_owned(),
                ),
            }
        }
    }
    for (dimension, length) in product.dimensions.iter().zip(values) {
        let Some(length) = length else { continue };
        match length.unit {
            Some(unit) => sized.measures.push(Measure {
                name: dimension.name.clone(),
                value: length.value.clone(),
                unit: unit.into(),
            }),
            None => sized.note(format!("the unit of the {} is missing", dimension.name)),
        }
    }
    sized
}

impl Sized {
    fn note(&mut self, problem: String) {
        self.problem.get_or_insert(problem);
    }
}

fn same(one: &Length, other: &Length) -> bool {
    one.value == other.value && one.unit == other.unit
}

/// Fills the places that no name filled, in the order in which the product declares its dimensions.
fn by_place(places: &mut [Option<usize>], reversed: bool) {
    let count = places.len();
    let mut free: Vec<usize> = (0..count).filter(|place| !places.contains(&Some(*place))).collect();
    if reversed {
        free.reverse();
    }
    let mut free = free.into_iter();
    for place in places.iter_mut().filter(|place| place.is_none()) {
        *place = free.next();
    }
}

/// `H x B`: somebody says that the height comes first.
fn height_first(tokens: &[Token], from: usize, to: usize) -> bool {
    tokens[from..to].windows(3).any(|three| {
        three[0].is_one_of(&["h", "hohe", "height", "hauteur", "alto", "hoogte"])
            && three[1].is_one_of(&["x", "×", "/"])
            && three[2].is_one_of(&["b", "w", "l", "breite", "width", "largeur", "ancho", "breedte"])
    })
}

/// A size that is part of the product's own name is no wish.
fn is_in_name(product: &Product, group: &Group) -> bool {
    let mut names = std::iter::once(&product.name).chain(&product.aliases);
    names.any(|name| {
        let numbers: Vec<String> = super::token::tokens_of_line(name, 0)
            .into_iter()
            .filter(|token| token.kind == Kind::Number)
            .map(|token| token.text)
            .collect();
        group.iter().all(|length| numbers.contains(&length.value))
    })
}

struct Finder<'a> {
    tokens: &'a [Token],
    from: usize,
    to: usize,
    names: &'a [Name],
    language: &'a str,
}

impl Finder<'_> {
    /// The dimension named beside a length; the side that the first length's name is on goes first.
    fn name(&self, length: &Length, named_before: bool) -> Option<usize> {
        if named_before {
            self.before(length).or_else(|| self.after(length))
        } else {
            self.after(length).or_else(|| self.before(length))
        }
    }

    fn before(&self, length: &Length) -> Option<usize> {
        let mut end = length.from;
        while end > self.from && self.tokens[end - 1].is_one_of(&LINKS) {
            end -= 1;
        }
        let start = end.saturating_sub(3).max(self.from);
        only(mention::find(self.tokens, start, end, self.names, self.language).into_iter().find(|name| name.to == end))
    }

    fn after(&self, length: &Length) -> Option<usize> {
        let mut start = length.to;
        loop {
            let end = (start + 3).min(self.to);
            let found = mention::find(self.tokens, start, end, self.names, self.language)
                .into_iter()
                .find(|name| name.from == start);
            if found.is_some()
                || start >= self.to
                || !self.tokens[start].is_one_of(&LINKS[..11]) && !self.tokens[start].is_one_of(&["w"])
            {
                return only(found);
            }
            start += 1;
        }
    }
}

fn only(mention: Option<Mention>) -> Option<usize> {
    mention.filter(|mention| mention.owners.len() == 1).map(|mention| mention.owners[0])
}
