//! Every test is a leak test: at its end nothing may wait, run or retry.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::Platform;
use crate::wait::within;

/// Jobs that stand in a queue and are no leftovers: the next poll of a mailbox is always ahead.
const RECURRING: [&str; 1] = ["poll_mailbox"];

impl Platform {
    /// Waits until the queues are empty.
    ///
    /// # Panics
    /// When they are not after 20 s; the message lists what is left.
    pub async fn no_jobs_left(&self) {
        let end = Instant::now() + Duration::from_secs(20);
        within(Duration::from_secs(30), "the queues to be empty", || async {
            let left = self.unfinished().await;
            assert!(left.is_empty() || Instant::now() < end, "jobs are left over:\n{}", list(&left));
            left.is_empty().then_some(())
        })
        .await;
    }

    /// Jobs of all tenants that have not ended, without the recurring ones.
    pub async fn unfinished(&self) -> Vec<Value> {
        let mut jobs = Vec::new();
        for tenant in self.api().all("/v1/tenants").await {
            let api = self.api().for_tenant(tenant["id"].as_str().unwrap_or_default());
            for state in ["scheduled", "available", "running", "retryable"] {
                jobs.extend(api.all(&format!("/v1/jobs?state={state}")).await);
            }
        }
        jobs.retain(|job| job["kind"].as_str().is_none_or(|kind| !RECURRING.contains(&kind)));
        jobs
    }
}

fn list(jobs: &[Value]) -> String {
    let mut text = String::new();
    for job in jobs {
        let _ = writeln!(text, "{} {} {}: {}", job["id"], job["kind"], job["state"], job["error"]);
    }
    text
}
