//! What can go wrong between a caller and the queue, and whether trying again can help.

/// The one error of this crate. Each variant names its cause in words an operator can act on.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The connection failed, timed out or was refused; whether the call was carried out may be unknown.
    #[error("Redis cannot be reached: {0}")]
    Unreachable(#[source] redis::RedisError),
    /// Redis answered with an error that repeating will not mend.
    #[error("Redis refused the call: {0}")]
    Refused(#[source] redis::RedisError),
    /// Redis has reached `maxmemory`: new jobs are refused, running ones can still be finished.
    #[error("the queue is full: Redis has reached maxmemory")]
    Full,
    /// A Redis setting would lose jobs.
    #[error("Redis setting `{setting}` is `{found}`, but the queue needs {wanted}")]
    Setting {
        /// Name as in `redis.conf`.
        setting: &'static str,
        /// Value the server reported.
        found: String,
        /// What is accepted, in words.
        wanted: &'static str,
    },
    /// The queue in this Redis was installed with another number of shards, which is fixed for its life.
    #[error("this Redis holds a queue of {recorded} shards, but {configured} are configured")]
    Shards {
        /// Number recorded at installation.
        recorded: u16,
        /// Number in this process's configuration.
        configured: u16,
    },
    /// The queue in this Redis speaks another protocol version.
    #[error("this Redis holds a queue of protocol version {found}, but this program speaks {wanted}")]
    Protocol {
        /// Version recorded in Redis.
        found: String,
        /// Version of this crate.
        wanted: u8,
    },
    /// The configured servers are not the ones that hold this queue.
    #[error("{0}")]
    Servers(String),
    /// An argument was refused before anything was sent.
    #[error("{what}: {reason}")]
    Invalid {
        /// The argument, in words.
        what: &'static str,
        /// Why it was refused.
        reason: String,
    },
    /// A record or answer in Redis could not be read.
    #[error("unreadable data in the queue: {0}")]
    Corrupt(String),
    /// The lease was lost: somebody else may run the job.
    #[error("the lease was lost")]
    LeaseLost,
    /// The client or session has been closed.
    #[error("the queue client is closed")]
    Closed,
}

impl QueueError {
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Full => true,
            Self::Refused(_)
            | Self::Setting { .. }
            | Self::Shards { .. }
            | Self::Protocol { .. }
            | Self::Servers(_)
            | Self::Invalid { .. }
            | Self::Corrupt(_)
            | Self::LeaseLost
            | Self::Closed => false,
        }
    }

    /// The same error for each caller who shared a round trip.
    pub(crate) fn copy(&self) -> Self {
        match self {
            Self::Unreachable(cause) => Self::Unreachable(cause.clone()),
            Self::Refused(cause) => Self::Refused(cause.clone()),
            Self::Full => Self::Full,
            Self::Setting { setting, found, wanted } => Self::Setting { setting, found: found.clone(), wanted },
            Self::Shards { recorded, configured } => Self::Shards { recorded: *recorded, configured: *configured },
            Self::Protocol { found, wanted } => Self::Protocol { found: found.clone(), wanted: *wanted },
            Self::Servers(what) => Self::Servers(what.clone()),
            Self::Invalid { what, reason } => Self::Invalid { what, reason: reason.clone() },
            Self::Corrupt(what) => Self::Corrupt(what.clone()),
            Self::LeaseLost => Self::LeaseLost,
            Self::Closed => Self::Closed,
        }
    }

    pub(crate) fn invalid(what: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid { what, reason: reason.into() }
    }
}

/// Codes of answers a server gives while it restarts, fails over or loads its data.
const PASSING_CODES: &[&str] =
    &["LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "READONLY", "NOREPLICAS", "MISCONF", "NOSCRIPT"];

impl From<redis::RedisError> for QueueError {
    fn from(error: redis::RedisError) -> Self {
        let code = error.code().unwrap_or_default();
        if code == "OOM" {
            Self::Full
        } else if error.is_io_error()
            || error.is_timeout()
            || error.is_connection_dropped()
            || error.is_connection_refusal()
            || PASSING_CODES.contains(&code)
        {
            Self::Unreachable(error)
        } else {
            Self::Refused(error)
        }
    }
}
