//! Troubles of the token endpoint.

use serde::{Deserialize, Serialize};

/// An answer to the next calls of the token endpoint instead of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// 0: the token is given, after the delay.
    pub status: u16,
    /// OAuth's error code.
    #[serde(default)]
    pub error: String,
    /// How many calls.
    #[serde(default = "once")]
    pub times: u32,
    #[serde(default)]
    pub delay_ms: u64,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

fn once() -> u32 {
    1
}
