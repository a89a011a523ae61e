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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use postrider_queue::Allowance;

    use super::*;

    #[test]
    fn all_limits_are_told_and_the_tightest_for_clients_that_know_one() {
        let rate = |units, seconds, burst| RateLimit { units, per: Duration::from_secs(seconds), burst };
        let state = |burst, remaining, millis| {
            let full_in = Duration::from_millis(millis);
            LimitState { burst, remaining, full_in, short_for: Duration::ZERO }
        };
        // Of the first a fifth is left, of the second a half, though that is less.
        let policies = vec![Policy::new("caller", rate(60, 60, 50)), Policy::new("reads", rate(1, 3_600, 2))];
        let limits = vec![state(50, 10, 39_001), state(2, 1, 3_600_000)];
        let mut headers = HeaderMap::new();
        headers.insert(LIMIT, HeaderValue::from_static("of an earlier layer"));
        add(&mut headers, &Counted { policies, allowance: Allowance { allowed: true, limits } });
        for (name, value) in [
            (POLICY, r#""caller";q=50;w=50, "reads";q=2;w=7200"#),
            (RATE_LIMIT, r#""caller";r=10;t=40, "reads";r=1;t=3600"#),
            (LIMIT, "50"),
            (REMAINING, "10"),
            (RESET, "40"),
        ] {
            assert_eq!(headers[&name], value, "{name}");
        }
        assert_eq!(headers.len(), 5);
    }
}
