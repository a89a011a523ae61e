//! A tenant's logo: PNG or SVG, checked before typst sees it.

use std::fmt;

/// A logo that can be drawn. Anything else is left away: a quote with the tenant's name in its place is better than none.
#[derive(Clone, PartialEq, Eq)]
pub struct Logo(Vec<u8>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LogoError {
    #[error("the logo is larger than {} KB", MAX_BYTES / 1024)]
    TooManyBytes,
    #[error("the logo has more than {MAX_SIDE} pixels on one side")]
    TooManyPixels,
    #[error("the logo is neither PNG nor SVG")]
    UnknownFormat,
}

const MAX_BYTES: usize = 1024 * 1024;
/// A PNG of a few bytes may ask for gigabytes of pixels.
const MAX_SIDE: u32 = 4_000;
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

impl Logo {
    pub fn new(bytes: Vec<u8>) -> Result<Self, LogoError> {
        if bytes.len() > MAX_BYTES {
            return Err(LogoError::TooManyBytes);
        }
        if bytes.starts_with(PNG) {
            match (side(&bytes, 16), side(&bytes, 20)) {
                (Some(width @ 1..), Some(height @ 1..)) if width.max(height) <= MAX_SIDE => Ok(Self(bytes)),
                (Some(1..), Some(1..)) => Err(LogoError::TooManyPixels),
                _ => Err(LogoError::UnknownFormat),
            }
        } else if std::str::from_utf8(&bytes).is_ok_and(|text| text.contains("<svg")) {
            Ok(Self(bytes))
        } else {
            Err(LogoError::UnknownFormat)
        }
    }

    pub(super) fn is_png(&self) -> bool {
        self.0.starts_with(PNG)
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

fn side(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

impl fmt::Debug for Logo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Logo({} bytes)", self.0.len())
    }
}
