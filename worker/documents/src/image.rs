//! Pictures: only their headers are read. What they show is for a model that sees, or for a person.

use crate::document::{Document, Picture};
use crate::error::ReadError;
use crate::kind::Kind;
use crate::limits;

pub(crate) fn read(kind: Kind, content: &[u8]) -> Result<Document, ReadError> {
    let size = imagesize::blob_size(content).map_err(ReadError::broken)?;
    let pixels = size.width.checked_mul(size.height);
    if pixels.is_none_or(|pixels| pixels > limits::PIXELS) {
        return Err(ReadError::TooLarge(format!("{} × {} pixels", size.width, size.height)));
    }
    if pixels == Some(0) {
        return Err(ReadError::Broken("it has no pixels".to_owned()));
    }
    Ok(Document { picture: Some(Picture { width: size.width, height: size.height }), ..Document::new(kind) })
}
