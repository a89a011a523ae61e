//! Scopes whose books are to be brought up to date before they give anything.
//!
//! Redis may forget the last moments before its master died, and with them units that were used. So a shard's scopes are
//! closed when its master changes, and each is opened once it was told what the send ledger says:
//!
//! 1. it happens by itself when a replica becomes the master, before the first claim there (scopes without caps have nothing
//!    to forget, and go on), or [`close_scopes`](crate::QueueClient::close_scopes) does it, in one step for all of a shard;
//! 2. per scope [`restore_scope`](crate::QueueClient::restore_scope), in chunks;
//! 3. [`open_scope`](crate::QueueClient::open_scope) with the [`Closing`] that held when 2 began.
//!
//! Each step may be repeated, and may be taken by several processes at once: restoring never lowers a count, and a scope that
//! was closed again meanwhile is not opened by an older restoration.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::recipient::RecipientKey;

/// Which closing of a scope a restoration follows: its own, or that of all of its shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Closing(pub(crate) u64);

/// What a definition found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defined {
    /// Redis knew nothing of this scope: it is new, or was lost. What was used is what the definition's windows said; a moving
    /// window has to be told by [`restore_scope`](crate::QueueClient::restore_scope).
    pub fresh: bool,
    /// The scope is closed: it gives nothing until it is restored and opened.
    pub closed: Option<Closing>,
}

/// A fact from the books outside of Redis: what a scope has given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restored {
    /// At least so many sends were used in this calendar window, counting those in doubt and under way.
    Window {
        /// Its first instant, as in the definition.
        starts_at: DateTime<Utc>,
        /// First instant after it, as in the definition.
        ends_at: DateTime<Utc>,
        /// How many.
        used: u64,
    },
    /// At least so many sends were used in this millisecond, for moving windows: all of them that the books know, together.
    Sent {
        /// When.
        at: DateTime<Utc>,
        /// How many, at most 16 million.
        units: u32,
    },
    /// A unit was used for this recipient at this time.
    Recipient {
        /// Whom.
        recipient: RecipientKey,
        /// When, the latest that is known.
        at: DateTime<Utc>,
    },
}
