use serde::{Deserialize, Serialize};

/// Why a file could not be read, in words that complete "it was not read: …". They hold nothing that the sender wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ReadError {
    #[error("files of this kind are not read ({0})")]
    Unsupported(String),
    #[error("it is protected by a password")]
    Encrypted,
    #[error("it is too large ({0})")]
    TooLarge(String),
    #[error("it is broken ({0})")]
    Broken(String),
    /// Scans: a person, or a model that sees, can read them.
    #[error("it has no text, only pictures")]
    NoText,
    #[error("reading it took too long")]
    TooLong,
    #[error("its reader crashed")]
    Crashed,
}

impl ReadError {
    pub(crate) fn broken(error: impl std::fmt::Display) -> Self {
        // Parsers quote what they stumble over, which a stranger wrote.
        let detail: String =
            error.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).take(120).collect();
        Self::Broken(detail)
    }
}
