//! What the cases of the matrix came to.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::Value;

use super::recipes::CANARIES;
use crate::api::wrong_member;

/// Cases by what they are, and those that opened.
#[derive(Debug, Default)]
pub struct Tally {
    counts: BTreeMap<String, usize>,
    leaks: Vec<String>,
}

impl Tally {
    pub fn count(&mut self, what: impl Into<String>) {
        *self.counts.entry(what.into()).or_default() += 1;
    }

    pub fn leak(&mut self, told: String) {
        self.leaks.push(told);
    }

    pub fn add(&mut self, other: Self) {
        for (what, many) in other.counts {
            *self.counts.entry(what).or_default() += many;
        }
        self.leaks.extend(other.leaks);
    }

    /// A case that must be refused with this problem, in the right form, and show nothing.
    pub async fn must_refuse(&mut self, what: &str, name: &str, request: RequestBuilder, slug: &str) {
        self.count(what);
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let body = text(response).await;
        let problem: Value = serde_json::from_str(&body).unwrap_or_default();
        let refused = (status.is_client_error() || status == StatusCode::NOT_IMPLEMENTED)
            && problem["type"] == format!("/problems/{slug}");
        if !refused {
            self.leak(format!("{name}, {what}: {status} instead of {slug}: {body}"));
        } else if header("content-type") != "application/problem+json" {
            self.leak(format!("{name}, {what}: a problem as {}", header("content-type")));
        } else if let Some(member) = wrong_member(&problem, status, header("x-request-id")) {
            self.leak(format!("{name}, {what}: a problem without its {member}: {body}"));
        }
        self.must_not_show(what, name, &body);
    }

    pub fn must_not_show(&mut self, what: &str, name: &str, body: &str) {
        for canary in CANARIES {
            if body.contains(canary) {
                self.leak(format!("{name}, {what}: shows {canary}: {body}"));
            }
        }
    }

    /// What was tried.
    pub fn told(&self, operations: usize) -> String {
        let all: usize = self.counts.values().sum();
        let mut lines =
            format!("matrix: {operations} operations, {all} cases that must not open, {} leaks", self.leaks.len());
        for (what, many) in &self.counts {
            let _ = write!(lines, "\n  {many:5} {what}");
        }
        lines
    }

    /// Fails if anything opened.
    pub fn must_be_clean(&self) {
        let some: Vec<&str> = self.leaks.iter().take(50).map(String::as_str).collect();
        assert!(some.is_empty(), "{} leaks, such as\n{}", self.leaks.len(), some.join("\n"));
    }
}

/// What a call answered: the status, and the body if it ends.
pub async fn sent(request: RequestBuilder) -> (StatusCode, String) {
    let response = request.send().await.unwrap();
    (response.status(), text(response).await)
}

/// The body, if it ends.
async fn text(response: Response) -> String {
    let endless = response.headers().get("content-type").is_some_and(|kind| kind == "text/event-stream");
    if endless { String::new() } else { response.text().await.unwrap() }
}
