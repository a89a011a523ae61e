//! The sandbox's one look at the time. It is an outside witness, so it reads the machine's clock, not the product's.

use chrono::{DateTime, SubsecRound, Utc};

/// Now, in UTC, cut to microseconds: the resolution of every record here.
#[expect(
    clippy::disallowed_methods,
    reason = "the sandbox stands for outside services, whose clocks are not the product's"
)]
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}
