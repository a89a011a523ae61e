//! What kind of failure an error is, for logs. A server's own words may name addresses and repeat what they were told: these are for
//! the business whose mailbox it is.

use std::fmt::Display;

use super::gmail::GmailError;
use super::imap::ImapError;
use super::smtp::SmtpError;

/// An error whose text holds a server's words.
pub trait Classed: Display {
    /// A fixed word.
    fn class(&self) -> &'static str;
}

impl Classed for ImapError {
    fn class(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Forbidden => "network_not_allowed",
            Self::Tls { .. } => "tls",
            Self::Insecure { .. } => "insecure",
            Self::Timeout { .. } => "timeout",
            Self::Closed { .. } => "closed",
            Self::Busy { .. } => "busy",
            Self::LoginRefused { .. } => "login_refused",
            Self::Refused { .. } => "refused",
            Self::Protocol { .. } => "protocol",
            Self::TooMuch { .. } => "too_much",
            Self::Withheld { .. } => "withheld",
            Self::Unsendable => "unsendable",
        }
    }
}

impl Classed for SmtpError {
    fn class(&self) -> &'static str {
        match self {
            Self::Network { .. } => "network",
            Self::Forbidden => "network_not_allowed",
            Self::Timeout { .. } => "timeout",
            Self::Insecure { .. } => "insecure",
            Self::Deferred { .. } => "deferred",
            Self::Refused { .. } => "refused",
            Self::DailyLimit { .. } => "daily_limit",
            Self::LoginRefused { .. } => "login_refused",
            Self::Ambiguous { .. } => "ambiguous",
            Self::Unsendable { .. } => "unsendable",
            Self::Overtaken => "overtaken",
        }
    }
}

impl Classed for GmailError {
    fn class(&self) -> &'static str {
        match self {
            Self::Unauthorized { .. } => "unauthorized",
            Self::Forbidden { .. } => "forbidden",
            Self::Unavailable { .. } => "unavailable",
            Self::RateLimited { .. } => "rate_limited",
            Self::DailyLimit { .. } => "daily_limit",
            Self::Refused { .. } => "refused",
            Self::TooLarge { .. } => "too_large",
            Self::NotFound { .. } => "not_found",
            Self::Conflict { .. } => "conflict",
            Self::Server { .. } => "server",
            Self::Unreachable { .. } => "unreachable",
            Self::Insecure { .. } => "insecure",
            Self::AnswerLost { .. } => "answer_lost",
            Self::Malformed { .. } => "malformed",
        }
    }
}
