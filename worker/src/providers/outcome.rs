//! What each provider's error means for the job that met it. No `_` arm: a new error has to be decided here.

use postrider_queue::{CapUse, Stop};

use super::gmail::GmailError;
use super::imap::ImapError;
use super::llm::LlmError;
use super::smtp::{MessageError, SmtpError};

impl From<ImapError> for Stop {
    fn from(error: ImapError) -> Self {
        match error {
            ImapError::Unreachable { .. }
            | ImapError::Tls { .. }
            | ImapError::Insecure { .. }
            | ImapError::Timeout { .. }
            | ImapError::Closed { .. }
            | ImapError::Busy { .. }
            | ImapError::LoginRefused { .. }
            | ImapError::Refused { .. }
            | ImapError::Protocol { .. }
            | ImapError::TooMuch { .. }
            | ImapError::Withheld { .. } => Self::retry(error),
            ImapError::Forbidden | ImapError::Unsendable => Self::fail(error),
        }
    }
}

impl From<SmtpError> for Stop {
    /// Doubt, a refused login and a host that is not allowed need the ledger or the account as well; the handler of `send_email`
    /// takes those by name before it comes here.
    fn from(error: SmtpError) -> Self {
        match error {
            SmtpError::Network { .. }
            | SmtpError::Timeout { .. }
            | SmtpError::Deferred { .. }
            | SmtpError::LoginRefused { .. }
            | SmtpError::Insecure { .. }
            | SmtpError::Overtaken
            | SmtpError::DailyLimit { .. } => Self::retry(error),
            SmtpError::Forbidden | SmtpError::Refused { .. } | SmtpError::Unsendable { .. } => Self::fail(error),
            SmtpError::Ambiguous { .. } => Self::fail(error).with_cap(CapUse::Unknown),
        }
    }
}

impl From<GmailError> for Stop {
    /// For calls that send nothing. What an error means for a message, the handler of `send_email` decides.
    fn from(error: GmailError) -> Self {
        match error {
            GmailError::RateLimited { until, .. } => Self::snooze(until, error),
            GmailError::Unauthorized { .. }
            | GmailError::Forbidden { .. }
            | GmailError::Unavailable { .. }
            | GmailError::DailyLimit { .. }
            | GmailError::NotFound { .. }
            | GmailError::Conflict { .. }
            | GmailError::Server { .. }
            | GmailError::Unreachable { .. }
            | GmailError::Insecure { .. }
            | GmailError::AnswerLost { .. }
            | GmailError::Malformed { .. } => Self::retry(error),
            GmailError::Refused { .. } | GmailError::TooLarge { .. } => Self::fail(error),
        }
    }
}

impl From<MessageError> for Stop {
    fn from(error: MessageError) -> Self {
        match error {
            MessageError::Address { .. } | MessageError::Format { .. } => Self::fail(error),
        }
    }
}

impl From<LlmError> for Stop {
    fn from(error: LlmError) -> Self {
        match error {
            LlmError::Busy { until }
            | LlmError::RateLimited { until, .. }
            | LlmError::QuotaExhausted { until, .. }
            | LlmError::Misconfigured { until, .. } => Self::snooze(until, error),
            LlmError::Server { .. }
            | LlmError::Network { .. }
            | LlmError::Timeout
            | LlmError::Cut
            | LlmError::Malformed { .. }
            | LlmError::NotInSchema { .. } => Self::retry(error),
            LlmError::Rejected { .. } | LlmError::Refused { .. } | LlmError::Request { .. } => Self::fail(error),
        }
    }
}
