//! From a draft to an item of the answer. What is not clear is a problem, never a guess.

use super::super::request::{Item, Product};
use super::dimension;
use super::draft::{Draft, materials};
use super::number::tidy;
use super::reader::Reader;

/// The items that are asked for: mentions in passing are left out.
pub(super) fn items(reader: &Reader<'_>, drafts: &[Draft]) -> Vec<Item> {
    let counted = |draft: &Draft| {
        drafts.iter().any(|other| other.mention.owners == draft.mention.owners && other.has_strong_quantity())
    };
    let stands = |at: usize| {
        let draft = &drafts[at];
        let heads_list = drafts.get(at + 1).is_some_and(|next| next.inherits) && draft.is_bare();
        let weak = !draft.has_strong_quantity() && draft.sizes.is_empty();
        // `the banners`, `the price of a banner`, when banners were counted elsewhere.
        !(heads_list || weak && counted(draft))
    };
    (0..drafts.len()).filter(|at| stands(*at)).map(|at| item(reader, drafts, &drafts[at])).collect()
}

/// One item as the mail says it.
pub(super) fn item(reader: &Reader<'_>, drafts: &[Draft], draft: &Draft) -> Item {
    let excerpt = reader.excerpt(draft.from, draft.to);
    let mut problems: Vec<String> = Vec::new();
    let quantity = quantity(draft, &mut problems);
    let Some(product) = product(reader, draft) else {
        let names: Vec<&str> = draft.mention.owners.iter().map(|owner| reader.products[*owner].sku.as_str()).collect();
        let problem = Some(format!("more than one product has this name: {}", names.join(", ")));
        return Item { excerpt, quantity, problem, ..Item::default() };
    };
    let material = material(reader, drafts, draft, product, &mut problems);
    let sized =
        dimension::assign(product, &reader.cut.tokens, 0, reader.cut.tokens.len(), &draft.sizes, reader.language);
    problems.extend(sized.problem);
    Item {
        line: None,
        excerpt,
        sku: Some(product.sku.clone()),
        quantity,
        material,
        dimensions: sized.measures,
        problem: (!problems.is_empty()).then(|| problems.join("; ")),
    }
}

fn quantity(draft: &Draft, problems: &mut Vec<String>) -> Option<String> {
    let first = draft.quantities.first();
    if draft.quantities.iter().any(|quantity| quantity.range) {
        problems.push("the quantity is a range".into());
        return None;
    }
    if let Some(other) = draft.quantities.iter().find(|other| Some(&other.value) != first.map(|first| &first.value)) {
        let first = first.map_or("", |first| first.value.as_str());
        problems.push(format!("the quantity is unclear: {first} or {}", other.value));
        return None;
    }
    if first.is_none() {
        problems.push("the quantity is missing".into());
    }
    first.map(|quantity| tidy(&quantity.value))
}

/// The product; of several with the same name the one whose materials are named.
fn product<'a>(reader: &'a Reader<'_>, draft: &Draft) -> Option<&'a Product> {
    let mut owners = draft.mention.owners.iter().map(|owner| &reader.products[*owner]);
    if draft.mention.owners.len() == 1 {
        return owners.next();
    }
    let mut fitting = owners.filter(|product| !materials(reader, product, draft.from, draft.to).is_empty());
    fitting.next().filter(|_| fitting.next().is_none())
}

/// The material named with the product, else in the lines around it, else above the list it stands in.
fn material(
    reader: &Reader<'_>,
    drafts: &[Draft],
    draft: &Draft,
    product: &Product,
    problems: &mut Vec<String>,
) -> Option<String> {
    if product.materials.is_empty() {
        return None;
    }
    let own = [(draft.from, draft.to)];
    let around: Vec<(usize, usize)> =
        draft.around.iter().map(|unit| (reader.cut.units[*unit].from, reader.cut.units[*unit].to)).collect();
    let above: Vec<(usize, usize)> = drafts
        .iter()
        .rev()
        .filter(|head| draft.inherits && !head.inherits && head.unit < draft.unit)
        .take(1)
        .map(|head| (head.from, head.to))
        .collect();
    for places in [&own[..], &around, &above] {
        let mut codes: Vec<&str> = Vec::new();
        for named in places.iter().flat_map(|(from, to)| materials(reader, product, *from, *to)) {
            for owner in named.owners {
                let code = product.materials[owner].code.as_str();
                if !codes.contains(&code) {
                    codes.push(code);
                }
            }
        }
        match codes[..] {
            [] => (),
            [code] => return Some(code.to_owned()),
            _ => {
                problems.push(format!("the material is unclear: {}", codes.join(" or ")));
                return None;
            }
        }
    }
    problems.push("the material is missing or not one of the product's".into());
    None
}
