//! A Redis and jobs to put into it.

use std::time::Duration;

use postrider_queue::{NewJob, QueueClient, QueueConfig, Tenant};
use postrider_shared::jobs::diagnostic::DiagnosticEcho;
use postrider_tests::RedisServer;
use tempfile::TempDir;

/// A private Redis with `deploy/redis.conf`.
pub struct Bed {
    pub redis: RedisServer,
    _folder: TempDir,
}

impl Bed {
    pub async fn start(appendfsync: Option<&str>) -> Self {
        let folder = tempfile::tempdir().expect("make a folder");
        let mut settings = Vec::new();
        if let Some(sync) = appendfsync {
            settings.extend(["--appendfsync", sync]);
        }
        let redis = RedisServer::start_with(folder.path(), None, &settings).await;
        Self { redis, _folder: folder }
    }

    pub async fn client(&self) -> QueueClient {
        QueueClient::connect(QueueConfig::new(self.redis.url())).await.expect("connect to the queue")
    }
}

/// About 200 bytes of JSON.
pub const TEXT: &str = "A quote request of some length: two banners, three metres by one, and a sign of stainless steel, \
                        brushed, 400 by 300 millimetres, to be delivered before the end of the month if possible.";

pub fn tenant() -> Tenant {
    Tenant::parse("bench").expect("a tenant's name")
}

pub fn echo(number: usize) -> NewJob {
    let job = DiagnosticEcho { data: serde_json::json!({ "number": number, "text": TEXT }), lane: None };
    NewJob::of(tenant(), &job).expect("a job")
}

pub fn rate(count: usize, took: Duration) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / took.as_secs_f64()
}
