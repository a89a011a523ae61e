//! What a failed question means. Waiting is not an error of the job; a mail the model cannot read is for a person.

use async_openai::error::OpenAIError;
use chrono::{DateTime, TimeDelta, Utc};

use super::HttpFailure;

/// When a rate limit names no time.
const DEFAULT_PAUSE: TimeDelta = TimeDelta::seconds(20);
/// An exhausted quota or a refused key needs a person; until then this is how often we look.
const OPERATOR_PAUSE: TimeDelta = TimeDelta::minutes(10);
/// The longest a provider's Retry-After is taken at its word.
const LONGEST_PAUSE: TimeDelta = TimeDelta::hours(24);

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LlmError {
    /// Our own rate, or a pause that another job's answer began: no request was made.
    #[error("the language model is asked at most so often; the next time is {until}")]
    Busy { until: DateTime<Utc> },
    #[error("the language model limits the rate: {detail}")]
    RateLimited { until: DateTime<Utc>, detail: String },
    /// 429 `insufficient_quota`: nothing is answered until somebody pays.
    #[error("the language model's quota is used up: {detail}")]
    QuotaExhausted { until: DateTime<Utc>, detail: String },
    /// 401, 403, an unknown model: the configuration is wrong, not the mail.
    #[error("the language model's endpoint refuses our configuration (status {status}): {detail}")]
    Misconfigured { until: DateTime<Utc>, status: u16, detail: String },
    /// 400 and the like: this question is not accepted.
    #[error("the language model does not accept this mail (status {status}): {detail}")]
    Rejected { status: u16, detail: String },
    #[error("the language model's endpoint failed (status {status}): {detail}")]
    Server { status: u16, detail: String },
    #[error("the language model cannot be reached: {detail}")]
    Network { detail: String },
    #[error("the language model did not answer in time")]
    Timeout,
    #[error("the language model refused to answer: {reason}")]
    Refused { reason: String },
    #[error("the language model's answer was cut off")]
    Cut,
    #[error("the language model's answer is not JSON: {detail}")]
    Malformed { detail: String },
    #[error("the language model's answer does not fit the schema: {detail}")]
    NotInSchema { detail: String },
    #[error("the question could not be written: {detail}")]
    Request { detail: String },
}

impl LlmError {
    pub(super) fn of(error: OpenAIError, now: DateTime<Utc>) -> Self {
        match error {
            OpenAIError::Boxed(inner) => match inner.downcast::<HttpFailure>() {
                Ok(failure) => Self::of_http(*failure, now),
                Err(other) => Self::Network { detail: short(&other.to_string()) },
            },
            OpenAIError::Reqwest(error) if error.is_timeout() => Self::Timeout,
            OpenAIError::Reqwest(error) => Self::Network { detail: short(&error.without_url().to_string()) },
            OpenAIError::ApiError(error) => {
                Self::Server { status: error.status_code.as_u16(), detail: short(&error.api_error.message) }
            }
            OpenAIError::JSONDeserialize(error, _body) => Self::Malformed { detail: error.to_string() },
            OpenAIError::StreamError(error) => Self::Malformed { detail: short(&error.to_string()) },
            OpenAIError::FileSaveError(detail)
            | OpenAIError::FileReadError(detail)
            | OpenAIError::InvalidArgument(detail) => Self::Request { detail: short(&detail) },
        }
    }

    fn of_http(failure: HttpFailure, now: DateTime<Utc>) -> Self {
        match failure {
            HttpFailure::Status { status, kind, code, message, retry_after } => {
                let wait = retry_after.and_then(|wait| TimeDelta::from_std(wait).ok());
                let until = |default: TimeDelta| now + wait.unwrap_or(default).min(LONGEST_PAUSE);
                let quota = kind == "insufficient_quota" || code == "insufficient_quota";
                match status {
                    429 | 402 if quota => Self::QuotaExhausted { until: until(OPERATOR_PAUSE), detail: message },
                    402 => Self::QuotaExhausted { until: until(OPERATOR_PAUSE), detail: message },
                    // By itself more than the limit of a minute: no wait makes room for it.
                    429 if message.to_lowercase().contains("request too large") => {
                        Self::Rejected { status, detail: message }
                    }
                    429 => Self::RateLimited { until: until(DEFAULT_PAUSE), detail: message },
                    // Overloaded, with a time at which to come back.
                    503 if wait.is_some() => Self::RateLimited { until: until(DEFAULT_PAUSE), detail: message },
                    401 | 403 | 404 => Self::Misconfigured { until: until(OPERATOR_PAUSE), status, detail: message },
                    408 | 409 | 500..=599 => Self::Server { status, detail: message },
                    _ => Self::Rejected { status, detail: message },
                }
            }
            HttpFailure::Network { timeout: true, .. } => Self::Timeout,
            HttpFailure::Network { timeout: false, detail } => Self::Network { detail: short(&detail) },
            HttpFailure::TooLong => Self::Malformed { detail: "the response is too long".into() },
            HttpFailure::NotACompletion { detail } => Self::Malformed { detail: short(&detail) },
            HttpFailure::Unbuildable { detail } => Self::Request { detail: short(&detail) },
        }
    }

    /// Until when no job of this process should ask again.
    pub(super) fn closes_until(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::RateLimited { until, .. } | Self::QuotaExhausted { until, .. } => Some(*until),
            // A 403 may be about this mail only: guards before a model answer so what they do not let through.
            Self::Misconfigured { until, status, .. } => (*status != 403).then_some(*until),
            Self::Busy { .. }
            | Self::Rejected { .. }
            | Self::Server { .. }
            | Self::Network { .. }
            | Self::Timeout
            | Self::Refused { .. }
            | Self::Cut
            | Self::Malformed { .. }
            | Self::NotInSchema { .. }
            | Self::Request { .. } => None,
        }
    }
}

pub(super) fn short(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::{DateTime, TimeDelta, Utc};

    use super::super::HttpFailure;
    use super::LlmError;

    fn classified(status: u16, kind: &str, code: &str, retry_after: Option<u64>) -> LlmError {
        let failure = HttpFailure::Status {
            status,
            kind: kind.into(),
            code: code.into(),
            message: "m".into(),
            retry_after: retry_after.map(Duration::from_secs),
        };
        LlmError::of(failure.into(), now())
    }

    fn now() -> DateTime<Utc> {
        "2026-11-21T10:00:00Z".parse().unwrap()
    }

    #[test]
    fn statuses_are_told_apart_by_what_has_to_happen_next() {
        let limited = classified(429, "requests", "rate_limit_exceeded", Some(7));
        assert_eq!(limited.closes_until(), Some(now() + TimeDelta::seconds(7)));
        assert!(matches!(limited, LlmError::RateLimited { .. }));
        let failure = HttpFailure::Status {
            status: 429,
            kind: "tokens".into(),
            code: "rate_limit_exceeded".into(),
            message: "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 32811.".into(),
            retry_after: None,
        };
        assert!(matches!(LlmError::of(failure.into(), now()), LlmError::Rejected { status: 429, .. }));
        let spent = classified(429, "insufficient_quota", "", None);
        assert!(matches!(spent, LlmError::QuotaExhausted { .. }));
        assert!(matches!(classified(429, "", "insufficient_quota", None), LlmError::QuotaExhausted { .. }));
        assert!(matches!(classified(401, "", "invalid_api_key", None), LlmError::Misconfigured { status: 401, .. }));
        assert!(matches!(classified(400, "", "context_length_exceeded", None), LlmError::Rejected { status: 400, .. }));
        assert!(matches!(classified(500, "", "", None), LlmError::Server { status: 500, .. }));
        assert!(matches!(classified(503, "", "", None), LlmError::Server { status: 503, .. }));
        assert!(matches!(classified(503, "", "", Some(3)), LlmError::RateLimited { .. }));
    }

    #[test]
    fn a_retry_after_without_end_is_bounded() {
        let limited = classified(429, "", "", Some(10_000_000));
        assert_eq!(limited.closes_until(), Some(now() + TimeDelta::hours(24)));
    }
}
