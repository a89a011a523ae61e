//! Inputs broken at random places. The seed is fixed: a failure comes again.

use std::io::{Cursor, Read as _, Write as _};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// What an archive may unpack to; seeds are small.
const UNPACKED: u64 = 1024 * 1024;

/// Breaks seeds.
#[derive(Debug)]
pub struct Mutator(StdRng);

impl Mutator {
    /// The same number gives the same inputs.
    pub fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// Breaks the file itself, or one of the files in it: an archive whose sums are wrong is refused before anything is read.
    pub fn broken(&mut self, seed: &[u8]) -> Vec<u8> {
        let whole = !seed.starts_with(b"PK") || self.below(4) == 0;
        let files = if whole { None } else { unpacked(seed) };
        let Some(mut files) = files.filter(|files| !files.is_empty()) else { return self.bytes(seed) };
        let at = self.below(files.len());
        files[at].1 = self.bytes(&files[at].1);
        archive(&files).unwrap_or_default()
    }

    fn bytes(&mut self, seed: &[u8]) -> Vec<u8> {
        let mut broken = seed.to_vec();
        for _ in 0..=self.below(8) {
            if broken.is_empty() {
                return broken;
            }
            let at = self.below(broken.len());
            match self.below(6) {
                0 => broken[at] ^= 1 << self.below(8),
                1 => broken[at] = [0, 0xff, b'9', b'<', b'"', b'-'][self.below(6)],
                2 => broken.truncate(at),
                3 => {
                    let end = (at + self.below(64)).min(broken.len());
                    let piece = broken[at..end].to_vec();
                    let place = self.below(broken.len());
                    broken.splice(place..place, piece);
                }
                4 => {
                    let end = (at + self.below(64)).min(broken.len());
                    broken.drain(at..end);
                }
                // Numbers are what sizes and counts are made of.
                _ => {
                    if let Some(digit) = broken[at..].iter().position(u8::is_ascii_digit) {
                        broken.splice(at + digit..at + digit, *b"99999999");
                    }
                }
            }
        }
        broken
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.0.next_u32()).unwrap_or_default() % end.max(1)
    }
}

/// An archive's files, if it is sound.
pub(crate) fn unpacked(content: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let mut archive = ZipArchive::new(Cursor::new(content)).ok()?;
    let mut files = Vec::new();
    for at in 0..archive.len() {
        let file = archive.by_index(at).ok()?;
        let name = file.name().ok()?.into_owned();
        let mut bytes = Vec::new();
        file.take(UNPACKED).read_to_end(&mut bytes).ok()?;
        files.push((name, bytes));
    }
    Some(files)
}

/// They as an archive. Compressing is what would take the time.
pub(crate) fn archive(files: &[(String, Vec<u8>)]) -> Option<Vec<u8>> {
    let plain = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        writer.start_file(name.as_str(), plain).ok()?;
        writer.write_all(content).ok()?;
    }
    Some(writer.finish().ok()?.into_inner())
}
