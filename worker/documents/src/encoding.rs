//! Bytes to text, for files that do not say how they are encoded.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// Bytes that are looked at to tell text from other data.
const SAMPLE: usize = 8_192;

/// Never fails: what is no text of any sort becomes replacement characters.
pub(crate) fn text(content: &[u8]) -> String {
    encoding(content).decode(content).0.into_owned()
}

/// By its mark, else by where its zeros are, else UTF-8 if it is that, else what Windows wrote in western Europe.
fn encoding(content: &[u8]) -> &'static Encoding {
    if let Some((marked, _)) = Encoding::for_bom(content) {
        return marked;
    }
    if let Some(wide) = wide(content) {
        return wide;
    }
    if std::str::from_utf8(content).is_ok() { UTF_8 } else { WINDOWS_1252 }
}

/// UTF-16 without a mark: every other byte of western text is zero.
fn wide(content: &[u8]) -> Option<&'static Encoding> {
    let sample = &content[..content.len().min(SAMPLE)];
    let zeros = |parity: usize| sample.iter().skip(parity).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    let pairs = sample.len() / 2;
    if pairs < 2 {
        None
    } else if odd * 10 > pairs * 7 && even * 10 < pairs {
        Some(UTF_16LE)
    } else if even * 10 > pairs * 7 && odd * 10 < pairs {
        Some(UTF_16BE)
    } else {
        None
    }
}

/// Whether this may be text at all.
pub(crate) fn is_text(content: &[u8]) -> bool {
    if Encoding::for_bom(content).is_some() || wide(content).is_some() {
        return true;
    }
    let sample = &content[..content.len().min(SAMPLE)];
    let odd = sample.iter().filter(|byte| matches!(byte, 0..=8 | 0x0e..=0x1a | 0x1c..=0x1f | 0x7f)).count();
    !sample.contains(&0) && odd * 100 <= sample.len()
}

#[cfg(test)]
mod tests {
    use super::{is_text, text};

    #[test]
    fn the_usual_encodings_are_told_apart() {
        let wide = |bytes: fn(u16) -> [u8; 2]| "Größe;5\n".encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
        for bytes in [
            "Größe;5\n".as_bytes().to_vec(),
            b"Gr\xf6\xdfe;5\n".to_vec(),
            wide(u16::to_le_bytes),
            wide(u16::to_be_bytes),
            [b"\xff\xfe".to_vec(), wide(u16::to_le_bytes)].concat(),
            [b"\xef\xbb\xbf".to_vec(), "Größe;5\n".into()].concat(),
        ] {
            assert_eq!(text(&bytes), "Größe;5\n", "{bytes:?}");
            assert!(is_text(&bytes));
        }
        assert!(!is_text(&[0, 1, 2, 3, 0, 0, 9, 200]));
    }
}
