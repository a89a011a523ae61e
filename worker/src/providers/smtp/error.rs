//! What a failed submission means: try again, never again, wait for the next day, pause the account, or doubt.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use lettre::transport::smtp::response::Code;

use crate::providers::network::LookupError;
use crate::providers::told::Told;
use crate::providers::transport::certificate_refused;

/// Which step of the conversation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Connect,
    Tls,
    Login,
    Mail,
    Recipient,
    Data,
    Content,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting",
            Self::Tls => "the TLS handshake",
            Self::Login => "the login",
            Self::Mail => "MAIL FROM",
            Self::Recipient => "RCPT TO",
            Self::Data => "DATA",
            Self::Content => "the message",
        })
    }
}

/// A failed submission. Only [`SmtpError::Ambiguous`] leaves open whether the message was accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SmtpError {
    #[error("the SMTP server could not be talked to during {stage}: {detail}")]
    Network { stage: Stage, detail: String },
    /// Its host is none that a tenant may have called.
    #[error("the SMTP server's host is in a network that this installation does not allow")]
    Forbidden,
    #[error("the SMTP server did not answer {stage} within {} s", limit.as_secs())]
    Timeout { stage: Stage, limit: Duration },
    /// Its certificate is not to be trusted, or it offers no STARTTLS: neither password nor message is shown to it.
    #[error("no trustworthy connection to the SMTP server: {detail}")]
    Insecure { detail: String },
    /// 4xx: the server asks for another try.
    #[error("the SMTP server deferred {stage}: {code} {detail}")]
    Deferred { stage: Stage, code: u16, detail: String },
    /// 5xx: the same message will never be taken.
    #[error("the SMTP server refused {stage}: {code} {detail}")]
    Refused { stage: Stage, code: u16, detail: String },
    /// 550 5.4.5: the provider's own daily limit is used up.
    #[error("the account's daily sending limit is reached: {detail}")]
    DailyLimit { detail: String },
    #[error("the SMTP server refused the login: {detail}")]
    LoginRefused { detail: String },
    /// The final dot was written and no answer came back: it may have been accepted. Never repeated by itself.
    #[error("whether the message was accepted is unknown: {detail}")]
    Ambiguous { detail: String },
    /// The message or the server's abilities rule it out before anything was sent.
    #[error("the message cannot be sent: {detail}")]
    Unsendable { detail: String },
    #[error("another run may have the message by now; nothing was handed over")]
    Overtaken,
}

impl SmtpError {
    pub(super) fn of(stage: Stage, error: &lettre::transport::smtp::Error) -> Self {
        let detail = detail(error);
        if let Some(detail) = certificate_refused(error) {
            return Self::Insecure { detail };
        }
        let Some(code) = error.status() else {
            // Before the final dot nothing but a client-side refusal is final; AUTH counts those as a login
            // problem, since a server's challenge that a mechanism does not know arrives as one.
            return match (error.is_client(), stage) {
                (true, Stage::Login) => Self::LoginRefused { detail },
                (true, Stage::Tls) => Self::Insecure { detail },
                (true, _) => Self::Unsendable { detail },
                (false, _) => Self::Network { stage, detail },
            };
        };
        Self::answered(stage, number(code), detail)
    }

    pub(super) fn unconnected(error: LookupError) -> Self {
        match error {
            LookupError::Forbidden => Self::Forbidden,
            LookupError::Io(error) => Self::Network { stage: Stage::Connect, detail: error.to_string() },
        }
    }

    /// The server's words without what it was told.
    pub(super) fn without(mut self, told: &Told) -> Self {
        match &mut self {
            Self::Network { detail, .. }
            | Self::Insecure { detail }
            | Self::Deferred { detail, .. }
            | Self::Refused { detail, .. }
            | Self::DailyLimit { detail }
            | Self::LoginRefused { detail }
            | Self::Ambiguous { detail }
            | Self::Unsendable { detail } => *detail = told.hide(detail),
            Self::Forbidden | Self::Timeout { .. } | Self::Overtaken => {}
        }
        self
    }

    /// Classifies a negative answer by its code, its enhanced code (RFC 3463) and where it came.
    fn answered(stage: Stage, code: u16, detail: String) -> Self {
        let enhanced = detail.split_whitespace().next().unwrap_or_default();
        match (code, enhanced, stage) {
            (550..=554, "5.4.5", _) => Self::DailyLimit { detail },
            (400..=499, _, _) => Self::Deferred { stage, code, detail },
            (530 | 534 | 535 | 538, _, _) | (500..=599, _, Stage::Login) => Self::LoginRefused { detail },
            // 521, 554 as a greeting: the server takes no mail at all at the moment; not the message's fault.
            (_, _, Stage::Connect | Stage::Tls) => Self::Network { stage, detail },
            (_, _, _) => Self::Refused { stage, code, detail },
        }
    }
}

fn number(code: Code) -> u16 {
    u16::from(code)
}

/// The server's own words, without lettre's prefix, bounded.
fn detail(error: &lettre::transport::smtp::Error) -> String {
    let text = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::{SmtpError, Stage};

    fn answered(stage: Stage, code: u16, detail: &str) -> SmtpError {
        SmtpError::answered(stage, code, detail.to_owned())
    }

    #[test]
    fn answers_are_classified_by_code_enhanced_code_and_stage() {
        let deferred = answered(Stage::Recipient, 450, "4.2.1 busy");
        assert!(matches!(deferred, SmtpError::Deferred { code: 450, .. }));
        let busy_login = answered(Stage::Login, 454, "4.7.0 temporary");
        assert!(matches!(busy_login, SmtpError::Deferred { .. }));
        let refused = answered(Stage::Recipient, 550, "5.1.1 no such user");
        assert!(matches!(refused, SmtpError::Refused { code: 550, .. }));
        let spent = answered(Stage::Content, 550, "5.4.5 Daily user sending limit exceeded");
        assert!(matches!(spent, SmtpError::DailyLimit { .. }));
        let wrong = answered(Stage::Login, 535, "5.7.8 not accepted");
        assert!(matches!(wrong, SmtpError::LoginRefused { .. }));
        let unauthenticated = answered(Stage::Mail, 530, "5.7.0 Authentication Required");
        assert!(matches!(unauthenticated, SmtpError::LoginRefused { .. }));
        let closed = answered(Stage::Connect, 554, "no SMTP service here");
        assert!(matches!(closed, SmtpError::Network { .. }));
    }
}
