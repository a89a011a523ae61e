//! Reading a PDF back as a customer's eye would.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// The text of a PDF, laid out as on the page.
pub fn text(pdf: &[u8]) -> String {
    assert!(pdf.starts_with(b"%PDF-"), "not a PDF: {:?}…", String::from_utf8_lossy(&pdf[..pdf.len().min(80)]));
    let mut file = tempfile::NamedTempFile::new().expect("make a file for the PDF");
    file.write_all(pdf).expect("write the PDF");
    let output = Command::new("pdftotext")
        .args(["-layout", "-enc", "UTF-8"])
        .arg(file.path())
        .arg("-")
        .stderr(Stdio::piped())
        .output()
        .expect("run pdftotext (package poppler-utils)");
    assert!(output.status.success(), "pdftotext: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The points of a PDF's first page that have this colour (red, green, blue), 72 to the inch, from its upper left corner.
pub fn points(pdf: &[u8], colour: [u8; 3]) -> Vec<(usize, usize)> {
    let mut file = tempfile::NamedTempFile::new().expect("make a file for the PDF");
    file.write_all(pdf).expect("write the PDF");
    let output = Command::new("pdftoppm").args(["-r", "72", "-l", "1"]).arg(file.path()).output();
    let picture = output.expect("run pdftoppm (package poppler-utils)").stdout;
    // PPM: P6, width, height and depth, each in a line or beside each other, then the points.
    let head: Vec<&[u8]> = picture.splitn(5, u8::is_ascii_whitespace).collect();
    let number = |at: usize| -> usize { std::str::from_utf8(head[at]).expect("a number").parse().expect("a number") };
    assert!(head[0] == b"P6" && number(3) == 255, "not a PPM");
    let width = number(1);
    let points = head[4].chunks_exact(3).enumerate().filter(|(_, point)| **point == colour);
    points.map(|(at, _)| (at % width, at / width)).collect()
}

/// Every amount of money in a text, as a plain decimal: `1.234,56`, `1,234.56`, `1 234,56` and `1'234.56` are all `1234.56`.
pub fn amounts(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let mut amounts = Vec::new();
    let mut word = String::new();
    for (at, character) in characters.iter().chain(['\n'].iter()).enumerate() {
        let groups = match character {
            '.' | ',' | '\'' | '’' => true,
            // A single space of any width parts thousands if just three digits follow; columns are further apart.
            ' ' | '\u{a0}' | '\u{202f}' => {
                let after = characters[at..].iter().skip(1).take_while(|next| next.is_ascii_digit()).count();
                after == 3 && word.ends_with(|last: char| last.is_ascii_digit())
            }
            _ => false,
        };
        if character.is_ascii_digit() || groups {
            word.push(*character);
            continue;
        }
        let taken = std::mem::take(&mut word);
        let digits = taken.trim_matches(|c: char| !c.is_ascii_digit());
        if let Some((whole, cents)) = digits.rsplit_once(['.', ','])
            && cents.len() == 2
            && cents.bytes().all(|byte| byte.is_ascii_digit())
        {
            let whole: String = whole.chars().filter(char::is_ascii_digit).collect();
            amounts.push(format!("{whole}.{cents}"));
        }
    }
    amounts
}

#[cfg(test)]
mod tests {
    #[test]
    fn amounts_are_read_in_every_notation() {
        let text = "Summe 1.234,56 €  USt. 19 % 234,57\u{a0}€ Total\u{a0}€1,469.13; 1\u{202f}000,00 am 08.01.2027, 3 Stück 0.09, 1 066,24 €  7   128,00";
        let found = super::amounts(text);
        assert_eq!(found, ["1234.56", "234.57", "1469.13", "1000.00", "0.09", "1066.24", "128.00"]);
    }
}
