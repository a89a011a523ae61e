//! Excel's workbooks, new and old. Formulas count by the value that was saved with them; nothing is computed.

use std::io::Cursor;

use calamine::{
    Data, DataRef, Dimensions, ExcelDateTime, Reader as _, Sheet, SheetType, SheetVisible, Xls, XlsError, Xlsx,
    XlsxError,
};

use crate::document::{Block, Document, line};
use crate::error::ReadError;
use crate::kind::Kind;
use crate::sheet::{Budget, Merged, Sparse};
use crate::{archive, compound, limits};

/// Read cell by cell: a sheet may claim a billion of them and have two.
pub(crate) fn xlsx(content: &[u8]) -> Result<Document, ReadError> {
    archive::checked(content)?;
    let mut workbook = Xlsx::new(Cursor::new(content)).map_err(|error| match error {
        XlsxError::Password => ReadError::Encrypted,
        other => ReadError::broken(other),
    })?;
    let mut budget = Budget::default();
    let names = sheets(workbook.sheets_metadata(), &mut budget);
    let mut blocks = Vec::new();
    for name in names {
        let merged = workbook.merge_cells_by_sheet_name(&name).unwrap_or_default();
        let mut cells = workbook.worksheet_cells_reader(&name).map_err(ReadError::broken)?;
        let mut sparse = Sparse::default();
        while let Some(cell) = cells.next_cell().map_err(ReadError::broken)? {
            let (row, column) = cell.get_position();
            if !sparse.set(row, column, shown_ref(cell.get_value())) {
                budget.too_many_rows();
                break;
            }
        }
        sparse.fill(&areas(&merged));
        blocks.extend(sparse.table(&name, &mut budget).map(Block::Table));
    }
    Ok(Document::with(Kind::Xlsx, blocks, budget.left_out()))
}

pub(crate) fn xls(content: &[u8]) -> Result<Document, ReadError> {
    compound::checked(content)?;
    let mut workbook = Xls::new(Cursor::new(content)).map_err(|error| match error {
        XlsError::Password => ReadError::Encrypted,
        other => ReadError::broken(other),
    })?;
    let mut budget = Budget::default();
    let names = sheets(workbook.sheets_metadata(), &mut budget);
    let mut blocks = Vec::new();
    for name in names {
        let range = workbook.worksheet_range(&name).map_err(ReadError::broken)?;
        let (top, left) = range.start().unwrap_or_default();
        let mut sparse = Sparse::default();
        for (row, column, value) in range.used_cells() {
            let place = (u32::try_from(row), u32::try_from(column));
            let (Ok(row), Ok(column)) = place else { continue };
            if !sparse.set(top.saturating_add(row), left.saturating_add(column), shown(value)) {
                budget.too_many_rows();
                break;
            }
        }
        sparse.fill(&areas(&workbook.merge_cells_by_sheet_name(&name).unwrap_or_default()));
        blocks.extend(sparse.table(&name, &mut budget).map(Block::Table));
    }
    Ok(Document::with(Kind::Xls, blocks, budget.left_out()))
}

/// The sheets a person sees.
fn sheets(all: &[Sheet], budget: &mut Budget) -> Vec<String> {
    let visible =
        all.iter().filter(|sheet| sheet.typ == SheetType::WorkSheet && sheet.visible == SheetVisible::Visible);
    let names: Vec<String> = visible.map(|sheet| sheet.name.clone()).collect();
    if names.len() > limits::SHEETS {
        budget.too_many_sheets();
    }
    names.into_iter().take(limits::SHEETS).collect()
}

fn areas(merged: &[Dimensions]) -> Vec<Merged> {
    merged.iter().filter(|area| area.start <= area.end).map(|area| Merged { from: area.start, to: area.end }).collect()
}

fn shown_ref(value: &DataRef<'_>) -> String {
    match value {
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
            line(text, limits::CELL_CHARS)
        }
        DataRef::SharedString(text) => line(text, limits::CELL_CHARS),
        DataRef::Int(number) => number.to_string(),
        DataRef::Float(number) => decimal(*number),
        DataRef::Bool(truth) => truth.to_string(),
        DataRef::DateTime(time) => moment(time),
        DataRef::Error(error) => error.to_string(),
        DataRef::Empty => String::new(),
    }
}

fn shown(value: &Data) -> String {
    match value {
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => line(text, limits::CELL_CHARS),
        Data::Int(number) => number.to_string(),
        Data::Float(number) => decimal(*number),
        Data::Bool(truth) => truth.to_string(),
        Data::DateTime(time) => moment(time),
        Data::Error(error) => error.to_string(),
        Data::Empty => String::new(),
    }
}

/// As a person typed it: twelve digits after the point are more than a sheet shows, and less than binary fractions betray.
fn decimal(number: f64) -> String {
    if number.abs() >= 1e15 || !number.is_finite() {
        return number.to_string();
    }
    let text = format!("{number:.10}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// ISO 8601; a date without a time if it has none.
fn moment(time: &ExcelDateTime) -> String {
    if time.is_duration() {
        return decimal(time.as_f64());
    }
    let (year, month, day, hour, minute, second, _) = time.to_ymd_hms_milli();
    let date = format!("{year:04}-{month:02}-{day:02}");
    if (hour, minute, second) == (0, 0, 0) { date } else { format!("{date} {hour:02}:{minute:02}") }
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn numbers_look_as_they_were_typed() {
        let shown = [0.1 + 0.2, 3.0, 2.25, -0.0, 1_200.0, 1e300].map(decimal);
        assert_eq!(&shown[..5], ["0.3", "3", "2.25", "0", "1200"]);
        assert!(shown[5].starts_with("1000"));
    }
}
