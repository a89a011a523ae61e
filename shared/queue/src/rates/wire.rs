//! What travels to and from `lua/allow.lua`.

use std::time::Duration;

use super::Draw;
use crate::{error::QueueError, wire::put_u48};

/// What a call asks of one limit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) draw: Draw,
    /// Units that were taken ahead and not used.
    pub(super) back: u32,
    /// Units to be taken ahead.
    pub(super) ahead: u32,
}

impl Asked {
    pub(super) fn append_to(&self, item: &mut Vec<u8>) {
        item.extend_from_slice(&self.draw.name);
        put_u48(item, self.draw.limit.interval());
        for number in [self.draw.limit.burst, self.draw.units, self.back, self.ahead] {
            item.extend_from_slice(&number.to_be_bytes());
        }
    }
}

/// What a call says of one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) full_in: Duration,
    pub(super) ahead: u32,
}

/// Reads the answers to checks of so many limits each: whether it was allowed, and how the limits stand.
pub(super) fn answers(raw: &[u8], checks: impl Iterator<Item = usize>) -> Result<Vec<(bool, Vec<Told>)>, QueueError> {
    let short = || QueueError::Corrupt(format!("{} bytes of answers to rate checks", raw.len()));
    let mut rest = raw;
    let mut answers = Vec::with_capacity(checks.size_hint().0);
    for limits in checks {
        let (answer, after) = rest.split_at_checked(1 + 10 * limits).ok_or_else(short)?;
        rest = after;
        let told = answer[1..].chunks_exact(10).map(|told| Told {
            full_in: Duration::from_micros(number(&told[..6])),
            ahead: u32::try_from(number(&told[6..])).unwrap_or(u32::MAX),
        });
        answers.push((answer[0] == 1, told.collect()));
    }
    if rest.is_empty() { Ok(answers) } else { Err(short()) }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}
