//! Every test is a leak test: at its end nothing may wait, run or retry.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::Platform;
use crate::wait::{DEADLINE, within};

/// Jobs that stand in a queue and are no leftovers: the next poll of a mailbox is always ahead, and the next look after drafts.
const RECURRING: [&str; 2] = ["poll_mailbox", "tend_drafts"];

impl Platform {
    /// Waits until the queues are empty.
    ///
    /// # Panics
    /// When they are not in time; the message lists what is left.
    pub async fn no_jobs_left(&self) {
        let end = Instant::now() + DEADLINE;
        // A job may step from a state that is not yet listed into one that was, or end and leave a follow-up behind the
        // listing's back: so it takes two looks that find nothing, with no job new between them.
        let seen = Mutex::new(None);
        within(DEADLINE + Duration::from_secs(10), "the queues to be empty", || async {
            let left = self.unfinished().await;
            assert!(left.is_empty() || Instant::now() < end, "jobs are left over:\n{}", list(&left));
            let newest = self.newest().await;
            let before = seen.lock().unwrap_or_else(PoisonError::into_inner).replace(newest.clone());
            (left.is_empty() && before == Some(newest)).then_some(())
        })
        .await;
    }

    /// The ids of every tenant's newest jobs.
    async fn newest(&self) -> Vec<Value> {
        let mut ids = Vec::new();
        for tenant in self.api().all("/v1/tenants").await {
            let api = self.api().for_tenant(tenant["id"].as_str().unwrap_or_default());
            let page = api.get("/v1/jobs?limit=200").await.ok();
            ids.extend(page["items"].as_array().into_iter().flatten().map(|job| job["id"].clone()));
        }
        ids
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
