//! What the sheets of one workbook may take together, and how a sparse sheet becomes a table.

use std::collections::BTreeMap;

use crate::document::Table;
use crate::limits;

/// Rows that are still taken, over all tables of a file.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    rows: usize,
    more_rows: bool,
    more_columns: bool,
    more_sheets: bool,
}

impl Budget {
    /// Adds a row unless it is empty; false if no more fit.
    pub(crate) fn take(&mut self, rows: &mut Vec<Vec<String>>, mut cells: Vec<String>) -> bool {
        while cells.last().is_some_and(String::is_empty) {
            cells.pop();
        }
        if cells.is_empty() {
            return true;
        }
        if self.rows >= limits::ROWS {
            self.more_rows = true;
            return false;
        }
        self.more_columns |= cells.len() > limits::COLUMNS;
        cells.truncate(limits::COLUMNS);
        self.rows += 1;
        rows.push(cells);
        true
    }

    pub(crate) fn too_many_sheets(&mut self) {
        self.more_sheets = true;
    }

    pub(crate) fn too_many_rows(&mut self) {
        self.more_rows = true;
    }

    pub(crate) fn left_out(self) -> Vec<String> {
        let mut left_out = Vec::new();
        if self.more_rows {
            left_out.push(format!("all after {} rows", limits::ROWS));
        }
        if self.more_columns {
            left_out.push(format!("all after {} columns", limits::COLUMNS));
        }
        if self.more_sheets {
            left_out.push(format!("all after {} sheets", limits::SHEETS));
        }
        left_out
    }
}

/// Cells that were merged into one: from and to, both inclusive, as (row, column).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Merged {
    pub(crate) from: (u32, u32),
    pub(crate) to: (u32, u32),
}

/// A sheet while it is read: only cells with something in them.
#[derive(Debug, Default)]
pub(crate) struct Sparse {
    rows: BTreeMap<u32, BTreeMap<u32, String>>,
    width: u32,
}

impl Sparse {
    /// Notes a cell; false if there are more rows than are ever taken.
    pub(crate) fn set(&mut self, row: u32, column: u32, text: String) -> bool {
        if text.is_empty() || column as usize > limits::COLUMNS {
            return true;
        }
        if self.rows.len() > limits::ROWS && !self.rows.contains_key(&row) {
            return false;
        }
        self.width = self.width.max(column + 1);
        self.rows.entry(row).or_default().insert(column, text);
        true
    }

    /// Gives every cell of a merged one its text: that is what its reader takes it for. A heading over the whole width
    /// stays one.
    pub(crate) fn fill(&mut self, merged: &[Merged]) {
        for area in merged.iter().take(limits::ROWS) {
            let text = self.rows.get(&area.from.0).and_then(|row| row.get(&area.from.1)).cloned();
            let Some(text) = text else { continue };
            let heading = area.from.0 == area.to.0 && area.from.1 == 0 && area.to.1 + 1 >= self.width;
            let last_column = if heading { area.from.1 } else { area.to.1.min(self.width.saturating_sub(1)) };
            // Rows that have nothing else stay empty: a merged cell may reach down a million rows.
            for (_, row) in self.rows.range_mut(area.from.0..=area.to.0.max(area.from.0)) {
                for column in area.from.1..=last_column {
                    row.entry(column).or_insert_with(|| text.clone());
                }
            }
        }
    }

    pub(crate) fn table(self, name: &str, budget: &mut Budget) -> Option<Table> {
        let first = self.rows.values().filter_map(|row| row.keys().next()).min().copied().unwrap_or_default();
        let mut rows = Vec::new();
        for cells in self.rows.into_values() {
            let end = cells.keys().next_back().map_or(first, |last| last + 1);
            let row = (first..end).map(|column| cells.get(&column).cloned().unwrap_or_default()).collect();
            if !budget.take(&mut rows, row) {
                break;
            }
        }
        let name = crate::document::line(name, 80);
        (!rows.is_empty()).then(|| Table { name: Some(name).filter(|name| !name.is_empty()), rows })
    }
}
