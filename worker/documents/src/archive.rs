//! ZIP archives, opened only after they were found harmless.

use std::io::{Cursor, Read as _};

use zip::ZipArchive;
use zip::result::ZipError;

use crate::error::ReadError;
use crate::kind::Kind;
use crate::limits;

pub(crate) type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

fn open(content: &[u8]) -> Result<Archive<'_>, ReadError> {
    let archive = ZipArchive::new(Cursor::new(content)).map_err(failure)?;
    if archive.len() > limits::ARCHIVE_ENTRIES {
        let most = limits::ARCHIVE_ENTRIES;
        return Err(ReadError::TooLarge(format!("an archive of {} files, at most {most} are read", archive.len())));
    }
    Ok(archive)
}

/// Opens an archive whose files together unpack to a bearable size. Sizes that it states are not believed: everything is
/// unpacked once and counted. Archives within it stay closed.
pub(crate) fn checked(content: &[u8]) -> Result<Archive<'_>, ReadError> {
    let mut archive = open(content)?;
    let mut left = limits::UNPACKED_BYTES;
    for at in 0..archive.len() {
        let file = archive.by_index(at).map_err(failure)?;
        let unpacked = std::io::copy(&mut file.take(left + 1), &mut std::io::sink()).map_err(ReadError::broken)?;
        left = left.checked_sub(unpacked).ok_or_else(|| {
            ReadError::TooLarge(format!("it unpacks to more than {} MiB", limits::UNPACKED_BYTES >> 20))
        })?;
    }
    Ok(archive)
}

/// One file of an archive that was [`checked`].
pub(crate) fn file(archive: &mut Archive<'_>, name: &str) -> Result<Vec<u8>, ReadError> {
    let mut content = Vec::new();
    let file = archive.by_name(name).map_err(failure)?;
    file.take(limits::UNPACKED_BYTES).read_to_end(&mut content).map_err(ReadError::broken)?;
    Ok(content)
}

/// Which of the formats that are archives this is.
pub(crate) fn kind(content: &[u8]) -> Result<Kind, ReadError> {
    let archive = open(content)?;
    let has = |name: &str| archive.index_for_name(name).is_some();
    let names = || archive.file_names();
    if has("word/document.xml") {
        Ok(Kind::Docx)
    } else if has("xl/workbook.xml") || names().flatten().any(|name| name.starts_with("xl/worksheets/")) {
        Ok(Kind::Xlsx)
    } else if has("content.xml") && has("mimetype") {
        open_document(content)
    } else if has("xl/workbook.bin") {
        Err(ReadError::Unsupported("a binary workbook".to_owned()))
    } else {
        Err(ReadError::Unsupported("an archive".to_owned()))
    }
}

fn open_document(content: &[u8]) -> Result<Kind, ReadError> {
    let mut archive = open(content)?;
    let mut mimetype = String::new();
    let entry = archive.by_name("mimetype").map_err(failure)?;
    entry.take(200).read_to_string(&mut mimetype).map_err(ReadError::broken)?;
    if mimetype.trim().starts_with("application/vnd.oasis.opendocument.spreadsheet") {
        Ok(Kind::Ods)
    } else {
        Err(ReadError::Unsupported("an OpenDocument file that is no spreadsheet".to_owned()))
    }
}

fn failure(error: ZipError) -> ReadError {
    match error {
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) | ZipError::InvalidPassword => ReadError::Encrypted,
        other => ReadError::broken(other),
    }
}
