//! Tables of attachments: a head that names the columns, rows with ` | ` between their cells. A row is said as the entry of a
//! list, which the other rules read.

use super::super::request::{Item, QuoteRequest};
use super::fold::fold;
use super::lexicon::{COLUMN_LABELS, POSITION_LABELS, QUANTITY_LABELS};
use super::{items_of_products, reader::Reader};

const PARTED: &str = " | ";
/// Heads of columns whose cells are sizes: `Size (cm)`.
const UNITS: [&str; 5] = ["mm", "cm", "m", "in", "ft"];

/// How the row below a table begins that adds it up.
const SUMS: [&str; 6] = ["summe", "gesamt", "total", "somme", "suma", "totaal"];

/// What a column holds.
enum Column {
    Quantity,
    /// Its head says of what, and perhaps in which unit.
    Size {
        name: String,
        unit: String,
    },
    Words,
    /// Numbers of rows, prices, remarks without a head.
    Ignored,
}

/// The text without its tables, and the items of these. `language` is the mail's: a table has few words.
pub(super) fn items(request: &QuoteRequest, text: &str, language: &'static str) -> (String, Vec<Item>) {
    let mut rest = String::new();
    let mut items = Vec::new();
    let mut columns: Option<Vec<Column>> = None;
    for line in text.lines() {
        // Rows of a printed table may stand apart.
        if line.trim().is_empty() {
            rest.push('\n');
            continue;
        }
        let cells: Vec<&str> = line.split(PARTED).map(str::trim).collect();
        if cells.len() < 2 && columns.as_ref().is_none_or(|columns| columns.len() > 1) {
            columns = None;
        }
        if let Some(head) = head(request, &cells) {
            columns = Some(head);
        } else if let Some(columns) = &columns {
            items.extend(row(request, line, &cells, columns, language));
        } else {
            rest.push_str(line);
            rest.push('\n');
        }
    }
    (rest, items)
}

/// A row without numbers that names the quantity's column and another one.
fn head(request: &QuoteRequest, cells: &[&str]) -> Option<Vec<Column>> {
    let numbers = cells.iter().any(|cell| cell.starts_with(|letter: char| letter.is_ascii_digit()));
    if cells.len() < 2 || numbers {
        return None;
    }
    let columns: Vec<Column> = cells.iter().map(|cell| column(request, cell)).collect();
    let quantity = columns.iter().any(|column| matches!(column, Column::Quantity));
    let named = columns.iter().any(|column| matches!(column, Column::Words | Column::Size { .. }));
    (quantity && named).then_some(columns)
}

fn column(request: &QuoteRequest, cell: &str) -> Column {
    let folded = fold(cell);
    let words: Vec<&str> = folded.split(|letter: char| !letter.is_alphanumeric() && letter != '#').collect();
    let has = |labels: &[&str]| words.iter().any(|word| labels.contains(word));
    let unit = UNITS.into_iter().find(|unit| words.iter().skip(1).any(|word| word == unit));
    let names = request.products.iter().flat_map(|product| &product.dimensions);
    let mut names = names.flat_map(|dimension| dimension.aliases.iter().chain([&dimension.name]));
    let size = names.find(|name| words.first().is_some_and(|word| *word == fold(name)));
    match size {
        _ if has(QUANTITY_LABELS) => Column::Quantity,
        Some(name) => Column::Size { name: name.clone(), unit: unit.unwrap_or_default().to_owned() },
        None if unit.is_some() => Column::Size { name: String::new(), unit: unit.unwrap_or_default().to_owned() },
        None if has(POSITION_LABELS) && words.len() <= 2 => Column::Ignored,
        None if has(COLUMN_LABELS) => Column::Words,
        None => Column::Ignored,
    }
}

fn row(request: &QuoteRequest, line: &str, cells: &[&str], columns: &[Column], language: &'static str) -> Option<Item> {
    let (mut quantity, mut words, mut sizes) = (None, Vec::new(), Vec::new());
    for (cell, column) in cells.iter().zip(columns).filter(|(cell, _)| !cell.is_empty()) {
        match column {
            Column::Quantity => quantity = Some(*cell),
            Column::Words => words.push((*cell).to_owned()),
            Column::Size { name, unit } => {
                let has_unit = cell.ends_with(|letter: char| letter.is_alphabetic() || letter == '"');
                sizes.push(format!("{name} {cell} {}", if has_unit { "" } else { unit }));
            }
            Column::Ignored => {}
        }
    }
    // Sums and remarks under the table name no product.
    let words = words.join(", ");
    if words.is_empty() || sizes.is_empty() && SUMS.iter().any(|sum| fold(&words).starts_with(sum)) {
        return None;
    }
    let said: Vec<&str> = std::iter::once(words.as_str()).chain(sizes.iter().map(|size| size.trim())).collect();
    let said = format!("- {}\n", said.join(", "));
    let mut items = items_of_products(&Reader::in_language(request, &said, language));
    let mut item = items.drain(..).next().or_else(|| {
        let problem = Some("no product of the list has this name".to_owned());
        quantity.map(|_| Item { problem, ..Item::default() })
    })?;
    line.trim().clone_into(&mut item.excerpt);
    let digits: String = quantity.unwrap_or_default().chars().take_while(|one| !one.is_whitespace()).collect();
    let counted = super::number::plain_count(&digits);
    let problem = item.problem.take().unwrap_or_default();
    let mut problems: Vec<&str> = problem.split("; ").filter(|one| !one.is_empty()).collect();
    problems.retain(|one| !one.starts_with("the quantity"));
    if counted.is_none() {
        problems.push("the quantity is missing");
    }
    item.quantity = counted;
    item.problem = (!problems.is_empty()).then(|| problems.join("; "));
    Some(item)
}
