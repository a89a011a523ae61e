//! What can go wrong with an IMAP server, in words an operator can act on.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::providers::network::LookupError;
use crate::providers::told::Told;

/// Which step of the conversation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Connect,
    Tls,
    Greeting,
    Login,
    Select,
    List,
    Fetch,
    Idle,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting",
            Self::Tls => "the TLS handshake",
            Self::Greeting => "the greeting",
            Self::Login => "the login",
            Self::Select => "opening the folder",
            Self::List => "listing new mail",
            Self::Fetch => "fetching a message",
            Self::Idle => "waiting for new mail",
        })
    }
}

/// A failed conversation. Details never hold mail or passwords: they come from status lines only.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImapError {
    #[error("the IMAP server cannot be reached: {detail}")]
    Unreachable { detail: String },
    /// Its host is none that a tenant may have called.
    #[error("the IMAP server's host is in a network that this installation does not allow")]
    Forbidden,
    #[error("no TLS with the IMAP server: {detail}")]
    Tls { detail: String },
    /// Its certificate is not to be trusted, or it refuses STARTTLS: the password is not shown to it.
    #[error("no trustworthy connection to the IMAP server: {detail}")]
    Insecure { detail: String },
    #[error("the IMAP server did not answer {stage} within {} s", limit.as_secs())]
    Timeout { stage: Stage, limit: Duration },
    #[error("the IMAP server closed the connection during {stage}")]
    Closed { stage: Stage },
    /// It has enough to do, or enough connections: it wants to be asked later.
    #[error("the IMAP server asks for patience during {stage}: {detail}")]
    Busy { stage: Stage, detail: String },
    /// `certain`: the server said that the credentials are wrong, not only that it refuses at the moment.
    #[error("the IMAP server refused the login: {detail}")]
    LoginRefused { certain: bool, detail: String },
    #[error("the IMAP server refused {stage}: {detail}")]
    Refused { stage: Stage, detail: String },
    #[error("the IMAP server broke the protocol during {stage}: {detail}")]
    Protocol { stage: Stage, detail: String },
    #[error("the IMAP server sent more than allowed during {stage}")]
    TooMuch { stage: Stage },
    #[error("the IMAP server lists message {uid} but does not hand it over")]
    Withheld { uid: u32 },
    /// The configured name or password cannot be sent at all (it holds a line break).
    #[error("the user name or password contains a line break")]
    Unsendable,
}

impl ImapError {
    pub(super) fn of(stage: Stage, error: async_imap::error::Error) -> Self {
        use async_imap::error::Error;
        match error {
            Error::Io(error) => Self::io(stage, &error),
            Error::ConnectionLost => Self::Closed { stage },
            Error::Validate(_) => Self::Unsendable,
            Error::No(detail) | Error::Bad(detail) if is_busy(&detail) => Self::Busy { stage, detail: short(&detail) },
            Error::No(detail) if stage == Stage::Login => login_refused(&detail),
            Error::No(detail) | Error::Bad(detail) if stage == Stage::Tls => {
                Self::Insecure { detail: format!("it refuses STARTTLS: {}", short(&detail)) }
            }
            Error::No(detail) => Self::Refused { stage, detail: short(&detail) },
            Error::Bad(detail) => Self::Protocol { stage, detail: short(&detail) },
            // Parse and Append errors, and whatever upstream adds to its open enum: a broken conversation.
            _ => Self::unreadable(stage),
        }
    }

    pub(super) fn unconnected(error: LookupError) -> Self {
        match error {
            LookupError::Forbidden => Self::Forbidden,
            LookupError::Io(error) => Self::io(Stage::Connect, &error),
        }
    }

    /// The text of an `Other` error repeats what the server sent, which may be somebody's mail: it is left out.
    pub(super) fn io(stage: Stage, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::FileTooLarge => Self::TooMuch { stage },
            _ if stage == Stage::Connect => Self::Unreachable { detail: error.to_string() },
            io::ErrorKind::Other => Self::unreadable(stage),
            _ => Self::Closed { stage },
        }
    }

    /// The server's words without what it was told.
    pub(super) fn without(mut self, told: &Told) -> Self {
        match &mut self {
            Self::Unreachable { detail }
            | Self::Tls { detail }
            | Self::Insecure { detail }
            | Self::Busy { detail, .. }
            | Self::LoginRefused { detail, .. }
            | Self::Refused { detail, .. }
            | Self::Protocol { detail, .. } => *detail = told.hide(detail),
            Self::Forbidden
            | Self::Timeout { .. }
            | Self::Closed { .. }
            | Self::TooMuch { .. }
            | Self::Withheld { .. }
            | Self::Unsendable => {}
        }
        self
    }

    pub(super) fn busy(stage: Stage, said: &str) -> Self {
        Self::Busy { stage, detail: short(said) }
    }

    fn unreadable(stage: Stage) -> Self {
        Self::Protocol { stage, detail: "its answer is not IMAP".into() }
    }
}

/// Codes of RFC 5530 by which a server says that it refuses for now, and the words of those that give no code.
const BUSY: &[&str] = &[
    "[UNAVAILABLE]",
    "[INUSE]",
    "[LIMIT]",
    "[SERVERBUG]",
    "[THROTTLED]",
    "TOO MANY SIMULTANEOUS",
    "TOO MANY CONNECTIONS",
    "MAXIMUM NUMBER OF CONNECTIONS",
    "TRY AGAIN LATER",
];

/// Whether a status line says that the server is to be asked later.
pub(super) fn is_busy(line: &str) -> bool {
    let upper = line.to_ascii_uppercase();
    BUSY.iter().any(|words| upper.contains(words))
}

/// Whether a status line blames the server's own software.
pub(super) fn is_bug(line: &str) -> bool {
    line.to_ascii_uppercase().contains("[SERVERBUG]")
}

/// RFC 5530 codes name wrong credentials. Without a code it stays open.
fn login_refused(detail: &str) -> ImapError {
    let upper = detail.to_ascii_uppercase();
    let certain = ["AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "EXPIRED", "INVALID CREDENTIALS"]
        .iter()
        .any(|code| upper.contains(code));
    ImapError::LoginRefused { certain, detail: short(detail) }
}

fn short(detail: &str) -> String {
    detail.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::{ImapError, Stage, is_busy, login_refused};

    #[test]
    fn only_a_named_reason_makes_a_refused_login_certain() {
        let certain = |detail| match login_refused(detail) {
            ImapError::LoginRefused { certain, .. } => certain,
            other => panic!("{other:?}"),
        };
        assert!(certain("code: None, info: Some(\"[AUTHENTICATIONFAILED] Invalid credentials (Failure)\")"));
        assert!(!certain("code: None, info: Some(\"Login failed\")"));
    }

    #[test]
    fn a_server_that_has_enough_is_asked_later() {
        for line in [
            "code: None, info: Some(\"[UNAVAILABLE] Maximum number of connections from user+IP exceeded\")",
            "code: Some(Alert), info: Some(\"Too many simultaneous connections. (Failure)\")",
            "code: None, info: Some(\"[LIMIT] wait\")",
            "code: None, info: Some(\"[INUSE] the mailbox is locked\")",
        ] {
            for stage in [Stage::Login, Stage::Select] {
                let error = ImapError::of(stage, async_imap::error::Error::No(line.to_owned()));
                assert!(matches!(error, ImapError::Busy { .. }), "{error:?}");
            }
        }
        assert!(!is_busy("code: None, info: Some(\"[AUTHENTICATIONFAILED] Invalid credentials (Failure)\")"));
    }
}
