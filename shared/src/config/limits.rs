//! Limits of providers, which several processes tell the queue: it has to be the same for all of them.

use super::{Reader, Section};

/// What providers allow in a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitsConfig {
    /// Units that one Gmail account may spend on API calls in a minute.
    pub gmail_units_per_minute: u32,
}

impl Section for LimitsConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let gmail_units_per_minute = reader.number("GMAIL_UNITS_PER_MINUTE", 500..=10_000_000);
        Some(Self { gmail_units_per_minute: gmail_units_per_minute? })
    }
}
