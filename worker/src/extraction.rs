//! From the model's answer to lines that may be priced, or to reasons for a person. Never a guess: everything the
//! model says is checked against the mail and the tenant's products.

mod amendment;
mod item;

use postrider_shared::products::Product;
use postrider_shared::quotes::{DimensionValue, NewLine};

pub use self::amendment::amend;
pub use self::item::{Stated, line};
use crate::providers::llm::{Answer, AnsweredItem};

/// Below this the answer is looked at by a person, whatever it says.
pub const MIN_CONFIDENCE: f64 = 0.7;
/// More lines than this are not one customer's request.
pub const MAX_ITEMS: usize = 100;

/// What is left of an answer after the checks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checked {
    pub lines: Vec<NewLine>,
    /// Why a person must look at it, one sentence each; empty if nothing is wrong.
    pub problems: Vec<String>,
}

impl Checked {
    /// All reasons as one text, if there are any.
    pub fn reason(&self) -> Option<String> {
        (!self.problems.is_empty()).then(|| self.problems.join("; "))
    }
}

/// Checks a request's answer. `text` is the mail's subject and text as the model saw them.
pub fn check(answer: &Answer, text: &str, products: &[Product]) -> Checked {
    checked(answer, text, products, false)
}

/// The same where the model was also shown pictures. What it quotes from none of the text may stand in one of these, which we
/// cannot look up: such a position becomes a line, and a person compares it.
pub fn check_with_pictures(answer: &Answer, text: &str, products: &[Product]) -> Checked {
    checked(answer, text, products, true)
}

fn checked(answer: &Answer, text: &str, products: &[Product], pictures: bool) -> Checked {
    let mut checked = Checked { lines: Vec::new(), problems: doubts(answer) };
    if answer.items.is_empty() {
        checked.problems.push("no product of yours was recognised in the mail".to_owned());
    }
    let seen = normal(text);
    for (at, item) in answer.items.iter().take(MAX_ITEMS).enumerate() {
        let label = label(at + 1, item);
        match check_item(item, &seen, products) {
            Ok(line) => checked.lines.push(line),
            Err(problems) => match pictures.then(|| check_item(item, &normal(&item.excerpt), products)) {
                Some(Ok(line)) => {
                    checked.lines.push(line);
                    checked.problems.push(format!("{label}: it was read from a picture"));
                }
                Some(Err(_)) | None => {
                    checked.problems.extend(problems.into_iter().map(|problem| format!("{label}: {problem}")));
                }
            },
        }
    }
    checked
}

/// What speaks against the answer as a whole.
fn doubts(answer: &Answer) -> Vec<String> {
    let mut doubts = Vec::new();
    if !(MIN_CONFIDENCE..=1.0).contains(&answer.confidence) {
        doubts.push(format!("the confidence is {:.2}, less than {MIN_CONFIDENCE}", answer.confidence));
    }
    if let Some(problem) = &answer.problem {
        doubts.push(format!("the request is unclear: {}", short(problem)));
    }
    if answer.items.len() > MAX_ITEMS {
        doubts.push(format!("the request has {} items, more than {MAX_ITEMS}", answer.items.len()));
    }
    doubts
}

fn check_item(item: &AnsweredItem, seen: &str, products: &[Product]) -> Result<NewLine, Vec<String>> {
    let mut problems = Vec::new();
    let excerpt = normal(&item.excerpt);
    if excerpt.is_empty() || !seen.contains(&excerpt) {
        problems.push("the quoted words do not occur in the mail".to_owned());
    }
    if let Some(problem) = &item.problem {
        problems.push(short(problem));
    }
    let product = item.sku.as_deref().map(|sku| products.iter().find(|product| product.sku == sku));
    match product {
        None => problems.push("no product of yours matches".to_owned()),
        Some(None) => problems.push("the product is unknown".to_owned()),
        Some(Some(product)) => match stated(item).and_then(|stated| line(product, &stated)) {
            Ok(checked) if problems.is_empty() => return Ok(checked),
            Ok(_) => {}
            Err(more) => problems.extend(more),
        },
    }
    Err(problems)
}

fn stated(item: &AnsweredItem) -> Result<Stated, Vec<String>> {
    let mut dimensions = Vec::new();
    let mut problems = Vec::new();
    for given in &item.dimensions {
        match item::decimal(&given.value) {
            Some(value) => {
                dimensions.push(DimensionValue { name: given.name.clone(), value, unit: given.unit.clone() });
            }
            None => problems.push(format!("the {} is not a number", short(&given.name))),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Stated {
        dimensions,
        material: item.material.clone(),
        quantity: item.quantity.as_deref().and_then(item::decimal),
    })
}

fn label(number: usize, item: &AnsweredItem) -> String {
    match &item.sku {
        Some(sku) => format!("item {number} ({})", short(sku)),
        None => format!("item {number} (“{}”)", short(&item.excerpt)),
    }
}

/// Whether the text has these words; no words occur nowhere.
pub fn occurs(words: &str, text: &str) -> bool {
    let words = normal(words);
    !words.is_empty() && normal(text).contains(&words)
}

/// The customer's name, if the mail has all of its words: what is printed for one customer must not come from another one's mail. `from`
/// is what the mail says of its sender.
pub fn customer_name(answer: &Answer, text: &str, from: &str) -> Option<String> {
    let name: String = answer.customer_name.as_deref()?.chars().take(200).collect();
    let seen = normal(&format!("{text}\n{from}"));
    let words = normal(&name);
    let mut words = words.split(' ').map(|word| word.trim_matches(|c: char| c.is_ascii_punctuation()));
    words.all(|word| seen.contains(word)).then_some(name)
}

/// White space and case do not tell words apart; mail programs change both.
pub(crate) fn normal(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

pub(crate) fn short(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(160).collect();
    clean.trim().to_owned()
}

#[cfg(test)]
mod tests;
