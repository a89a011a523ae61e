//! Every parser, fed with committed documents that were broken at random places. The seed is fixed: a failure comes again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use postrider_documents::{ReadError, read};
use proptest::prelude::Rng as _;
use proptest::test_runner::{RngAlgorithm, TestRng};

use crate::archives::{archive, committed, unpacked};

/// For all of them together.
const TIME: Duration = Duration::from_secs(10);
/// One broken file that takes longer than this is an attack that works.
const ONE: Duration = Duration::from_secs(10);

#[test]
fn broken_documents_end_in_an_answer() {
    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let documents = committed();
    let (begun, mut rounds, mut crashed) = (Instant::now(), 0_usize, Vec::new());
    while begun.elapsed() < TIME {
        let (name, content) = &documents[rounds % documents.len()];
        let broken = break_some(&mut random, content);
        let since = Instant::now();
        let answer = catch_unwind(AssertUnwindSafe(|| read(&broken, name)));
        assert!(since.elapsed() < ONE, "{name}, round {rounds}: {:?}", since.elapsed());
        // A parser's panic is an answer, too; one that gets out of `read` is not.
        if answer.unwrap_or_else(|_| panic!("{name}, round {rounds} panicked")) == Err(ReadError::Crashed) {
            crashed.push(format!("{name} in round {rounds}"));
        }
        rounds += 1;
    }
    eprintln!("{rounds} broken documents, {} crashed their parser: {crashed:?}", crashed.len());
    assert!(rounds >= documents.len(), "too slow: {rounds} rounds");
}

/// Breaks the file itself, or one of the files in it: an archive whose sums are wrong is refused before anything is read.
fn break_some(random: &mut TestRng, content: &[u8]) -> Vec<u8> {
    if !content.starts_with(b"PK") || random.next_u32().is_multiple_of(4) {
        return broken(random, content);
    }
    let mut files = unpacked(content);
    let at = below(random, files.len());
    files[at].1 = broken(random, &files[at].1);
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    archive(&files)
}

fn broken(random: &mut TestRng, content: &[u8]) -> Vec<u8> {
    let mut broken = content.to_vec();
    for _ in 0..=below(random, 8) {
        if broken.is_empty() {
            return broken;
        }
        let at = below(random, broken.len());
        match random.next_u32() % 6 {
            0 => broken[at] ^= 1 << (random.next_u32() % 8),
            1 => broken[at] = [0, 0xff, b'9', b'<', b'"', b'-'][below(random, 6)],
            2 => broken.truncate(at),
            3 => {
                let end = (at + below(random, 64)).min(broken.len());
                let piece = broken[at..end].to_vec();
                let place = below(random, broken.len());
                broken.splice(place..place, piece);
            }
            4 => {
                let end = (at + below(random, 64)).min(broken.len());
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

fn below(random: &mut TestRng, end: usize) -> usize {
    random.next_u32() as usize % end.max(1)
}
