//! What can go wrong between a caller and the queue, and whether trying again can help.

use std::time::Duration;

use crate::job::NewJob;

/// What is wrong with jobs of kinds for which a shard has no number left.
const NEW_KINDS: &str = "job kind";

/// Calls that are made for ever are repeated at this distance while there is no answer.
const REPEAT_AFTER: Duration = Duration::from_millis(100);
/// What a person has to mend is tried again at this one.
const REFUSED_AFTER: Duration = Duration::from_secs(1);

/// The one error of this crate. Each variant names its cause in words an operator can act on.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The connection failed, timed out or was refused; whether the call was carried out may be unknown.
    #[error("{}", unreachable(.0))]
    Unreachable(#[source] redis::RedisError),
    /// Redis answered with an error that repeating will not mend.
    #[error("Redis refused the call: {0}")]
    Refused(#[source] redis::RedisError),
    /// Redis's memory is nearly or wholly used up: new jobs are refused, those inside can still be finished.
    #[error(
        "the queue is full: Redis's `maxmemory` is nearly used up (new jobs are taken below QUEUE_MEMORY_PERCENT of it)"
    )]
    Full,
    /// So many jobs wait in this queue already: new ones are refused until some have been taken.
    #[error("queue {queue} is too deep: {waiting} jobs wait where {limit} may (QUEUE_DEPTH_LIMITS)")]
    TooDeep {
        /// The queue.
        queue: String,
        /// Jobs that wait in the shard of the job's tenant.
        waiting: u64,
        /// How many may.
        limit: u64,
    },
    /// A Redis setting would lose jobs.
    #[error("Redis at {server} (REDIS_URL): `{setting}` is `{found}`, but the queue needs {wanted}")]
    Setting {
        /// Where the server is, without user and password.
        server: String,
        /// Name as in `redis.conf`.
        setting: &'static str,
        /// Value the server reported.
        found: String,
        /// What is accepted, in words.
        wanted: &'static str,
    },
    /// The queue in this Redis was installed with another number of shards, which is fixed for its life.
    #[error(
        "this Redis holds a queue of {recorded} shards, which it keeps: QUEUE_SHARDS must be {recorded}, not {configured}"
    )]
    Shards {
        /// Number recorded at installation.
        recorded: u16,
        /// Number in this process's configuration.
        configured: u16,
    },
    /// The queue in this Redis speaks a newer protocol version.
    #[error(
        "this Redis holds a queue of protocol version {found}, but this program speaks {wanted}: start a newer one"
    )]
    Protocol {
        /// Version recorded in Redis.
        found: String,
        /// Version of this crate.
        wanted: u8,
    },
    /// The configured servers are not the ones that hold this queue.
    #[error("{0}")]
    Servers(String),
    /// An argument was refused, and nothing was done.
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
            Self::Unreachable(_) | Self::Full | Self::TooDeep { .. } => true,
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

    /// How long to wait before trying again, if trying again can help: room comes back as workers finish jobs, which takes
    /// longer than a connection.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Full | Self::TooDeep { .. } => Some(Duration::from_secs(5)),
            error => error.is_transient().then_some(Duration::from_secs(1)),
        }
    }

    /// How long to wait before a call is repeated that is made for ever.
    pub(crate) fn repeat_after(&self) -> Duration {
        if self.is_transient() { REPEAT_AFTER } else { REFUSED_AFTER }
    }

    /// Whether this job is why a call was refused, as far as the error tells.
    pub(crate) fn is_about(&self, job: &NewJob) -> bool {
        match self {
            Self::TooDeep { queue, .. } => job.queue.as_str() == queue,
            Self::Invalid { what: NEW_KINDS, reason } => {
                let kinds = reason.split(':').next().unwrap_or_default();
                kinds.split(", ").any(|kind| kind == job.kind.as_str())
            }
            _ => true,
        }
    }

    /// The same error for each caller who shared a round trip.
    pub(crate) fn copy(&self) -> Self {
        match self {
            Self::Unreachable(cause) => Self::Unreachable(cause.clone()),
            Self::Refused(cause) => Self::Refused(cause.clone()),
            Self::Full => Self::Full,
            Self::TooDeep { queue, waiting, limit } => {
                Self::TooDeep { queue: queue.clone(), waiting: *waiting, limit: *limit }
            }
            Self::Setting { server, setting, found, wanted } => {
                Self::Setting { server: server.clone(), setting, found: found.clone(), wanted }
            }
            Self::Shards { recorded, configured } => Self::Shards { recorded: *recorded, configured: *configured },
            Self::Protocol { found, wanted } => Self::Protocol { found: found.clone(), wanted: *wanted },
            Self::Servers(what) => Self::Servers(what.clone()),
            Self::Invalid { what, reason } => Self::Invalid { what, reason: reason.clone() },
            Self::Corrupt(what) => Self::Corrupt(what.clone()),
            Self::LeaseLost => Self::LeaseLost,
            Self::Closed => Self::Closed,
        }
    }

    /// Whether the server is there and will answer by itself as soon as it has read its data.
    pub(crate) fn is_loading(&self) -> bool {
        matches!(self, Self::Unreachable(cause) if cause.code() == Some("LOADING"))
    }

    pub(crate) fn invalid(what: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid { what, reason: reason.into() }
    }
}

/// What keeps the server from its work, and which setting that is about.
fn unreachable(cause: &redis::RedisError) -> String {
    let reason = match cause.code().unwrap_or_default() {
        _ if is_crowded(cause) => "it has as many connections as its `maxclients` allows",
        "LOADING" => "it is still loading its data",
        "BUSY" => "a script that is not the queue's has run for longer than its `busy-reply-threshold`",
        "UNBLOCKED" => "it has just become a replica (`replicaof`)",
        "READONLY" => "it is a read-only replica (`replicaof`), and REDIS_URL must name the master",
        "MASTERDOWN" => "it is a replica that has lost its master (`replicaof`)",
        "NOREPLICAS" => "fewer replicas than its `min-replicas-to-write` follow it",
        "MISCONF" => "it cannot write to its disk (`dir`)",
        "CLUSTERDOWN" => "its cluster has no master for some slots",
        "MOVED" | "ASK" => "the node of its cluster that holds the slot is away",
        _ => return format!("Redis cannot be reached: {cause}"),
    };
    format!("Redis takes no calls now: {reason} ({cause})")
}

/// Codes of answers a server gives while it restarts, fails over or loads its data, or a shard is on its way to another. The
/// last two come through when the node of a cluster that others name for the slot is away.
const PASSING_CODES: &[&str] = &[
    "LOADING",
    "BUSY",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "READONLY",
    "UNBLOCKED",
    "NOREPLICAS",
    "MISCONF",
    "NOSCRIPT",
    "SHARDMOVED",
    "SHARDMOVING",
    "MOVED",
    "ASK",
];

impl From<redis::RedisError> for QueueError {
    fn from(error: redis::RedisError) -> Self {
        let code = error.code().unwrap_or_default();
        if code == "OOM" || code == "QUEUEFULL" {
            Self::Full
        } else if code == "NEWKINDS" {
            let kinds = error.detail().unwrap_or_default().replace(' ', ", ");
            Self::invalid(NEW_KINDS, format!("{kinds}: the shard knows 65,535 kinds of jobs, and takes no new ones"))
        } else if let Some(deep) = (code == "QUEUEDEEP").then(|| too_deep(error.detail().unwrap_or_default())).flatten()
        {
            deep
        } else if error.is_io_error()
            || error.is_timeout()
            || error.is_connection_dropped()
            || error.is_connection_refusal()
            || no_master_now(&error)
            || is_crowded(&error)
            || PASSING_CODES.contains(&code)
        {
            Self::Unreachable(error)
        } else {
            Self::Refused(error)
        }
    }
}

/// Sentinels know no working master while they choose the next one.
pub(crate) fn no_master_now(error: &redis::RedisError) -> bool {
    error.kind() == redis::ErrorKind::MasterNameNotFoundBySentinel
}

/// A server that has no place for another connection says so in an error without a code of its own.
fn is_crowded(error: &redis::RedisError) -> bool {
    error.code() == Some("ERR") && error.detail().is_some_and(|text| text.starts_with("max number of clients reached"))
}

/// Reads `queue waiting limit`.
fn too_deep(text: &str) -> Option<QueueError> {
    let mut words = text.split(' ');
    let queue = words.next()?.to_owned();
    Some(QueueError::TooDeep { queue, waiting: words.next()?.parse().ok()?, limit: words.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use redis::{ErrorKind, RedisError, parse_redis_value};

    use super::QueueError;

    #[test]
    fn what_passes_by_itself_is_transient() {
        let choosing = RedisError::from((ErrorKind::MasterNameNotFoundBySentinel, "no master"));
        assert!(QueueError::from(choosing).is_transient());
        let elsewhere = parse_redis_value(b"-MOVED 866 127.0.0.1:7002\r\n").unwrap().extract_error().unwrap_err();
        assert!(QueueError::from(elsewhere).is_transient());
        let crowded =
            parse_redis_value(b"-ERR max number of clients reached\r\n").unwrap().extract_error().unwrap_err();
        let crowded = QueueError::from(crowded);
        assert!(crowded.is_transient() && crowded.to_string().contains("`maxclients`"), "{crowded}");
        let wrong = RedisError::from((ErrorKind::AuthenticationFailed, "wrong password"));
        assert!(!QueueError::from(wrong).is_transient());
    }
}
