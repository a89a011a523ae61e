//! CSV in its dialects, and plain text.

use csv::ReaderBuilder;

use crate::document::{Block, Document, line};
use crate::encoding;
use crate::error::ReadError;
use crate::kind::Kind;
use crate::limits;
use crate::sheet::Budget;

/// Lines by which the separator is chosen.
const SAMPLE_LINES: usize = 50;
const SEPARATORS: [u8; 4] = *b";,\t|";

pub(crate) fn read(content: &[u8]) -> Result<Document, ReadError> {
    let mut text = encoding::text(content);
    let mut separator = separator(&text);
    // Excel's own hint, a first line such as `sep=;`.
    if let Some(rest) = text.strip_prefix("sep=")
        && let Some(named) = rest.bytes().next().filter(u8::is_ascii)
    {
        separator = named;
        text = rest.split_once('\n').map(|(_, rows)| rows.to_owned()).unwrap_or_default();
    }
    let mut reader =
        ReaderBuilder::new().delimiter(separator).has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut budget = Budget::default();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(ReadError::broken)?;
        let cells: Vec<String> =
            record.iter().take(limits::COLUMNS + 1).map(|cell| line(cell, limits::CELL_CHARS)).collect();
        if !budget.take(&mut rows, cells) {
            break;
        }
    }
    let table = crate::document::Table { name: None, rows };
    Ok(Document::with(Kind::Csv, vec![Block::Table(table)], budget.left_out()))
}

/// The one that parts the most lines into the same number of cells, more than one.
fn separator(text: &str) -> u8 {
    let sample: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).take(SAMPLE_LINES).collect();
    let score = |separator: u8| {
        let counts: Vec<usize> = sample.iter().map(|line| outside_quotes(line, separator)).collect();
        let usual = counts
            .iter()
            .copied()
            .filter(|count| *count > 0)
            .max_by_key(|count| counts.iter().filter(|other| *other == count).count());
        usual.map_or((0, 0), |usual| (counts.iter().filter(|count| **count == usual).count(), usual))
    };
    let best = SEPARATORS.into_iter().rev().max_by_key(|separator| score(*separator));
    best.unwrap_or(b',')
}

fn outside_quotes(line: &str, separator: u8) -> usize {
    let mut quoted = false;
    line.bytes()
        .filter(|byte| {
            quoted ^= *byte == b'"';
            !quoted && *byte == separator
        })
        .count()
}

/// Plain text, its lines kept.
pub(crate) fn plain(content: &[u8]) -> Document {
    let text = encoding::text(content);
    let lines: Vec<String> = text.lines().take(limits::ROWS).map(|text| line(text, 4 * limits::CELL_CHARS)).collect();
    let more = text.lines().nth(limits::ROWS).is_some();
    let left_out = more.then(|| format!("all after {} lines", limits::ROWS));
    Document::with(Kind::Text, vec![Block::Text(lines.join("\n"))], left_out.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::read;

    fn rows(text: &str) -> Vec<Vec<String>> {
        read(text.as_bytes()).unwrap().tables().next().unwrap().rows.clone()
    }

    #[test]
    fn the_separator_is_found() {
        let expected = [["Artikel", "Breite", "Menge"], ["Banner, groß", "2,5", "3"]];
        assert_eq!(rows("Artikel;Breite;Menge\nBanner, groß;2,5;3\n"), expected);
        assert_eq!(rows("Artikel,Breite,Menge\r\n\"Banner, groß\",\"2,5\",3\r\n"), expected);
        assert_eq!(rows("Artikel\tBreite\tMenge\nBanner, groß\t2,5\t3"), expected);
        assert_eq!(rows("sep=|\nArtikel|Breite|Menge\nBanner, groß|2,5|3"), expected);
    }

    #[test]
    fn a_formula_is_text_like_any_other() {
        assert_eq!(rows("a;b\n=HYPERLINK(\"http://x\");-1\n")[1], ["=HYPERLINK(\"http://x\")", "-1"]);
    }
}
