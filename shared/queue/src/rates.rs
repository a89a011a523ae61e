//! Rate limits by key that all processes share: how often a caller, an address, an account may do something.
//!
//! A limit is a leaky bucket ([`RateLimit`], in its GCRA form) under a name of the caller's choice, one small key in Redis on
//! Redis's clock, which goes by itself when the bucket is full again. Checks that are made at the same time share a script call
//! per shard. A process that uses a limit often takes units ahead, never more than an eighth of what is left, and answers from
//! them without a call; it also remembers refusals, so that a flood costs Redis nothing. Units are always taken from Redis before
//! they are used, so all processes together never allow more than `burst + rate × time` from the first use on. Within a shorter
//! time, what was taken ahead and not yet used comes on top; it is given back after [`AHEAD_FOR`].

mod desk;
mod shelf;
mod wire;

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::{client::QueueClient, error::QueueError, scope::RateLimit};

pub(crate) use desk::Desks;

/// Most limits that one check may take from.
pub const MAX_LIMITS: usize = 4;
/// How long units that were taken ahead may be used.
pub const AHEAD_FOR: Duration = Duration::from_millis(200);

/// Whose limits they are: an address, an account, a tenant. All limits of a subject are in one shard, so one check may take from
/// several of them, and no two subjects share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RateSubject([u8; 32]);

impl RateSubject {
    /// The subject of this name. Only its hash is kept, here and in Redis.
    pub fn new(name: &str) -> Self {
        Self(Sha256::digest(name.as_bytes()).into())
    }

    /// Its limit of this name, to take `units` from. Ask for this once and keep it where the same check is made often.
    pub fn draw(&self, limit_name: &str, limit: RateLimit, units: u32) -> Draw {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(limit_name.as_bytes());
        let mut name = [0; 12];
        name.copy_from_slice(&hash.finalize()[..12]);
        Draw { name, limit, units }
    }
}

/// What a check takes from one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    name: [u8; 12],
    /// The limit.
    pub limit: RateLimit,
    /// How much; at most the limit's burst.
    pub units: u32,
}

/// The answer to a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    /// Whether all units were taken; if not, none was.
    pub allowed: bool,
    /// The limits as they are now, in the order of the draws.
    pub limits: Vec<LimitState>,
}

impl Allowance {
    /// How long until a repeat may be allowed; none if this one was.
    pub fn retry_after(&self) -> Option<Duration> {
        if self.allowed { None } else { self.limits.iter().map(|limit| limit.short_for).max() }
    }
}

/// How a limit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitState {
    /// Units that it gives at once when it is full.
    pub burst: u32,
    /// Units that it would give now.
    pub remaining: u32,
    /// Time until it is full again.
    pub full_in: Duration,
    /// Time until it has the units that were asked for; nothing if it has them.
    pub short_for: Duration,
}

impl QueueClient {
    /// Takes units from the limits of a subject, from all of them or from none.
    ///
    /// Fails soon, and takes nothing that is not given back in time, if Redis does not answer: what that means is the caller's to
    /// decide. A failed check is not repeated.
    pub async fn allow(&self, subject: &RateSubject, draws: &[Draw]) -> Result<Allowance, QueueError> {
        let invalid = |reason: &str| Err(QueueError::invalid("rate limit", reason));
        if draws.is_empty() || draws.len() > MAX_LIMITS {
            return invalid("a check takes from 1 to 4 limits");
        }
        for (place, draw) in draws.iter().enumerate() {
            draw.limit.check()?;
            if draw.units == 0 || draw.units > draw.limit.burst {
                return invalid("a check takes at least one unit and at most the burst");
            }
            if draws[..place].iter().any(|other| other.name == draw.name) {
                return invalid("a check takes from the same limit twice");
            }
        }
        let shard = u16::from_be_bytes([subject.0[0], subject.0[1]]) % self.shards();
        self.desks().check(shard, draws).await
    }
}
