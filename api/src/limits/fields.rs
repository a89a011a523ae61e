//! What answers say of limits: `RateLimit` and `RateLimit-Policy` as in the IETF's draft 10 of "`RateLimit` header fields for
//! HTTP", for all limits that were counted, and the three older fields, which clients know, for the tightest.

use std::fmt::Write as _;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use postrider_queue::{LimitState, RateLimit};

use super::Counted;

pub(super) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub(super) const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
pub(super) const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
pub(super) const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
pub(super) const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// A limit under the name by which it is told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Policy {
    name: &'static str,
    /// Seconds in which an empty limit is full again.
    window: u64,
}

impl Policy {
    pub(super) fn new(name: &'static str, rate: RateLimit) -> Self {
        let window = rate.per.as_secs_f64() * f64::from(rate.burst) / f64::from(rate.units.max(1));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 366 days, and positive")]
        Self { name, window: window.ceil() as u64 }
    }
}

fn seconds(state: &LimitState) -> u128 {
    state.full_in.as_millis().div_ceil(1000)
}

/// Adds them; what an earlier layer counted stays only if this one counted nothing.
pub(super) fn add(headers: &mut HeaderMap, counted: &Counted) {
    let (mut policies, mut limits) = (String::with_capacity(64), String::with_capacity(64));
    for (policy, state) in counted.policies.iter().zip(&counted.allowance.limits) {
        let comma = if policies.is_empty() { "" } else { ", " };
        let Policy { name, window } = policy;
        let _ = write!(policies, "{comma}\"{name}\";q={};w={window}", state.burst);
        let _ = write!(limits, "{comma}\"{name}\";r={};t={}", state.remaining, seconds(state));
    }
    let share = |state: &&LimitState| u64::from(state.remaining) * 1_000_000 / u64::from(state.burst.max(1));
    let Some(tightest) = counted.allowance.limits.iter().min_by_key(share) else { return };
    headers.insert(LIMIT, tightest.burst.into());
    headers.insert(REMAINING, tightest.remaining.into());
    headers.insert(RESET, u64::try_from(seconds(tightest)).unwrap_or(u64::MAX).into());
    for (name, text) in [(POLICY, policies), (RATE_LIMIT, limits)] {
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(name, value);
        }
    }
}
