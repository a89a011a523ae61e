//! Where things are kept: the database, Redis, files, and the keys for secrets.

use std::fmt;

use postrider_queue::{DepthLimits, QueueConfig, QueueName};

use super::{Reader, Section};
use crate::seal::KeyRing;

/// A URL that may hold a password: shown without it.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectionUrl(String);

impl ConnectionUrl {
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// The whole URL, with its password.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ConnectionUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.0.split_once(':').map_or("", |(scheme, _)| scheme);
        write!(f, "{scheme}://…")
    }
}

/// Which database, and how many connections to it.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    pub url: ConnectionUrl,
    pub max_connections: u32,
}

impl DatabaseConfig {
    /// The usual settings for a URL.
    pub fn at(url: impl Into<String>) -> Self {
        Self { url: ConnectionUrl::new(url), max_connections: 16 }
    }
}

impl Section for DatabaseConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let url = url(reader, "DATABASE_URL", &["sqlite:", "postgres://", "postgresql://"]);
        // The driver would tell the whole of what it cannot parse, with the password, and be asked again and again.
        let url = url.and_then(|url| match url::Url::parse(url.as_str()) {
            Ok(_) => Some(url),
            Err(error) => {
                let escapes = "in a password : / ? # [ ] @ and % are written as %3A %2F %3F %23 %5B %5D %40 and %25";
                reader.problem("DATABASE_URL", format_args!("is not a URL ({error}); {escapes}"));
                None
            }
        });
        let max_connections = reader.number("DATABASE_MAX_CONNECTIONS", 1..=1_000);
        Some(Self { url: url?, max_connections: max_connections? })
    }
}

/// Which Redis holds the queue.
#[derive(Debug, Clone)]
pub struct RedisConfig {
    pub url: ConnectionUrl,
    /// Fixed for an installation; the queue engine refuses another number.
    pub shards: u16,
    /// Replicas that must have confirmed a job before it counts as accepted.
    pub replicas: u32,
    /// Percent of `maxmemory` above which no new jobs are taken.
    pub memory_percent: u8,
}

impl RedisConfig {
    /// The same as the queue engine wants it.
    pub fn queue(&self) -> QueueConfig {
        QueueConfig::new(self.url.as_str())
            .shards(self.shards)
            .replicas(self.replicas)
            .memory_percent(self.memory_percent)
    }
}

/// How the address of a queue may begin: one server or several, a Sentinel's master, a cluster; with TLS or without.
const REDIS_STARTS: &[&str] = &[
    "redis://",
    "rediss://",
    "unix://",
    "redis+unix://",
    "redis+sentinel://",
    "rediss+sentinel://",
    "redis+cluster://",
    "rediss+cluster://",
];

impl Section for RedisConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let url = url(reader, "REDIS_URL", REDIS_STARTS);
        let shards = reader.number("QUEUE_SHARDS", 1..=1_024);
        let replicas = reader.number("REDIS_REPLICAS", 0..=10);
        let memory_percent = reader.number("QUEUE_MEMORY_PERCENT", 1..=100);
        Some(Self { url: url?, shards: shards?, replicas: replicas?, memory_percent: memory_percent? })
    }
}

/// How many jobs may wait in each queue.
#[derive(Debug, Clone)]
pub struct DepthConfig {
    pub limits: DepthLimits,
}

impl Section for DepthConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut limits = DepthLimits::NONE;
        let text = reader.text("QUEUE_DEPTH_LIMITS").unwrap_or_default();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let pair = entry.split_once('=').map(|(queue, limit)| (queue.trim(), limit.trim().parse()));
            match pair {
                Some(("*", Ok(limit))) => limits.every = Some(limit),
                Some((queue, Ok(limit))) => match QueueName::parse(queue) {
                    Ok(queue) => limits.queues.push((queue, limit)),
                    Err(error) => reader.problem("QUEUE_DEPTH_LIMITS", error),
                },
                Some((_, Err(_))) | None => {
                    reader.problem("QUEUE_DEPTH_LIMITS", "must be like email=100000,*=1000000");
                }
            }
        }
        Some(Self { limits })
    }
}

/// The keys that seal provider secrets.
#[derive(Debug, Clone)]
pub struct KeysConfig {
    pub keys: KeyRing,
}

impl Section for KeysConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text("SECRET_KEYS")?;
        match KeyRing::parse(&text) {
            Ok(keys) => Some(Self { keys }),
            Err(error) => {
                reader.problem("SECRET_KEYS", error);
                None
            }
        }
    }
}

/// Where raw mail and PDFs are kept.
#[derive(Debug, Clone)]
pub struct ObjectsConfig {
    pub url: ConnectionUrl,
}

impl ObjectsConfig {
    /// The store at a URL.
    pub fn at(url: impl Into<String>) -> Self {
        Self { url: ConnectionUrl::new(url) }
    }
}

impl Section for ObjectsConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let url = url(reader, "OBJECT_STORE_URL", &["file:///", "memory:///"])?;
        Some(Self { url })
    }
}

fn url(reader: &mut Reader<'_>, name: &str, starts: &[&str]) -> Option<ConnectionUrl> {
    let text = reader.text(name)?;
    if starts.iter().any(|start| text.starts_with(start)) {
        return Some(ConnectionUrl(text));
    }
    reader.problem(name, format!("must start with {}", starts.join(" or ")));
    None
}
