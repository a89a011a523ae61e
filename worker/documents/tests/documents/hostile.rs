use std::fmt::Write as _;
use std::time::{Duration, Instant};

use postrider_documents::{Document, ReadError, limits, read};

use crate::archives::{archive, document, with};

/// Unoptimised, on a busy machine.
const IN_TIME: Duration = Duration::from_secs(20);
const SHEET: &str = "xl/worksheets/sheet1.xml";

fn read_in_time(content: &[u8], name: &str) -> Result<Document, ReadError> {
    let begun = Instant::now();
    let read = read(content, name);
    assert!(begun.elapsed() < IN_TIME, "{name} took {:?}", begun.elapsed());
    read
}

fn sheet(cells: &str) -> Vec<u8> {
    with(&document("06-simple.xlsx"), SHEET, |_| {
        format!(
            "<worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><dimension \
             ref=\"A1:XFD1048576\"/><sheetData>{cells}</sheetData></worksheet>"
        )
    })
}

#[test]
fn a_zip_bomb_is_refused_before_it_is_unpacked() {
    let zeros = vec![b' '; usize::try_from(limits::UNPACKED_BYTES).unwrap() + 1];
    let bomb = archive(&[("word/document.xml", &zeros)]);
    assert!(bomb.len() < 1024 * 1024);
    assert!(matches!(read_in_time(&bomb, "a.docx"), Err(ReadError::TooLarge(_))));
    let half = &zeros[..=zeros.len() / 2];
    let bomb = archive(&[("xl/workbook.xml", b"<workbook/>"), ("xl/media/1.bin", half), ("xl/media/2.bin", half)]);
    assert!(matches!(read_in_time(&bomb, "a.xlsx"), Err(ReadError::TooLarge(_))));
}

#[test]
fn too_many_files_in_an_archive_are_refused() {
    let names: Vec<String> = (0..=limits::ARCHIVE_ENTRIES).map(|at| format!("xl/worksheets/{at}.xml")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), b"".as_slice())).collect();
    assert!(matches!(read_in_time(&archive(&files), "a.xlsx"), Err(ReadError::TooLarge(_))));
}

#[test]
fn archives_in_archives_stay_closed() {
    let mut nested = document("06-simple.xlsx");
    for _ in 0..20 {
        nested = archive(&[("next.zip", &nested)]);
    }
    assert_eq!(read_in_time(&nested, "a.xlsx"), Err(ReadError::Unsupported("an archive".to_owned())));
}

#[test]
fn a_sheet_that_claims_a_billion_cells_has_two() {
    let cells = "<row r=\"1\"><c r=\"A1\"><v>1</v></c></row><row r=\"1048576\"><c r=\"BA1048576\"><v>2</v></c></row>";
    let document = read_in_time(&sheet(cells), "a.xlsx").unwrap();
    let rows = &document.tables().next().unwrap().rows;
    assert_eq!((rows.len(), rows[0].as_slice()), (2, ["1".to_owned()].as_slice()));
    assert_eq!(document.left_out, Vec::<String>::new());
}

#[test]
fn rows_beyond_the_limit_are_named() {
    let mut cells = String::new();
    for row in 1..=30_000 {
        let _ = write!(cells, "<row r=\"{row}\"><c r=\"A{row}\"><v>{row}</v></c></row>");
    }
    let document = read_in_time(&sheet(&cells), "a.xlsx").unwrap();
    assert_eq!(document.tables().next().unwrap().rows.len(), limits::ROWS);
    assert_eq!(document.left_out, ["all after 2000 rows"]);
    let csv = "x;y\n".repeat(200_000);
    assert_eq!(read_in_time(csv.as_bytes(), "a.csv").unwrap().left_out, ["all after 2000 rows"]);
}

#[test]
fn cells_that_are_repeated_for_ever_are_not() {
    let repeated = "<office:document-content xmlns:table=\"t\" xmlns:office=\"o\" xmlns:text=\"x\"><table:table table:name=\"S\">\
         <table:table-row table:number-rows-repeated=\"1048576\"><table:table-cell \
         table:number-columns-repeated=\"16384\"><text:p>x</text:p></table:table-cell></table:table-row>\
         </table:table></office:document-content>";
    let bomb = with(&document("15-simple.ods"), "content.xml", |_| repeated.to_owned());
    let document = read_in_time(&bomb, "a.ods").unwrap();
    let most = limits::TEXT_CHARS / limits::COLUMNS;
    assert!(document.tables().next().unwrap().rows.len() <= most);
    assert!(document.left_out.iter().any(|left| left.contains("rows")), "{:?}", document.left_out);
}

#[test]
fn entities_and_external_references_do_nothing() {
    let word = "word/document.xml";
    let plain = read_in_time(&document("17-table.docx"), "a.docx").unwrap();
    let laughs = with(&document("17-table.docx"), word, |text| {
        let (declaration, body) = text.split_once("?>").unwrap();
        format!("{declaration}?><!DOCTYPE x [<!ENTITY a \"ha\"><!ENTITY b SYSTEM \"file:///etc/passwd\">]>{body}")
    });
    assert!(matches!(read_in_time(&laughs, "a.docx"), Err(ReadError::Broken(_))));
    let outside = with(&document("17-table.docx"), "word/_rels/document.xml.rels", |text| {
        let reference = "<Relationship Id=\"rId99\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/\
             attachedTemplate\" Target=\"file:///etc/passwd\" TargetMode=\"External\"/></Relationships>";
        text.replace("</Relationships>", reference)
    });
    assert_eq!(read_in_time(&outside, "a.docx").unwrap(), plain);
    let deep = with(&document("17-table.docx"), word, |_| "<w:tbl><w:tr><w:tc>".repeat(100_000));
    assert!(matches!(read_in_time(&deep, "a.docx"), Err(ReadError::TooLarge(_))));
}

#[test]
fn pictures_that_lie_about_their_size_are_not_believed() {
    let mut png = document("28-sketch.png");
    png[16..24].copy_from_slice(&[0, 1, 0x86, 0xa0, 0, 1, 0x86, 0xa0]);
    assert_eq!(read_in_time(&png, "a.png"), Err(ReadError::TooLarge("100000 × 100000 pixels".to_owned())));
    png[16..24].copy_from_slice(&[0xff; 8]);
    assert!(matches!(read_in_time(&png, "a.png"), Err(ReadError::TooLarge(_))));
    png[16..24].copy_from_slice(&[0; 8]);
    assert!(matches!(read_in_time(&png, "a.png"), Err(ReadError::Broken(_))));
    assert!(matches!(read_in_time(&document("27-photo.jpg")[..20], "a.jpg"), Err(ReadError::Broken(_))));
}

#[test]
fn pages_that_are_their_own_parents_end() {
    let pdf = |pages: &str| {
        format!(
            "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj{pages}endobj\ntrailer<</Root 1 0 R>>\n%%EOF"
        )
    };
    for pages in [
        "<</Type/Pages/Kids[2 0 R]/Count 1>>",
        "<</Type/Pages/Kids[2 0 R 2 0 R 2 0 R]/Count 1000000000/Parent 2 0 R>>",
        "<</Type/Pages/Kids[]/Count -1>>",
        "<</Type/Pages/Kids 2 0 R>>",
    ] {
        let read = read_in_time(pdf(pages).as_bytes(), "a.pdf");
        assert!(matches!(read, Err(ReadError::Broken(_) | ReadError::NoText)), "{pages}: {read:?}");
    }
}

#[test]
fn a_file_that_is_too_large_is_not_looked_at() {
    let large = vec![b'x'; limits::FILE_BYTES + 1];
    assert!(matches!(read_in_time(&large, "a.csv"), Err(ReadError::TooLarge(_))));
}
