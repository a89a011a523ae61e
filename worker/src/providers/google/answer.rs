//! Reading what Google's endpoints answer.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::GoogleError;
use crate::providers::told::Told;

pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, GoogleError> {
    // The error's place is enough; its text may repeat a token.
    serde_json::from_slice(body).map_err(|error| GoogleError::Malformed {
        detail: format!("no usable JSON at line {}, column {}", error.line(), error.column()),
    })
}

/// OAuth's errors are `{"error":"invalid_grant","error_description":…}` (RFC 6749 §5.2), the APIs' are
/// `{"error":{"code":401,"message":…,"status":…}}`.
pub(super) fn refused(status: u16, retry_after: Option<Duration>, body: &[u8], told: &Told) -> GoogleError {
    let parsed: Value = serde_json::from_slice(body).unwrap_or_default();
    let code = parsed["error"].as_str().or_else(|| parsed["error"]["status"].as_str()).unwrap_or_default();
    let words = parsed["error_description"].as_str().or_else(|| parsed["error"]["message"].as_str());
    let detail = match (code, words) {
        ("", None) => format!("status {status} without a reason"),
        (code, None) => short(&told.hide(code)),
        ("", Some(words)) => short(&told.hide(words)),
        (code, Some(words)) => short(&told.hide(&format!("{code}: {words}"))),
    };
    match (status, code) {
        (429, _) | (_, "rate_limit_exceeded" | "RESOURCE_EXHAUSTED") => {
            GoogleError::RateLimited { retry_after, detail }
        }
        (500..=599, _) | (_, "temporarily_unavailable" | "internal_failure") => {
            GoogleError::Server { status, retry_after, detail }
        }
        (_, "invalid_grant") => GoogleError::InvalidGrant { detail },
        (
            _,
            "invalid_client"
            | "unauthorized_client"
            | "deleted_client"
            | "disabled_client"
            | "redirect_uri_mismatch"
            | "org_internal",
        ) => GoogleError::Misconfigured { detail },
        (401, _) => GoogleError::Unauthorized { detail },
        _ => GoogleError::Rejected { status, detail },
    }
}

fn short(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}

/// Seconds or an HTTP date (RFC 9110 §10.2.3).
pub(super) fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    (DateTime::parse_from_rfc2822(text).ok()?.to_utc() - now).to_std().ok()
}

#[cfg(test)]
mod tests {
    use super::{GoogleError, Told, parse, refused};

    fn oauth(status: u16, error: &str) -> GoogleError {
        refused(
            status,
            None,
            format!(r#"{{"error":"{error}","error_description":"Because."}}"#).as_bytes(),
            &Told::default(),
        )
    }

    #[test]
    fn whose_fault_an_error_is_decides_what_it_means() {
        assert!(matches!(oauth(400, "invalid_grant"), GoogleError::InvalidGrant { .. }));
        assert!(matches!(oauth(401, "invalid_client"), GoogleError::Misconfigured { .. }));
        assert!(matches!(oauth(403, "org_internal"), GoogleError::Misconfigured { .. }));
        assert!(
            matches!(oauth(503, "invalid_grant"), GoogleError::Server { .. }),
            "a status of 5xx is not the grant's"
        );
        assert!(matches!(oauth(429, "rate_limit_exceeded"), GoogleError::RateLimited { .. }));
        assert!(matches!(oauth(400, "invalid_request"), GoogleError::Rejected { .. }));
        let api = br#"{"error":{"code":401,"message":"Invalid Credentials","status":"UNAUTHENTICATED"}}"#;
        let GoogleError::Unauthorized { detail } = refused(401, None, api, &Told::default()) else {
            panic!("not unauthorized")
        };
        assert_eq!(detail, "UNAUTHENTICATED: Invalid Credentials");
        assert!(matches!(refused(502, None, b"<html>", &Told::default()), GoogleError::Server { status: 502, .. }));
    }

    #[test]
    fn a_broken_answer_is_not_repeated_in_the_error() {
        let error = parse::<super::super::Profile>(br#"{"access_token":"ya29.secret"#).unwrap_err();
        assert!(!error.to_string().contains("ya29"), "{error}");
    }
}
