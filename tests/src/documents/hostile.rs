//! Documents that were made to do harm: the committed ones of `tests/documents/hostile`, and archives made to order.

use std::io::{Cursor, Read as _, Write as _};

use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use super::{document, folder};

/// A committed file.
///
/// # Panics
/// When there is none of that name.
pub fn committed(name: &str) -> Vec<u8> {
    std::fs::read(folder().join("hostile").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// An archive of these files.
///
/// # Panics
/// Never: it is made in memory.
pub fn archive(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        writer.start_file(name.as_str(), SimpleFileOptions::default()).expect("begin a file");
        writer.write_all(content).expect("write a file");
    }
    writer.finish().expect("end the archive").into_inner()
}

/// A committed document with one of its files replaced, or one more.
///
/// # Panics
/// When it is no archive.
pub fn with(name: &str, file: &str, content: impl Into<Vec<u8>>) -> Vec<u8> {
    let whole = document(name).content;
    let mut zip = ZipArchive::new(Cursor::new(whole.as_slice())).expect("the document is an archive");
    let mut files = Vec::new();
    for at in 0..zip.len() {
        let mut entry = zip.by_index(at).expect("an entry");
        let known = entry.name().expect("its name").into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("its content");
        if known != file {
            files.push((known, bytes));
        }
    }
    files.push((file.to_owned(), content.into()));
    archive(&files)
}

/// A text of a committed document's archive.
///
/// # Panics
/// When there is none of that name.
pub fn part(name: &str, file: &str) -> String {
    let whole = document(name).content;
    let mut zip = ZipArchive::new(Cursor::new(whole.as_slice())).expect("the document is an archive");
    let mut text = String::new();
    zip.by_name(file).expect("the part").read_to_string(&mut text).expect("a text");
    text
}

/// Entries that all stand on the same bytes: a few kilobytes that unpack to `count` times `megabytes`.
pub fn overlapping(count: u16, megabytes: usize) -> Vec<u8> {
    let one = archive(&[("xl/workbook.xml".to_owned(), vec![b' '; megabytes << 20])]);
    // The end of the directory says where that begins, and how long it is.
    let end = one.len() - 22;
    let number = |at: usize| u32::from_le_bytes(one[at..at + 4].try_into().expect("four bytes"));
    let (size, start) = (number(end + 12), number(end + 16));
    let entry = &one[start as usize..(start + size) as usize];
    let mut bomb = one[..start as usize].to_vec();
    for at in 0..count {
        let mut again = entry.to_vec();
        // Other names in the directory than in front of the bytes, and all of the same length.
        again[46..46 + 15].copy_from_slice(format!("xl/work{at:04}.xml").as_bytes());
        if at == 0 {
            again.copy_from_slice(entry);
        }
        bomb.extend_from_slice(&again);
    }
    let mut tail = one[end..].to_vec();
    for place in [8, 10] {
        tail[place..place + 2].copy_from_slice(&count.to_le_bytes());
    }
    tail[12..16].copy_from_slice(&(size * u32::from(count)).to_le_bytes());
    bomb.extend_from_slice(&tail);
    bomb
}
