//! The logo on a tenant's quotes, checked before it is kept: what is taken can be drawn.

use std::io::Cursor;

use png::{Decoder, Limits};

/// Most bytes of its file.
pub const MAX_LOGO_BYTES: usize = 200 * 1024;
/// A file of a few bytes may ask for gigabytes of pixels, and each quote draws them.
const MAX_SIDE: u32 = 2_000;
/// Width times height.
const MAX_PIXELS: u32 = 1_000_000;
/// For a line of pixels, and a colour profile.
const MEMORY: usize = 4 * 1024 * 1024;

/// Why a picture is no logo.
#[derive(Debug, thiserror::Error)]
pub enum LogoError {
    #[error("it is larger than {} KiB", MAX_LOGO_BYTES / 1024)]
    TooManyBytes,
    #[error("it is {0} pixels wide and {1} high: at most {MAX_SIDE} on a side and {MAX_PIXELS} in all are allowed")]
    TooManyPixels(u32, u32),
    #[error("it is not a PNG that can be read: {0}")]
    Unreadable(#[from] png::DecodingError),
}

/// Reads the whole picture, line by line. It takes some milliseconds: call it on a blocking thread.
///
/// SVG is not taken: a small file may ask for any number of shapes.
pub fn check_logo(file: &[u8]) -> Result<(), LogoError> {
    if file.len() > MAX_LOGO_BYTES {
        return Err(LogoError::TooManyBytes);
    }
    let mut picture = Decoder::new_with_limits(Cursor::new(file), Limits { bytes: MEMORY }).read_info()?;
    let (width, height) = picture.info().size();
    if width.max(height) > MAX_SIDE || width * height > MAX_PIXELS {
        return Err(LogoError::TooManyPixels(width, height));
    }
    while picture.next_interlaced_row()?.is_some() {}
    Ok(picture.finish()?)
}

#[cfg(test)]
mod tests {
    use png::{BitDepth, ColorType, Encoder};

    use super::*;

    fn picture(width: u32, height: u32) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = Encoder::new(&mut file, width, height);
        encoder.set_color(ColorType::Grayscale);
        encoder.set_depth(BitDepth::Eight);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&vec![7; (width * height) as usize]).unwrap();
        drop(writer);
        file
    }

    #[test]
    fn only_what_can_be_drawn_is_a_logo() {
        let good = picture(300, 100);
        check_logo(&good).unwrap();
        check_logo(&picture(MAX_SIDE, MAX_PIXELS / MAX_SIDE)).unwrap();
        for (file, why) in [
            (picture(MAX_SIDE + 1, 1), "2001 pixels wide and 1 high"),
            (picture(1_001, 1_000), "1001 pixels wide and 1000 high"),
            (good[..good.len() / 2].to_vec(), "cannot be read"),
            (good[..good.len() - 12].to_vec(), "cannot be read"),
            (b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>".to_vec(), "not a PNG"),
            (Vec::new(), "not a PNG"),
            (vec![0; MAX_LOGO_BYTES + 1], "larger than 200 KiB"),
        ] {
            let refused = check_logo(&file).unwrap_err().to_string();
            let why = why.replace("cannot be read", "not a PNG that can be read");
            assert!(refused.contains(&why), "{refused}");
        }
    }
}
