//! What a mail changes of the quote that it continues. Sentence by sentence:
//! * a product that is dropped (`without the stickers`, `ohne Aufkleber`) takes its line away;
//! * a product that the quote has changes that line, by what is said of it: quantity, size, material. A number of `more` is added;
//! * any other product that is counted, and any that is added (`add 20 posters`), is a new line;
//! * a number, size or material without a product (`make it 500 instead`) changes the quote's only line.
//!
//! Everything else stays as the quote has it.

use super::super::request::{Dropped, Item, Measure, OfferedLine, OfferedQuote};
use super::draft::{self, Draft, materials};
use super::number::tidy;
use super::reader::Reader;
use super::token::Kind;
use super::{dimension, item};

const DROPS: [&str; 22] = [
    "drop",
    "remove",
    "without",
    "cancel",
    "skip",
    "omit",
    "delete",
    "ohne",
    "streichen",
    "streiche",
    "weglassen",
    "entfallt",
    "entfallen",
    "sans",
    "retirez",
    "supprimez",
    "sin",
    "quite",
    "zonder",
    "senza",
    "bez",
    "utan",
];
const ADDS: [&str; 16] = [
    "add",
    "additionally",
    "also",
    "plus",
    "extra",
    "zusatzlich",
    "dazu",
    "noch",
    "ausserdem",
    "ajoutez",
    "ajouter",
    "anadir",
    "ademas",
    "toevoegen",
    "aggiungere",
    "aggiungete",
];
const MORE: [&str; 10] =
    ["more", "another", "additional", "further", "weitere", "mehr", "de plus", "mas", "meer", "altri"];

/// All lines as they should be.
pub(super) struct Amended {
    pub(super) items: Vec<Item>,
    pub(super) dropped: Vec<Dropped>,
}

/// What the quote's lines become; `None` if the mail changes nothing.
pub(super) fn amended(reader: &Reader<'_>, quote: &OfferedQuote) -> Option<Amended> {
    let mut changed: Vec<(i32, Item)> = Vec::new();
    let (mut dropped, mut added) = (Vec::new(), Vec::new());
    let drafts = draft::drafts(reader);
    for draft in &drafts {
        let excerpt = reader.excerpt(draft.from, draft.to);
        let says = |words: &[&str]| reader.cut.tokens[draft.from..draft.to].iter().any(|token| token.is_one_of(words));
        let owned =
            |line: &&OfferedLine| draft.mention.owners.iter().any(|owner| reader.products[*owner].sku == line.sku);
        let lines: Vec<&OfferedLine> = quote.lines.iter().filter(owned).collect();
        match lines[..] {
            [] if draft.is_bare() => {}
            [] => added.push(item::item(reader, &drafts, draft)),
            _ if says(&DROPS) && draft.is_bare() => {
                dropped.extend(lines.iter().map(|line| Dropped { line: line.line, excerpt: excerpt.clone() }));
            }
            _ if draft.is_bare() && named_materials(reader, draft, lines[0]).is_empty() => {}
            _ if says(&ADDS) && !draft.sizes.is_empty() => added.push(item::item(reader, &drafts, draft)),
            [line] => changed.push((line.line, change(reader, draft, line, excerpt, says(&MORE)))),
            [first, ..] => {
                let problem = Some("it is unclear which line of the quote is meant".to_owned());
                changed.push((first.line, Item { excerpt, problem, ..kept(first) }));
            }
        }
    }
    if drafts.iter().all(Draft::is_bare)
        && dropped.is_empty()
        && let [line] = &quote.lines[..]
        && let Some(item) = unnamed(reader, line)
    {
        changed.push((line.line, item));
    }
    if changed.is_empty() && dropped.is_empty() && added.is_empty() {
        return None;
    }
    let stays = |line: &&OfferedLine| !dropped.iter().any(|dropped: &Dropped| dropped.line == line.line);
    let as_wanted = |line: &OfferedLine| {
        changed
            .iter()
            .rev()
            .find(|(number, _)| *number == line.line)
            .map_or_else(|| kept(line), |(_, item)| item.clone())
    };
    let items = quote.lines.iter().filter(stays).map(as_wanted).chain(added).collect();
    Some(Amended { items, dropped })
}

/// A line as it is.
fn kept(line: &OfferedLine) -> Item {
    Item {
        line: Some(line.line),
        excerpt: String::new(),
        sku: Some(line.sku.clone()),
        quantity: Some(line.quantity.clone()),
        material: line.material.clone(),
        dimensions: line.dimensions.clone(),
        problem: None,
    }
}

fn named_materials(reader: &Reader<'_>, draft: &Draft, line: &OfferedLine) -> Vec<String> {
    let Some(product) = reader.products.iter().find(|product| product.sku == line.sku) else { return Vec::new() };
    let named = materials(reader, product, draft.from, draft.to);
    named.iter().flat_map(|found| &found.owners).map(|owner| product.materials[*owner].code.clone()).collect()
}

/// The line with what the mail says of its product.
fn change(reader: &Reader<'_>, draft: &Draft, line: &OfferedLine, excerpt: String, more: bool) -> Item {
    let mut item = Item { excerpt, ..kept(line) };
    let others = draft.quantities.iter().map(|quantity| tidy(&quantity.value)).filter(|value| *value != line.quantity);
    let mut values: Vec<String> = others.collect();
    values.dedup();
    match &values[..] {
        [] => {}
        [value] if more => item.quantity = sum(value, &line.quantity),
        [value] => item.quantity = Some(value.clone()),
        [..] => item.problem = Some("the quantity is unclear".to_owned()),
    }
    match &named_materials(reader, draft, line)[..] {
        [] => {}
        [code] => item.material = Some(code.clone()),
        [..] => item.problem = Some("the material is unclear".to_owned()),
    }
    resize(reader, draft.sizes.as_slice(), line, &mut item);
    item
}

fn resize(reader: &Reader<'_>, sizes: &[super::measure::Group], line: &OfferedLine, item: &mut Item) {
    let Some(product) = reader.products.iter().find(|product| product.sku == line.sku) else { return };
    if sizes.is_empty() {
        return;
    }
    let tokens = &reader.cut.tokens;
    let measured = dimension::assign(product, tokens, 0, tokens.len(), sizes, reader.language);
    let only_missing = measured.problem.as_deref().is_none_or(|problem| problem.contains("missing"));
    for measure in measured.measures {
        item.dimensions.retain(|known: &Measure| known.name != measure.name);
        item.dimensions.push(measure);
    }
    if !only_missing {
        item.problem = measured.problem;
    }
}

/// The only line, changed by a sentence that names no product.
fn unnamed(reader: &Reader<'_>, line: &OfferedLine) -> Option<Item> {
    let tokens = &reader.cut.tokens;
    for (at, unit) in reader.cut.units.iter().enumerate() {
        let counts = |at: &usize| {
            let token = &tokens[*at];
            let whole = token.text.len() <= 6 && token.text.bytes().all(|byte| byte.is_ascii_digit());
            token.kind == Kind::Number && whole && !reader.taken[*at] && tidy(&token.text) != line.quantity
        };
        let numbers: Vec<usize> = (unit.from..unit.to).filter(counts).collect();
        let sizes = reader.sizes_between(at, unit.from, unit.to);
        if numbers.is_empty() && sizes.is_empty() {
            continue;
        }
        let more = tokens[unit.from..unit.to].iter().any(|token| token.is_one_of(&MORE));
        let mut item = Item { excerpt: reader.excerpt(unit.from, unit.to), ..kept(line) };
        match numbers[..] {
            [] => {}
            [number] if more => item.quantity = sum(&tidy(&tokens[number].text), &line.quantity),
            [number] => item.quantity = Some(tidy(&tokens[number].text)),
            [..] => item.problem = Some("the quantity is unclear".to_owned()),
        }
        resize(reader, &sizes, line, &mut item);
        return Some(item);
    }
    None
}

fn sum(more: &str, present: &str) -> Option<String> {
    Some((more.parse::<u64>().ok()? + present.parse::<u64>().ok()?).to_string())
}
