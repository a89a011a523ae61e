//! Documents that strangers send, read into text and tables.
//!
//! A file's content decides what it is; its name only tells text from CSV. Nothing is fetched, written or executed:
//! bytes in, a [`Document`] or a [`ReadError`] out. Everything is bounded by [`limits`], and what a bound cut off is named in
//! [`Document::left_out`], so that nobody takes a part for the whole.
//!
//! Parsers are written by people who did not think of everything: a process that reads files of strangers calls [`read`] in a
//! child of its own with limits of memory and time.

mod archive;
mod compound;
mod delimited;
mod document;
mod encoding;
mod error;
mod image;
mod kind;
pub mod limits;
mod ods;
mod pdf;
mod sheet;
mod spreadsheet;
mod word;
mod xml;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use self::document::{Block, Document, Picture, Table};
pub use self::error::ReadError;
pub use self::kind::Kind;

/// Reads a file that its sender calls `name`.
pub fn read(content: &[u8], name: &str) -> Result<Document, ReadError> {
    if content.len() > limits::FILE_BYTES {
        let (found, most) = (content.len() >> 20, limits::FILE_BYTES >> 20);
        return Err(ReadError::TooLarge(format!("{found} MiB, at most {most} are read")));
    }
    // A parser that gives up loudly gives up on this file only.
    catch_unwind(AssertUnwindSafe(|| read_as(kind::of(content, name)?, content))).unwrap_or(Err(ReadError::Crashed))
}

/// Reads a file as one of this kind, whatever it looks like. Unlike [`read`] it lets a parser's panic through.
pub fn read_as(kind: Kind, content: &[u8]) -> Result<Document, ReadError> {
    match kind {
        Kind::Csv => delimited::read(content),
        Kind::Text => Ok(delimited::plain(content)),
        Kind::Xlsx => spreadsheet::xlsx(content),
        Kind::Xls => spreadsheet::xls(content),
        Kind::Ods => ods::read(content),
        Kind::Docx => word::read(content),
        Kind::Pdf => pdf::read(content),
        Kind::Png | Kind::Jpeg | Kind::Gif | Kind::Webp => image::read(kind, content),
    }
}
