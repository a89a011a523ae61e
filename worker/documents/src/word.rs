//! Word's documents: paragraphs, lists and tables of the main text. References to other files are not followed, and what was
//! deleted under revision is not text.

use crate::document::{Block, Document, Table, line};
use crate::error::ReadError;
use crate::kind::Kind;
use crate::sheet::Budget;
use crate::xml::{Part, Xml};
use crate::{archive, encoding, limits};

/// A paragraph may be longer than a cell.
const PARAGRAPH_CHARS: usize = 10_000;

pub(crate) fn read(content: &[u8]) -> Result<Document, ReadError> {
    let mut archive = archive::checked(content)?;
    let text = encoding::text(&archive::file(&mut archive, "word/document.xml")?);
    let mut body = Body::default();
    let mut xml = Xml::new(&text);
    loop {
        match xml.next()? {
            Part::Open(element) => body.open(element.name(), &|name| element.attribute(name)),
            Part::Close(name) => body.close(&name),
            Part::Text(text) => body.text(&text),
            Part::End => break,
        }
    }
    body.end_lines();
    if body.blocks.is_empty() && body.pictures {
        return Err(ReadError::NoText);
    }
    Ok(Document::with(Kind::Docx, body.blocks, body.budget.left_out()))
}

/// A table under way.
#[derive(Default)]
struct Rows {
    done: Vec<Vec<String>>,
    row: Vec<String>,
    cell: String,
    span: usize,
    /// This cell goes on with the one above.
    goes_on: bool,
}

#[derive(Default)]
struct Body {
    blocks: Vec<Block>,
    lines: Vec<String>,
    paragraph: String,
    listed: bool,
    in_text: bool,
    /// Within what a newer program replaces, so that it would stand there twice.
    fallback: usize,
    tables: Vec<Rows>,
    pictures: bool,
    budget: Budget,
}

impl Body {
    fn open(&mut self, name: &str, attribute: &dyn Fn(&str) -> Option<String>) {
        match name {
            "mc:Fallback" => self.fallback += 1,
            "w:t" => self.in_text = true,
            "w:tab" | "w:br" | "w:cr" => self.push(" "),
            "w:noBreakHyphen" => self.push("-"),
            "w:numPr" => self.listed = true,
            "w:drawing" | "w:pict" => self.pictures = true,
            "w:tbl" => {
                self.end_paragraph();
                self.end_lines();
                self.tables.push(Rows::default());
            }
            "w:tc" => {
                if let Some(table) = self.tables.last_mut() {
                    (table.cell, table.span, table.goes_on) = (String::new(), 1, false);
                }
            }
            "w:gridSpan" => {
                if let Some(table) = self.tables.last_mut() {
                    let span = attribute("w:val").and_then(|span| span.parse().ok()).unwrap_or(1);
                    table.span = usize::clamp(span, 1, limits::COLUMNS);
                }
            }
            "w:vMerge" => {
                if let Some(table) = self.tables.last_mut() {
                    table.goes_on = attribute("w:val").as_deref() != Some("restart");
                }
            }
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        match name {
            "mc:Fallback" => self.fallback = self.fallback.saturating_sub(1),
            "w:t" => self.in_text = false,
            "w:p" => self.end_paragraph(),
            "w:tc" => self.end_cell(),
            "w:tr" => {
                if let Some(table) = self.tables.last_mut() {
                    let row = std::mem::take(&mut table.row);
                    self.budget.take(&mut table.done, row);
                }
            }
            "w:tbl" => self.end_table(),
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        if self.in_text {
            self.push(text);
        }
    }

    fn push(&mut self, text: &str) {
        if self.fallback == 0 && self.paragraph.len() < PARAGRAPH_CHARS * 4 {
            self.paragraph.push_str(text);
        }
    }

    fn end_paragraph(&mut self) {
        let text = line(&std::mem::take(&mut self.paragraph), PARAGRAPH_CHARS);
        let listed = std::mem::take(&mut self.listed);
        if text.is_empty() {
            return;
        }
        match self.tables.last_mut() {
            Some(table) => {
                if !table.cell.is_empty() {
                    table.cell.push(' ');
                }
                table.cell.push_str(&text);
            }
            None => self.lines.push(if listed { format!("- {text}") } else { text }),
        }
    }

    fn end_cell(&mut self) {
        let Some(table) = self.tables.last_mut() else { return };
        let mut cell = line(&std::mem::take(&mut table.cell), limits::CELL_CHARS);
        if table.goes_on
            && cell.is_empty()
            && let Some(above) = table.done.last().and_then(|row| row.get(table.row.len()))
        {
            cell.clone_from(above);
        }
        for _ in 0..table.span {
            if table.row.len() <= limits::COLUMNS {
                table.row.push(cell.clone());
            }
        }
    }

    fn end_table(&mut self) {
        let Some(mut table) = self.tables.pop() else { return };
        for row in &mut table.done {
            // A heading over the whole width stays one.
            if row.len() > 1 && row.iter().all(|cell| cell == &row[0]) {
                row.truncate(1);
            }
        }
        match self.tables.last_mut() {
            // A table in a cell is part of its text.
            Some(outer) => {
                let inner: Vec<String> = table.done.iter().map(|row| row.join(" ")).collect();
                outer.cell.push_str(&inner.join(" "));
            }
            None if table.done.is_empty() => {}
            None => self.blocks.push(Block::Table(Table { name: None, rows: table.done })),
        }
    }

    fn end_lines(&mut self) {
        if self.tables.is_empty() && !self.lines.is_empty() {
            let lines = std::mem::take(&mut self.lines);
            self.blocks.push(Block::Text(lines.join("\n")));
        }
    }
}
