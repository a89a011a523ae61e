//! Jobs of a kind that no worker of this process knows.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Settling, Token};
use crate::record::JobRecord;

/// A kind that nobody here knows may be known by a newer worker that is starting: asked again at this distance…
const SNOOZE: TimeDelta = TimeDelta::seconds(10);
/// …so many times.
const SNOOZES: u32 = 60;

/// Puts a job of such a kind off, or buries it in the end.
pub(super) fn settle(record: &JobRecord, token: Token, now: DateTime<Utc>) -> Settling {
    let reason = format!("no worker knows the kind {}", record.kind);
    if record.snoozes >= SNOOZES {
        Settling::bury(record.id, record.epoch, token, reason)
    } else {
        Settling::snooze(record.id, record.epoch, token, now + SNOOZE, reason)
    }
}
