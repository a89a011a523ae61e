//! What a failed call means. Google says it three times (`code`, `errors[].reason`, `status`), a proxy before it only once.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::Value;

use crate::providers::network::{self, BodyError};
use crate::providers::told::Told;
use crate::providers::transport::certificate_refused;

/// Google asks for exponential back-off from here on where it names no time.
const USUAL_WAIT: TimeDelta = TimeDelta::seconds(30);
/// No wait is believed to be longer than this.
const LONGEST_WAIT: TimeDelta = TimeDelta::days(2);

/// A failed call. [`in_doubt`](Self::in_doubt) tells whether it may have been carried out all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GmailError {
    /// 401: the access token is expired or revoked.
    #[error("Gmail does not accept the access token: {detail}")]
    Unauthorized { detail: String },
    /// The mailbox may not send through the API: a person has to change something there.
    #[error("Gmail does not let this mailbox send: {reason}: {detail}")]
    Forbidden { reason: String, detail: String },
    /// The API is not switched on for the project whose client this is: nothing of the mailbox's.
    #[error("the Gmail API is not available to this installation: {reason}: {detail}")]
    Unavailable { reason: String, detail: String },
    /// Too many calls in a short time.
    #[error("Gmail asks for fewer calls until {until}: {detail}")]
    RateLimited { until: DateTime<Utc>, detail: String },
    /// No more mail from this account today.
    #[error("the account's daily sending limit is reached: {detail}")]
    DailyLimit { detail: String },
    /// The message will never be taken.
    #[error("Gmail refused the message: {status} {reason}: {detail}")]
    Refused { status: u16, reason: String, detail: String },
    #[error("Gmail takes no message of {bytes} bytes")]
    TooLarge { bytes: usize },
    #[error("Gmail knows of no such thing: {detail}")]
    NotFound { detail: String },
    /// Another call changed the same thing at the same moment, or the reason of a refusal was lost.
    #[error("Gmail asks to try again: {status} {detail}")]
    Conflict { status: u16, detail: String },
    /// 5xx, 408, or an answer of something before Google.
    #[error("Gmail failed: {status} {detail}")]
    Server { status: u16, detail: String },
    /// The request was not written.
    #[error("Gmail cannot be reached: {detail}")]
    Unreachable { detail: String },
    /// Its certificate is not to be trusted: neither token nor message is shown to it.
    #[error("no trustworthy connection to Gmail: {detail}")]
    Insecure { detail: String },
    /// The request was written, and no whole answer came back.
    #[error("Gmail's answer was lost: {detail}")]
    AnswerLost { detail: String },
    /// It succeeded, and its answer is not to be understood.
    #[error("Gmail's answer is not to be understood: {detail}")]
    Malformed { detail: String },
}

impl GmailError {
    /// Whether the call may have been carried out.
    pub fn in_doubt(&self) -> bool {
        match self {
            Self::Server { .. } | Self::AnswerLost { .. } | Self::Malformed { .. } => true,
            Self::Unauthorized { .. }
            | Self::Forbidden { .. }
            | Self::Unavailable { .. }
            | Self::RateLimited { .. }
            | Self::DailyLimit { .. }
            | Self::Refused { .. }
            | Self::TooLarge { .. }
            | Self::NotFound { .. }
            | Self::Conflict { .. }
            | Self::Unreachable { .. }
            | Self::Insecure { .. } => false,
        }
    }

    /// Whether it may be a matter of the one thing that was asked for, and not of the mailbox or of Gmail as a whole.
    pub fn may_concern_one(&self) -> bool {
        match self {
            Self::Refused { .. }
            | Self::TooLarge { .. }
            | Self::NotFound { .. }
            | Self::Conflict { .. }
            | Self::Server { .. }
            | Self::AnswerLost { .. }
            | Self::Malformed { .. } => true,
            Self::Unauthorized { .. }
            | Self::Forbidden { .. }
            | Self::Unavailable { .. }
            | Self::RateLimited { .. }
            | Self::DailyLimit { .. }
            | Self::Unreachable { .. }
            | Self::Insecure { .. } => false,
        }
    }

    /// The URL stays out of the text: searches name addresses.
    pub(super) fn network(error: &reqwest::Error) -> Self {
        if let Some(detail) = certificate_refused(error) {
            return Self::Insecure { detail };
        }
        let detail = network::innermost(error);
        if error.is_connect() || error.is_builder() {
            Self::Unreachable { detail }
        } else {
            Self::AnswerLost { detail }
        }
    }

    pub(super) fn refused(status: u16, (headers, told): (&HeaderMap, &Told), body: &[u8], now: DateTime<Utc>) -> Self {
        let said = Said::of(body, told);
        let wait = || {
            let until = retry_after(headers, now).or_else(|| said.retry_at()).unwrap_or(now + USUAL_WAIT);
            until.clamp(now + TimeDelta::seconds(1), now + LONGEST_WAIT)
        };
        let Said { reason, status: name, message: detail } = &said;
        let (reason, detail) = (reason.clone(), detail.clone());
        match (status, reason.as_str(), name.as_str()) {
            (401, _, _) => Self::Unauthorized { detail },
            (_, "dailyLimitExceeded" | "dailyLimitExceededUnreg" | "quotaExceeded", _) => Self::DailyLimit { detail },
            (400 | 403 | 429, _, _) if said.is_sending_limit() => Self::DailyLimit { detail },
            (429, _, _) | (403, "userRateLimitExceeded" | "rateLimitExceeded" | "concurrentLimitExceeded", _) => {
                Self::RateLimited { until: wait(), detail }
            }
            (403, "accessNotConfigured" | "SERVICE_DISABLED" | "ipRefererBlocked", _) => {
                Self::Unavailable { reason, detail }
            }
            // Google names its reasons: a 403 without is the refusal of something before it, which knows nothing of the mailbox. After
            // a 408 the request may have been carried out.
            (403, "", "") | (408, _, _) => Self::Server { status, detail },
            (403, _, _) => Self::Forbidden { reason, detail },
            (400, "failedPrecondition", _) | (400, _, "FAILED_PRECONDITION") if said.is_no_mailbox() => {
                Self::Forbidden { reason, detail }
            }
            (404 | 410, _, _) => Self::NotFound { detail },
            (409 | 412 | 425, _, _) => Self::Conflict { status, detail },
            (400..=499, _, _) => Self::Refused { status, reason, detail },
            (_, _, _) => Self::Server { status, detail },
        }
    }
}

impl From<BodyError> for GmailError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLong { .. } => Self::Malformed { detail: error.to_string() },
            BodyError::Lost(error) => Self::network(&error),
        }
    }
}

/// What an error body says.
struct Said {
    reason: String,
    status: String,
    message: String,
}

impl Said {
    fn of(body: &[u8], told: &Told) -> Self {
        let parsed: Value = serde_json::from_slice(body).unwrap_or_default();
        let error = &parsed["error"];
        let text = |value: &Value| short(&told.hide(value.as_str().unwrap_or_default()));
        let reason = [&error["errors"][0]["reason"], &error["details"][0]["reason"], error];
        let reason = reason.into_iter().map(text).find(|text| !text.is_empty()).unwrap_or_default();
        let message = match text(&error["message"]) {
            message if message.is_empty() => "without a word that we understand".to_owned(),
            message => message,
        };
        Self { reason, status: text(&error["status"]), message }
    }

    /// The provider's limit on mail, as opposed to calls.
    fn is_sending_limit(&self) -> bool {
        let message = self.message.to_lowercase();
        message.contains("sending limit") || message.contains("sending quota")
    }

    fn is_no_mailbox(&self) -> bool {
        self.message.to_lowercase().contains("mail service not enabled")
    }

    /// `User-rate limit exceeded.  Retry after 2026-11-21T10:00:00.000Z`
    fn retry_at(&self) -> Option<DateTime<Utc>> {
        let (_, rest) = self.message.split_once("Retry after ")?;
        let text = rest.split_whitespace().next()?.trim_end_matches(['.', ')']);
        DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc())
    }
}

/// Bounded, on one line.
fn short(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}

/// Seconds or an HTTP date (RFC 9110 §10.2.3).
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        let wait = Duration::try_from_secs_f64(seconds).ok()?;
        return now.checked_add_signed(TimeDelta::from_std(wait).ok()?);
    }
    DateTime::parse_from_rfc2822(text).ok().map(|at| at.to_utc())
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};
    use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
    use serde_json::json;

    use super::{GmailError, Told};

    fn now() -> DateTime<Utc> {
        "2026-11-21T10:00:00Z".parse().unwrap()
    }

    fn said(status: u16, reason: &str, message: &str) -> GmailError {
        let body = json!({"error": {"code": status, "message": message, "errors": [{"reason": reason}]}});
        GmailError::refused(status, (&HeaderMap::new(), &Told::default()), body.to_string().as_bytes(), now())
    }

    #[test]
    fn reasons_are_told_apart() {
        assert!(matches!(said(401, "authError", "Invalid Credentials"), GmailError::Unauthorized { .. }));
        assert!(matches!(said(403, "domainPolicy", "disabled by the administrator"), GmailError::Forbidden { .. }));
        assert!(matches!(said(403, "insufficientPermissions", "scope"), GmailError::Forbidden { .. }));
        assert!(matches!(said(403, "accessNotConfigured", "switch it on"), GmailError::Unavailable { .. }));
        assert!(matches!(said(403, "dailyLimitExceeded", "Daily Limit Exceeded"), GmailError::DailyLimit { .. }));
        assert!(matches!(said(403, "userRateLimitExceeded", "slow"), GmailError::RateLimited { .. }));
        assert!(matches!(said(429, "rateLimitExceeded", "slow"), GmailError::RateLimited { .. }));
        let spent = "Daily user sending limit exceeded. For more information on Gmail sending limits …";
        assert!(matches!(said(429, "rateLimitExceeded", spent), GmailError::DailyLimit { .. }));
        assert!(matches!(said(400, "invalidArgument", "Invalid To header"), GmailError::Refused { .. }));
        assert!(matches!(said(400, "failedPrecondition", "Mail service not enabled"), GmailError::Forbidden { .. }));
        assert!(matches!(said(400, "failedPrecondition", "Precondition check failed."), GmailError::Refused { .. }));
        assert!(matches!(said(404, "notFound", "Requested entity was not found."), GmailError::NotFound { .. }));
        assert!(matches!(said(409, "aborted", "again"), GmailError::Conflict { .. }));
        let timeout = said(408, "requestTimeout", "Request Timeout");
        assert!(matches!(timeout, GmailError::Server { status: 408, .. }) && timeout.in_doubt());
        assert!(matches!(said(413, "uploadTooLarge", "large"), GmailError::Refused { .. }));
        assert!(matches!(said(503, "backendError", "Backend Error"), GmailError::Server { .. }));
    }

    #[test]
    fn bodies_of_others_are_judged_by_their_status() {
        let page = b"<html>Bad Gateway</html>";
        let of = |status| GmailError::refused(status, (&HeaderMap::new(), &Told::default()), page, now());
        assert!(matches!(of(502), GmailError::Server { .. }));
        assert!(matches!(of(401), GmailError::Unauthorized { .. }));
        assert!(matches!(of(429), GmailError::RateLimited { .. }));
        assert!(matches!(of(302), GmailError::Server { .. }));
        assert!(matches!(of(403), GmailError::Server { status: 403, .. }));
        let bare = br#"{"error": {"code": 403, "message": "no"}}"#;
        let bare = GmailError::refused(403, (&HeaderMap::new(), &Told::default()), bare, now());
        assert!(matches!(bare, GmailError::Server { status: 403, .. }));
        let named = br#"{"error": {"code": 403, "message": "no", "status": "PERMISSION_DENIED"}}"#;
        let named = GmailError::refused(403, (&HeaderMap::new(), &Told::default()), named, now());
        assert!(matches!(named, GmailError::Forbidden { .. }));
        let oauth = br#"{"error": "invalid_request"}"#;
        let refused = GmailError::refused(400, (&HeaderMap::new(), &Told::default()), oauth, now());
        assert!(matches!(refused, GmailError::Refused { ref reason, .. } if reason == "invalid_request"));
    }

    #[test]
    fn a_wait_is_what_google_says_within_reason() {
        let until = |error| match error {
            GmailError::RateLimited { until, .. } => until - now(),
            other => panic!("{other:?}"),
        };
        let message = "User-rate limit exceeded.  Retry after 2026-11-21T10:07:00.000Z";
        assert_eq!(until(said(429, "rateLimitExceeded", message)), TimeDelta::minutes(7));
        assert_eq!(until(said(429, "rateLimitExceeded", "slow")), TimeDelta::seconds(30));
        let far = "Retry after 2099-01-01T00:00:00Z";
        assert_eq!(until(said(403, "userRateLimitExceeded", far)), TimeDelta::days(2));
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static("90"));
        assert_eq!(until(GmailError::refused(429, (&headers, &Told::default()), b"", now())), TimeDelta::seconds(90));
    }
}
