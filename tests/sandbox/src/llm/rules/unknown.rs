//! Things that are counted like goods but are no product of the request: they must not be passed over in silence.

use super::super::request::Item;
use super::draft::Draft;
use super::lexicon::{BREAKS, NOT_PIECES, PIECES};
use super::number::tidy;
use super::reader::Reader;
use super::token::Kind;
use super::unit::Shape;

/// Words by which one item is joined to the next.
const JOINS: [&str; 16] =
    ["and", "und", "sowie", "et", "y", "e", "en", "i", "oraz", "och", "og", "plus", "ainsi", "samt", "a", "और"];

/// Entries of lists and goods joined to an item by `and` that name no product. Without any item in the mail, the
/// first thing that is counted.
pub(super) fn items(reader: &Reader<'_>, drafts: &[Draft]) -> Vec<Item> {
    let mut items = Vec::new();
    for (number, unit) in reader.cut.units.iter().enumerate() {
        let named = drafts.iter().any(|draft| draft.unit == number || draft.around.contains(&number));
        let listed = matches!(unit.shape, Shape::Listed | Shape::Row(_)) && !named;
        let counted = (unit.from..unit.to).filter(|at| counts_goods(reader, drafts, *at, unit.to)).find(|at| {
            let first = (unit.from..*at).all(|before| reader.cut.marks[before]);
            let joined = *at > unit.from && reader.cut.tokens[*at - 1].is_one_of(&JOINS);
            if drafts.is_empty() { items.is_empty() } else { listed && first || named && joined }
        });
        if let Some(at) = counted {
            items.push(Item {
                excerpt: reader.excerpt(if named { at } else { unit.from }, unit.to),
                quantity: Some(tidy(&reader.cut.tokens[at].text)),
                problem: Some("no product of the list has this name".into()),
                ..Item::default()
            });
        }
    }
    items
}

/// A bare number before a word that is neither time nor people.
fn counts_goods(reader: &Reader<'_>, drafts: &[Draft], at: usize, to: usize) -> bool {
    let tokens = &reader.cut.tokens;
    let claimed = drafts.iter().any(|draft| draft.quantities.iter().any(|quantity| quantity.at == at));
    let next = tokens.get(at + 1).filter(|_| at + 1 < to);
    let goods = next.is_some_and(|next| {
        let word = next.kind == Kind::Word && !next.joined && !next.is_one_of(NOT_PIECES);
        let thing = next.text.chars().count() >= 4 && !next.is_one_of(BREAKS);
        word && (thing || next.is_one_of(PIECES) || next.is("of"))
    });
    let whole = tokens[at].text.bytes().all(|byte| byte.is_ascii_digit()) && tokens[at].text.len() <= 6;
    tokens[at].kind == Kind::Number && whole && !reader.taken[at] && !claimed && goods
}
