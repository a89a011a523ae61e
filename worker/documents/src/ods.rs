//! `OpenDocument` sheets, read by hand: calamine forgets which cells were merged, and repeats a cell as often as the file says.

use crate::document::{Block, Document, line};
use crate::error::ReadError;
use crate::kind::Kind;
use crate::sheet::{Budget, Merged, Sparse};
use crate::xml::{Element, Part, Xml};
use crate::{archive, encoding, limits};

pub(crate) fn read(content: &[u8]) -> Result<Document, ReadError> {
    let mut archive = archive::checked(content)?;
    if let Ok(manifest) = archive::file(&mut archive, "META-INF/manifest.xml")
        && encoding::text(&manifest).contains("encryption-data")
    {
        return Err(ReadError::Encrypted);
    }
    let text = encoding::text(&archive::file(&mut archive, "content.xml")?);
    let mut xml = Xml::new(&text);
    let mut budget = Budget::default();
    let mut blocks = Vec::new();
    let mut sheets = 0;
    loop {
        match xml.next()? {
            Part::Open(element) if element.name() == "table:table" => {
                sheets += 1;
                if sheets > limits::SHEETS {
                    budget.too_many_sheets();
                    break;
                }
                let name = element.attribute("table:name").unwrap_or_default();
                let table = sheet(&mut xml, &mut budget)?.table(&name, &mut budget);
                blocks.extend(table.map(Block::Table));
            }
            Part::End => break,
            Part::Open(_) | Part::Close(_) | Part::Text(_) => {}
        }
    }
    Ok(Document::with(Kind::Ods, blocks, budget.left_out()))
}

/// Where the next cell goes.
#[derive(Default)]
struct Place {
    row: u32,
    column: u32,
    /// How often the row stands there.
    rows: u32,
}

/// Up to the end of the table. A table within a cell is part of its text.
fn sheet(xml: &mut Xml<'_>, budget: &mut Budget) -> Result<Sparse, ReadError> {
    let (mut sparse, mut merged) = (Sparse::default(), Vec::new());
    let mut place = Place::default();
    loop {
        match xml.next()? {
            Part::Open(element) => match element.name() {
                "table:table-row" => {
                    place.rows = element.number("table:number-rows-repeated").unwrap_or(1).max(1);
                    place.column = 0;
                }
                "table:table-cell" | "table:covered-table-cell" => {
                    let covered = element.name() == "table:covered-table-cell";
                    let columns = element.number("table:number-columns-repeated").unwrap_or(1).max(1);
                    let span =
                        (element.number("table:number-rows-spanned"), element.number("table:number-columns-spanned"));
                    let text = cell(xml, &element)?;
                    if let (Some(rows), Some(width)) = span {
                        let to =
                            (place.row.saturating_add(rows.max(1) - 1), place.column.saturating_add(width.max(1) - 1));
                        merged.push(Merged { from: (place.row, place.column), to });
                    }
                    if !covered && !set(&mut sparse, &place, columns, &text) {
                        budget.too_many_rows();
                    }
                    place.column = place.column.saturating_add(columns);
                }
                _ => {}
            },
            Part::Close(name) if name == "table:table-row" => place.row = place.row.saturating_add(place.rows),
            Part::Close(name) if name == "table:table" => break,
            Part::End => break,
            Part::Close(_) | Part::Text(_) => {}
        }
    }
    sparse.fill(&merged);
    Ok(sparse)
}

/// A cell as often as it is repeated, within what is ever taken.
fn set(sparse: &mut Sparse, place: &Place, columns: u32, text: &str) -> bool {
    if text.is_empty() {
        return true;
    }
    let most = |count: u32, limit: usize| count.min(u32::try_from(limit).unwrap_or(u32::MAX) + 1);
    (0..most(place.rows, limits::ROWS)).all(|row| {
        (0..most(columns, limits::COLUMNS)).all(|column| {
            sparse.set(place.row.saturating_add(row), place.column.saturating_add(column), text.to_owned())
        })
    })
}

/// What the cell shows: a number as it is, not as it is formatted; dates as written; else its paragraphs.
fn cell(xml: &mut Xml<'_>, element: &Element<'_>) -> Result<String, ReadError> {
    let value = match element.attribute("office:value-type").as_deref() {
        Some("float" | "currency") => element.attribute("office:value"),
        Some("date") => {
            element.attribute("office:date-value").map(|date| date.trim_end_matches("T00:00:00").to_owned())
        }
        _ => None,
    };
    let end = element.name().to_owned();
    let (mut shown, mut note) = (String::new(), 0);
    loop {
        match xml.next()? {
            Part::Open(inner) => match inner.name() {
                "office:annotation" => note += 1,
                "text:p" if !shown.is_empty() => shown.push(' '),
                "text:s" | "text:tab" | "text:line-break" => shown.push(' '),
                _ => {}
            },
            Part::Close(name) if name == "office:annotation" => note -= 1,
            Part::Close(name) if name == end => break,
            Part::Text(text) if note == 0 && shown.len() < 4 * limits::CELL_CHARS => shown.push_str(&text),
            Part::End => break,
            Part::Close(_) | Part::Text(_) => {}
        }
    }
    Ok(line(&value.unwrap_or(shown), limits::CELL_CHARS))
}
