//! From the names found to items: which words of the mail belong to which product.

use super::super::request::Product;
use super::lexicon::GOES_ON;
use super::measure::Group;
use super::mention::Mention;
use super::quantity::Candidate;
use super::reader::Reader;
use super::unit::Shape;
use super::{mention, token};

/// A product named in the mail, with the words `from..to` that are about it.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) unit: usize,
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) mention: Mention,
    pub(super) quantities: Vec<Candidate>,
    pub(super) sizes: Vec<Group>,
    /// Units around it that go on about it.
    pub(super) around: Vec<usize>,
    /// An entry of a list that names no product itself but stands under one.
    pub(super) inherits: bool,
}

impl Draft {
    pub(super) fn has_strong_quantity(&self) -> bool {
        self.quantities.iter().any(|quantity| !quantity.weak)
    }

    /// Named, and nothing said about it.
    pub(super) fn is_bare(&self) -> bool {
        self.quantities.is_empty() && self.sizes.is_empty()
    }
}

/// All products named, in the order of the mail.
pub(super) fn drafts(reader: &Reader<'_>) -> Vec<Draft> {
    let mut drafts: Vec<Draft> = Vec::new();
    for (number, unit) in reader.cut.units.iter().enumerate() {
        let mentions: Vec<&Mention> =
            reader.mentions.iter().filter(|mention| (unit.from..unit.to).contains(&mention.from)).collect();
        if mentions.is_empty() {
            inherit(reader, number, &mut drafts);
        }
        let first = drafts.len();
        for mention in mentions {
            let floor = drafts[first..].last().map_or(unit.from, |before| before.mention.to);
            let before = reader.sight(&reader.taken, None).before(floor, mention.from);
            match drafts[first..].last_mut() {
                // The same product again, uncounted, is the same item.
                Some(last) if before.is_none() && last.mention.owners == mention.owners => last.mention.to = mention.to,
                last => {
                    let start = before.as_ref().map_or(mention.from, |before| before.at);
                    if let Some(last) = last {
                        last.to = start;
                    }
                    let from = if drafts.len() == first { unit.from } else { start };
                    drafts.push(Draft {
                        unit: number,
                        from,
                        to: unit.to,
                        mention: mention.clone(),
                        quantities: before.into_iter().collect(),
                        sizes: Vec::new(),
                        around: Vec::new(),
                        inherits: false,
                    });
                }
            }
        }
    }
    for draft in &mut drafts {
        fill(reader, draft);
    }
    let bounds: Vec<usize> = drafts.iter().map(|draft| draft.unit).collect();
    for (at, draft) in drafts.iter_mut().enumerate() {
        let last_of_unit = bounds.get(at + 1).is_none_or(|next| *next != draft.unit);
        let until =
            bounds[at + 1..].iter().find(|unit| **unit != draft.unit).copied().unwrap_or(reader.cut.units.len());
        let since = if at == 0 { 0 } else { bounds[at - 1] + 1 };
        if last_of_unit {
            look_around(reader, draft, since, until);
        }
    }
    drafts
}

/// A list's entry with a size but no product belongs to the product named above it.
fn inherit(reader: &Reader<'_>, unit: usize, drafts: &mut Vec<Draft>) {
    let place = reader.cut.units[unit];
    let Some(above) = drafts.last() else { return };
    let near = reader.cut.units[unit - 1..unit].iter().all(|before| before.paragraph + 1 >= place.paragraph);
    let quantities = reader.sight(&reader.taken, None).told(place.from, place.to);
    if place.shape != Shape::Listed || reader.sizes[unit].is_empty() || quantities.is_empty() || !near {
        return;
    }
    let mention = above.mention.clone();
    drafts.push(Draft {
        unit,
        from: place.from,
        to: place.to,
        mention,
        quantities,
        sizes: Vec::new(),
        around: Vec::new(),
        inherits: true,
    });
}

/// What the draft's own words say about quantity and size.
fn fill(reader: &Reader<'_>, draft: &mut Draft) {
    let unit = reader.cut.units[draft.unit];
    let sight = reader.sight(&reader.taken, None);
    draft.sizes = reader.sizes_between(draft.unit, draft.from, draft.to);
    let mut more = sight.told(draft.from, draft.to);
    match unit.shape {
        Shape::Row(columns) => {
            // In a row only the head of the table tells the number of the row from the number of pieces.
            draft.quantities.clear();
            let materials = without_names(reader, draft);
            more.extend(reader.sight(&materials, None).in_row(draft.from, draft.to, columns));
        }
        _ if !draft.inherits => more.extend(sight.after(draft.mention.to, draft.to)),
        _ => (),
    }
    for candidate in more {
        if draft.quantities.iter().all(|known| known.at != candidate.at) {
            draft.quantities.push(candidate);
        }
    }
    if draft.has_strong_quantity() {
        draft.quantities.retain(|quantity| !quantity.weak);
    }
}

/// The numbers in the names of materials count nothing: `350 g`.
fn without_names(reader: &Reader<'_>, draft: &Draft) -> Vec<bool> {
    let mut taken = reader.taken.clone();
    for product in draft.mention.owners.iter().map(|owner| &reader.products[*owner]) {
        for material in materials(reader, product, draft.from, draft.to) {
            taken[material.from..material.to].fill(true);
        }
    }
    taken
}

pub(super) fn materials(reader: &Reader<'_>, product: &Product, from: usize, to: usize) -> Vec<Mention> {
    let names = mention::material_names(&product.materials);
    mention::find(&reader.cut.tokens, from, to, &names, reader.language)
}

/// The lines of a form around the product, and sentences that go on about it.
fn look_around(reader: &Reader<'_>, draft: &mut Draft, since: usize, until: usize) {
    let opens = |unit: usize| -> &token::Token { &reader.cut.tokens[reader.cut.units[unit].from] };
    if reader.is_form(draft.unit) {
        draft.around.extend((since..draft.unit).rev().take_while(|unit| reader.is_form(*unit)));
    }
    for unit in draft.unit + 1..until {
        let goes_on = unit == draft.unit + 1 && opens(unit).is_one_of(GOES_ON);
        if reader.is_form(unit) || goes_on {
            draft.around.push(unit);
        }
    }
    let (no_quantity, no_sizes) = (draft.quantities.is_empty(), draft.sizes.is_empty());
    for place in draft.around.clone().into_iter().map(|unit| (unit, reader.cut.units[unit])) {
        let (number, unit) = place;
        if no_quantity {
            draft.quantities.extend(reader.sight(&reader.taken, None).told(unit.from, unit.to));
        }
        if no_sizes {
            draft.sizes.extend(reader.sizes[number].iter().cloned());
        }
    }
}
