//! Reading server-sent events.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;

use super::Job;
use crate::wait::DEADLINE;

/// The stream of one job.
pub struct Events {
    bytes: BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    buffer: String,
}

impl Events {
    pub(super) fn of(response: reqwest::Response) -> Self {
        let status = response.status();
        let media_type =
            response.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
        assert!(media_type.starts_with("text/event-stream"), "{status}, {media_type}");
        Self { bytes: response.bytes_stream().boxed(), buffer: String::new() }
    }

    /// The next event's job; `None` when the stream has ended. Comments that only keep the line open are passed over.
    pub async fn next(&mut self) -> Option<Job> {
        tokio::time::timeout(DEADLINE + Duration::from_secs(5), self.read()).await.expect("an event in time")
    }

    async fn read(&mut self) -> Option<Job> {
        loop {
            while let Some((event, rest)) = self.buffer.split_once("\n\n") {
                let is_job = event.lines().any(|line| line == "event: job");
                let data: Vec<&str> =
                    event.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim).collect();
                let job = (is_job && !data.is_empty())
                    .then(|| serde_json::from_str(&data.join("\n")).expect("the event is a job"));
                let rest = rest.to_owned();
                self.buffer = rest;
                if job.is_some() {
                    return job;
                }
            }
            let chunk = self.bytes.next().await?.expect("read the events");
            self.buffer.push_str(&String::from_utf8_lossy(&chunk));
        }
    }

    /// All that come until the stream ends.
    pub async fn rest(mut self) -> Vec<Job> {
        let mut jobs = Vec::new();
        while let Some(job) = self.next().await {
            jobs.push(job);
        }
        jobs
    }
}
