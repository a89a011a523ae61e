//! Counts of calls, for tests.

use serde::{Deserialize, Serialize};

/// How often each endpoint was called since the last reset, whatever it answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    pub authorize: u64,
    /// Codes that were to become tokens.
    pub exchange: u64,
    /// Renewals, refused ones included.
    pub refresh: u64,
    pub revoke: u64,
    pub profile: u64,
    /// Bearer tokens that were good, over all protocols.
    pub accepted: u64,
    /// Bearer tokens that were not.
    pub refused: u64,
}
