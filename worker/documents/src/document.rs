use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::kind::Kind;
use crate::limits;

/// A file as far as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    pub kind: Kind,
    /// In the order in which a person would read them.
    pub blocks: Vec<Block>,
    pub picture: Option<Picture>,
    /// What a limit or the format kept from being read, one phrase each; empty if everything was.
    pub left_out: Vec<String>,
}

/// A piece of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Block {
    Text(String),
    Table(Table),
}

/// Rows of cells; trailing empty cells and rows without anything are left out. Cells are data, whatever they begin with.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Table {
    /// The sheet's name.
    pub name: Option<String>,
    pub rows: Vec<Vec<String>>,
}

/// What a picture's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    pub width: usize,
    pub height: usize,
}

impl Document {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, blocks: Vec::new(), picture: None, left_out: Vec::new() }
    }

    pub(crate) fn with(kind: Kind, blocks: Vec<Block>, left_out: Vec<String>) -> Self {
        let mut document = Self { kind, blocks: Vec::new(), picture: None, left_out };
        let mut left = limits::TEXT_CHARS;
        for block in blocks {
            let size = block.chars();
            if size > left {
                document.left_out.push(format!("all after {} characters", limits::TEXT_CHARS));
                document.blocks.extend(block.head(left));
                break;
            }
            left -= size;
            document.blocks.push(block);
        }
        document
    }

    /// As text: a line per row, its cells parted by ` | `, so that a cell cannot pretend to be several.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for block in &self.blocks {
            if !text.is_empty() {
                text.push('\n');
            }
            match block {
                Block::Text(words) => text.push_str(words.trim_end()),
                Block::Table(table) => {
                    if let Some(name) = &table.name {
                        let _ = writeln!(text, "[{name}]");
                    }
                    for row in &table.rows {
                        let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "/")).collect();
                        let _ = writeln!(text, "{}", cells.join(" | ").trim_end_matches([' ', '|']));
                    }
                }
            }
            while text.ends_with('\n') {
                text.pop();
            }
            text.push('\n');
        }
        text
    }

    /// The tables, in their order.
    pub fn tables(&self) -> impl Iterator<Item = &Table> {
        self.blocks.iter().filter_map(|block| match block {
            Block::Table(table) => Some(table),
            Block::Text(_) => None,
        })
    }
}

impl Block {
    fn chars(&self) -> usize {
        match self {
            Self::Text(text) => text.chars().count(),
            Self::Table(table) => table.rows.iter().map(|row| row_chars(row)).sum(),
        }
    }

    fn head(self, chars: usize) -> Option<Self> {
        match self {
            Self::Text(text) => {
                let head: String = text.chars().take(chars).collect();
                (!head.is_empty()).then_some(Self::Text(head))
            }
            Self::Table(mut table) => {
                let mut left = chars;
                let fitting = table.rows.iter().take_while(|row| {
                    let size = row_chars(row);
                    let fits = size <= left;
                    left = left.saturating_sub(size);
                    fits
                });
                let fitting = fitting.count();
                table.rows.truncate(fitting);
                (!table.rows.is_empty()).then_some(Self::Table(table))
            }
        }
    }
}

fn row_chars(row: &[String]) -> usize {
    row.iter().map(|cell| cell.chars().count() + 3).sum()
}

/// A cell's or line's text: one line, no control or invisible characters, at most so many characters.
pub(crate) fn line(text: &str, most: usize) -> String {
    let visible: String = text
        .chars()
        .filter(|c| !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{ad}'))
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let mut line = String::new();
    for word in visible.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    match line.char_indices().nth(most) {
        Some((end, _)) => line[..end].to_owned(),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::{Block, Document, Table, line};
    use crate::{Kind, limits};

    #[test]
    fn a_cell_stays_one_cell_and_one_line() {
        let rows = vec![vec!["a|b".to_owned(), String::new(), line("x\ny\u{202e}z", 500), String::new()]];
        let table = Table { name: Some("Sheet".to_owned()), rows };
        let document = Document::with(Kind::Csv, vec![Block::Table(table)], vec![]);
        assert_eq!(document.text(), "[Sheet]\na/b |  | x yz\n");
    }

    #[test]
    fn what_is_too_much_is_cut_and_said() {
        let text = "x".repeat(limits::TEXT_CHARS - 10);
        let row = || vec!["1234".to_owned()];
        let table = Table { name: None, rows: vec![row(), row(), row()] };
        let document = Document::with(Kind::Docx, vec![Block::Text(text), Block::Table(table)], vec![]);
        assert_eq!(document.tables().next().unwrap().rows.len(), 1);
        assert_eq!(document.left_out, ["all after 100000 characters"]);
    }
}
