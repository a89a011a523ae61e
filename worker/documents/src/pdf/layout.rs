//! Letters to lines. They come in the order in which the page was written, which for columns of text is column by column
//! and for tables cell by cell: so a line goes on as long as the next letter stands right of the last one on its height.

use crate::limits;

/// In points from the page's upper left corner.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) size: f64,
    pub(super) text: String,
}

/// Parts of the letters' size: what is closer belongs to one word, to one cell, to one line.
const WORD_GAP: f64 = 0.18;
const CELL_GAP: f64 = 0.9;
const LINE_HEIGHT: f64 = 0.35;
/// Lines further apart begin a new paragraph.
const PARAGRAPH_GAP: f64 = 1.9;

/// A page's text under way.
#[derive(Debug, Default)]
pub(super) struct Layout {
    lines: Vec<String>,
    line: String,
    chars: usize,
    end: Option<(f64, f64)>,
}

impl Layout {
    pub(super) fn push(&mut self, letter: &Letter) {
        if self.chars > limits::TEXT_CHARS {
            return;
        }
        if let Some((x, y)) = self.end {
            let (gap, down) = (letter.x - x, letter.y - y);
            let same_line = down.abs() < LINE_HEIGHT * letter.size;
            if !same_line || gap < -0.5 * letter.size {
                self.end_line();
                if down.abs() > PARAGRAPH_GAP * letter.size && self.lines.last().is_some_and(|line| !line.is_empty()) {
                    self.lines.push(String::new());
                }
            } else if gap > CELL_GAP * letter.size && !self.line.is_empty() {
                self.line.truncate(self.line.trim_end().len());
                self.line.push_str(" | ");
            } else if gap > WORD_GAP * letter.size && !self.line.ends_with(' ') {
                self.line.push(' ');
            }
        }
        // The gap itself parts cells, however it was made.
        if letter.text.trim().is_empty() {
            if !self.line.is_empty() && !self.line.ends_with(' ') {
                self.line.push(' ');
            }
        } else {
            self.line.push_str(&letter.text);
        }
        self.chars += letter.text.len();
        self.end = Some((letter.x + letter.width, letter.y));
    }

    fn end_line(&mut self) {
        let line = crate::document::line(&std::mem::take(&mut self.line), 4 * limits::CELL_CHARS);
        if !line.is_empty() {
            self.lines.push(line);
        }
    }

    pub(super) fn text(mut self) -> String {
        self.end_line();
        self.lines.join("\n").trim().to_owned()
    }
}
