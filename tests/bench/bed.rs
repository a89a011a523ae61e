//! A private Redis with `deploy/redis.conf`, or several.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use postrider_queue::QueueClient;
use postrider_tests::RedisServer;
use postrider_tests::wait::within;
use tempfile::TempDir;

use crate::contestant::connect;

pub struct Bed {
    pub redis: RedisServer,
    /// Further servers, over which the engine spreads its shards.
    others: Vec<RedisServer>,
    folder: TempDir,
}

impl Bed {
    /// `appendfsync` as given, or as `deploy/redis.conf` says.
    pub async fn start(appendfsync: Option<&str>) -> Self {
        Self::of_servers(1, appendfsync).await
    }

    pub async fn of_servers(servers: usize, appendfsync: Option<&str>) -> Self {
        let folder = tempfile::tempdir().expect("make a folder");
        // A backlog of a million must fit in, with any contestant.
        let mut settings = vec!["--maxmemory", "4gb"];
        if let Some(sync) = appendfsync {
            settings.extend(["--appendfsync", sync]);
        }
        let redis = RedisServer::start_with(folder.path(), None, &settings).await;
        let mut others = Vec::new();
        for number in 1..servers {
            let place = folder.path().join(number.to_string());
            others.push(RedisServer::start_with(&place, None, &settings).await);
        }
        Self { redis, others, folder }
    }

    /// The addresses of all servers, as the engine takes them.
    pub fn url(&self) -> String {
        let urls: Vec<String> = std::iter::once(&self.redis).chain(&self.others).map(RedisServer::url).collect();
        urls.join(",")
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub async fn client(&self) -> QueueClient {
        connect(&self.url()).await
    }

    /// Waits until no rewrite of the log goes on in the background: a measurement starts in quiet.
    pub async fn quiet(&self) {
        within(Duration::from_mins(2), "the rewrite of the log to end", || async {
            let info = self.info("persistence").await;
            let busy = ["aof_rewrite_in_progress", "aof_rewrite_scheduled", "aof_pending_bio_fsync"];
            busy.iter().all(|name| info.get(*name).is_none_or(|value| value == "0")).then_some(())
        })
        .await;
    }

    /// Has the log written anew, and waits for it. Redis does so by itself whenever the log has doubled, which is a matter of how
    /// many bytes came before: it would burden one measurement in its midst and spare another.
    pub async fn rewrite_log(&self) {
        let mut redis = self.redis.connection().await;
        // Refused while one goes on already, which serves as well.
        let _ = redis::cmd("BGREWRITEAOF").exec_async(&mut redis).await;
        self.quiet().await;
    }

    /// Bytes in Redis's hands, without what its allocator keeps in reserve.
    pub async fn used_memory(&self) -> f64 {
        self.info("memory").await["used_memory"].parse().expect("a number")
    }

    pub async fn info(&self, section: &str) -> HashMap<String, String> {
        let mut redis = self.redis.connection().await;
        let info = redis::cmd("INFO").arg(section).query_async::<String>(&mut redis).await.expect("INFO");
        let pair = |line: &str| line.split_once(':').map(|(name, value)| (name.to_owned(), value.to_owned()));
        info.lines().filter_map(pair).collect()
    }

    /// More memory than the few GB that all else has.
    pub async fn allow_memory(&self, bytes: usize) {
        let mut redis = self.redis.connection().await;
        redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(bytes).exec_async(&mut redis).await.expect("CONFIG SET");
    }

    pub async fn reset_statistics(&self) {
        let mut redis = self.redis.connection().await;
        redis::cmd("CONFIG").arg("RESETSTAT").exec_async(&mut redis).await.expect("CONFIG RESETSTAT");
    }
}

pub fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

pub fn rate(count: usize, took: Duration) -> f64 {
    number(count) / took.as_secs_f64()
}
