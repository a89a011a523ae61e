//! What a file is, by its content.

use serde::{Deserialize, Serialize};

use crate::error::ReadError;
use crate::{archive, encoding};

/// A kind of file that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Csv,
    Text,
    Xlsx,
    Xls,
    Ods,
    Docx,
    Pdf,
    Png,
    Jpeg,
    Gif,
    Webp,
}

impl Kind {
    pub const ALL: &'static [Self] = &[
        Self::Csv,
        Self::Text,
        Self::Xlsx,
        Self::Xls,
        Self::Ods,
        Self::Docx,
        Self::Pdf,
        Self::Png,
        Self::Jpeg,
        Self::Gif,
        Self::Webp,
    ];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Text => "text",
            Self::Xlsx => "xlsx",
            Self::Xls => "xls",
            Self::Ods => "ods",
            Self::Docx => "docx",
            Self::Pdf => "pdf",
            Self::Png => "png",
            Self::Jpeg => "jpeg",
            Self::Gif => "gif",
            Self::Webp => "webp",
        }
    }

    /// RFC 6838.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv",
            Self::Text => "text/plain",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::Xls => "application/vnd.ms-excel",
            Self::Ods => "application/vnd.oasis.opendocument.spreadsheet",
            Self::Docx => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            Self::Pdf => "application/pdf",
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
        }
    }
}

const COMPOUND: &[u8] = &[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1];
/// PDF readers look for the mark this far into a file.
const PDF_MARK_WITHIN: usize = 1_024;

pub(crate) fn of(content: &[u8], name: &str) -> Result<Kind, ReadError> {
    let unsupported = |what: &str| Err(ReadError::Unsupported(what.to_owned()));
    if content.is_empty() {
        return Err(ReadError::Broken("it is empty".to_owned()));
    }
    if content.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Ok(Kind::Png);
    }
    if content.starts_with(&[0xff, 0xd8, 0xff]) {
        return Ok(Kind::Jpeg);
    }
    if content.starts_with(b"GIF87a") || content.starts_with(b"GIF89a") {
        return Ok(Kind::Gif);
    }
    if content.starts_with(b"RIFF") && content.get(8..12) == Some(b"WEBP") {
        return Ok(Kind::Webp);
    }
    if content.starts_with(b"PK\x03\x04") || content.starts_with(b"PK\x05\x06") {
        return archive::kind(content);
    }
    if content.starts_with(COMPOUND) {
        return compound(content);
    }
    let head = &content[..content.len().min(PDF_MARK_WITHIN)];
    if head.windows(5).any(|mark| mark == b"%PDF-") {
        return Ok(Kind::Pdf);
    }
    if content.starts_with(b"{\\rtf") {
        return unsupported("rich text");
    }
    if !encoding::is_text(content) {
        return unsupported("unknown binary data");
    }
    let start: String = encoding::text(&head[..head.len() & !1]).trim_start().to_lowercase();
    if ["<!doctype html", "<html", "<svg", "<?xml"].iter().any(|mark| start.starts_with(mark)) {
        return unsupported("markup");
    }
    let name = name.to_ascii_lowercase();
    let is_table = [".csv", ".tsv", ".tab"].iter().any(|ending| name.ends_with(ending));
    Ok(if is_table { Kind::Csv } else { Kind::Text })
}

/// The older Office formats, and the newer ones under a password, name their streams in UTF-16.
fn compound(content: &[u8]) -> Result<Kind, ReadError> {
    let has = |name: &str| {
        let wide: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        content.windows(wide.len()).any(|window| window == wide)
    };
    if has("EncryptedPackage") {
        Err(ReadError::Encrypted)
    } else if has("Workbook") || has("Book") {
        Ok(Kind::Xls)
    } else if has("WordDocument") {
        Err(ReadError::Unsupported("Word 97".to_owned()))
    } else {
        Err(ReadError::Unsupported("a compound file".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, of};
    use crate::ReadError;

    #[test]
    fn the_content_decides_and_not_the_name() {
        assert_eq!(of(b"\x89PNG\r\n\x1a\nrest", "order.csv"), Ok(Kind::Png));
        assert_eq!(of(b"a;b\n1;2\n", "photo.png"), Ok(Kind::Text));
        assert_eq!(of(b"a;b\n1;2\n", "Order.CSV"), Ok(Kind::Csv));
        assert!(matches!(of(b"MZ\x90\x00\x03\x00", "order.csv"), Err(ReadError::Unsupported(_))));
        assert!(matches!(of(b"  <!DOCTYPE html><script>", "order.csv"), Err(ReadError::Unsupported(_))));
        assert!(matches!(of(b"", "order.csv"), Err(ReadError::Broken(_))));
    }
}
