//! How much of a file is read. More is no quote request, or an attack.

/// Bytes of a file.
pub const FILE_BYTES: usize = 20 * 1024 * 1024;
/// Bytes that an archive (XLSX, ODS, DOCX) may unpack to, in all.
pub const UNPACKED_BYTES: u64 = 64 * 1024 * 1024;
/// Files in an archive.
pub const ARCHIVE_ENTRIES: usize = 2_000;
/// Sheets of a workbook.
pub const SHEETS: usize = 20;
/// Rows with something in them, of all tables of a file.
pub const ROWS: usize = 2_000;
/// Columns of a table.
pub const COLUMNS: usize = 64;
/// Characters of one cell.
pub const CELL_CHARS: usize = 500;
/// Pages of a PDF.
pub const PAGES: usize = 50;
/// Characters of a file's text, tables included.
pub const TEXT_CHARS: usize = 100_000;
/// How deep XML may nest.
pub const XML_DEPTH: usize = 256;
/// Pixels of a picture.
pub const PIXELS: usize = 50_000_000;
