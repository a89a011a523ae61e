//! A Redis of the test's own. It listens at a socket in its folder: a port that was free a moment ago may be somebody else's.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use postrider_queue::{QueueClient, QueueConfig};
use tempfile::TempDir;

pub(super) struct Redis {
    url: String,
    process: Child,
    _folder: TempDir,
}

impl Redis {
    pub(super) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("redis.sock");
        let process = Command::new("redis-server")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/redis.conf"))
            .args(["--port", "0", "--unixsocket"])
            .arg(&socket)
            .arg("--dir")
            .arg(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { url: format!("redis+unix://{}", socket.display()), process, _folder: folder }
    }

    pub(super) async fn client(&self) -> QueueClient {
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        loop {
            match QueueClient::connect(QueueConfig::new(self.url.clone())).await {
                Ok(client) => return client,
                Err(error) => assert!(std::time::Instant::now() < deadline, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
