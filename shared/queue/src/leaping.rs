//! A redis-server whose clock leaps, for tests within the crate.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{client::QueueClient, config::QueueConfig};

/// Ends with its value.
pub(crate) struct Server {
    dir: tempfile::TempDir,
    child: Child,
    port: u16,
}

impl Server {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        show(dir.path(), "+0");
        let machine = std::env::consts::ARCH;
        // The C library goes first, because jemalloc asks for the time before libfaketime is ready.
        let preload =
            format!("/usr/lib/{machine}-linux-gnu/faketime/libfaketimeMT.so.1:/lib/{machine}-linux-gnu/libc.so.6");
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"])
            .args(["--appendfsync", "no", "--maxmemory", "1gb", "--maxmemory-policy", "noeviction"])
            .args(["--dir", &dir.path().display().to_string()])
            .envs([("LD_PRELOAD", preload.as_str()), ("FAKETIME_NO_CACHE", "1"), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")])
            .env("FAKETIME_TIMESTAMP_FILE", dir.path().join("clock"))
            .env("TZ", "UTC")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        Self { dir, child, port }
    }

    /// A client of a queue with one shard.
    pub(crate) async fn client(&self) -> QueueClient {
        let started = Instant::now();
        loop {
            let config = QueueConfig::new(format!("redis://127.0.0.1:{}", self.port)).shards(1);
            match QueueClient::connect(config).await {
                Ok(client) => return client,
                Err(error) => assert!(started.elapsed() < Duration::from_secs(20), "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// From now on the clock is so many milliseconds ahead.
    pub(crate) fn leap(&self, ahead: u64) {
        show(self.dir.path(), &format!("+{}.{:03}", ahead / 1000, ahead % 1000));
    }

    /// The clock stands still at this time, such as `2026-01-01 00:00:00`.
    pub(crate) fn stand_still(&self, at: &str) {
        show(self.dir.path(), at);
    }
}

fn show(dir: &Path, time: &str) {
    std::fs::write(dir.join("clock.next"), format!("{time}\n")).unwrap();
    std::fs::rename(dir.join("clock.next"), dir.join("clock")).unwrap(); // never half a time
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
