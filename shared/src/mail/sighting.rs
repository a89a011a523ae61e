use chrono::{DateTime, Utc};

/// What a listing can tell of a mail without fetching it. Two mails of one mailbox that agree in all of it are one and the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sighting {
    /// INTERNALDATE, in whole seconds since 1970.
    pub received_at: i64,
    pub size: i64,
    /// Without angle brackets. A mail without one is never told by a listing.
    pub rfc_message_id: String,
}

impl Sighting {
    pub(super) fn of((received_at, size, id): (DateTime<Utc>, i64, Option<String>)) -> Self {
        Self { received_at: received_at.timestamp(), size, rfc_message_id: id.unwrap_or_default() }
    }
}
