//! From the model's answer about a follow-up to all lines of the quote as they should be. The lines at present are the measure: one that
//! changes, goes or is new needs words of the mail, and none may vanish in silence.

use std::collections::BTreeSet;

use postrider_shared::products::Product;
use postrider_shared::quotes::{NewLine, QuoteLine};

use super::{Checked, MAX_ITEMS, Stated, check_item, doubts, label, normal, short};
use crate::providers::llm::{Answer, AnsweredItem};

/// Checks an amendment's answer. `text` is the mail's subject and text as the model saw them.
pub fn amend(answer: &Answer, text: &str, products: &[Product], present: &[QuoteLine]) -> Checked {
    let mut checked = Checked { lines: Vec::new(), problems: doubts(answer) };
    if answer.items.is_empty() {
        checked.problems.push("nothing would be left of the quote".to_owned());
    }
    let seen = normal(text);
    let mut told = BTreeSet::new();
    for (at, item) in answer.items.iter().take(MAX_ITEMS).enumerate() {
        let label = label(at + 1, item);
        let repeated = item.line.is_some_and(|line| !told.insert(line));
        let result = if repeated {
            Err(vec!["the same line of the quote stands twice".to_owned()])
        } else {
            amended_item(item, &seen, products, present)
        };
        match result {
            Ok(line) => checked.lines.push(line),
            Err(problems) => checked.problems.extend(problems.into_iter().map(|problem| format!("{label}: {problem}"))),
        }
    }
    for dropped in &answer.dropped {
        let words = normal(&dropped.excerpt);
        if words.is_empty() || !seen.contains(&words) {
            checked.problems.push(format!("line {}: the words that drop it do not occur in the mail", dropped.line));
        }
        if !present.iter().any(|line| line.position == dropped.line) || !told.insert(dropped.line) {
            checked.problems.push(format!("line {} cannot be dropped", dropped.line));
        }
    }
    for line in present.iter().filter(|line| !told.contains(&line.position)) {
        let (position, sku) = (line.position, short(&line.sku));
        checked.problems.push(format!("line {position} ({sku}) is missing, and nobody said that it should go"));
    }
    let same = checked.lines.len() == present.len()
        && checked.lines.iter().zip(present).all(|(line, present)| is_same(line, present, products));
    if same && checked.problems.is_empty() {
        checked.problems.push("the mail asks for a change, but the quote says so already".to_owned());
    }
    checked
}

fn amended_item(
    item: &AnsweredItem,
    seen: &str,
    products: &[Product],
    present: &[QuoteLine],
) -> Result<NewLine, Vec<String>> {
    let Some(position) = item.line else { return check_item(item, seen, products) };
    let Some(line) = present.iter().find(|line| line.position == position) else {
        return Err(vec![format!("the quote has no line {position}")]);
    };
    // A line that stays needs no words; what is wrong with it otherwise is wrong all the same.
    let quoted = AnsweredItem { excerpt: item.sku.clone().unwrap_or_default(), ..item.clone() };
    match check_item(&quoted, &normal(&quoted.excerpt), products) {
        Ok(checked) if is_same(&checked, line, products) => {
            Ok(NewLine { description: line.description.clone(), ..checked })
        }
        Ok(_) | Err(_) => check_item(item, seen, products),
    }
}

/// Whether the quote says the same, in whatever units.
fn is_same(line: &NewLine, present: &QuoteLine, products: &[Product]) -> bool {
    let stated = Stated {
        dimensions: present.dimensions.0.clone(),
        material: present.material.clone(),
        quantity: Some(present.quantity.0),
    };
    let product = products.iter().find(|product| Some(product.id) == present.product_id);
    product.and_then(|product| super::line(product, &stated).ok()).is_some_and(|present| {
        (line.product_id, line.quantity) == (present.product_id, present.quantity)
            && line.material == present.material
            && line.dimensions == present.dimensions
    })
}
