//! The product's API as a client sees it. Nothing here knows more than `/openapi.json` says.

mod answer;
mod events;
mod job;

use std::sync::Once;
use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

pub use answer::Answer;
pub use events::Events;
pub use job::{Job, Submitted};

use crate::canaries;
use crate::wait::DEADLINE;

/// A caller with one key; a platform key may name a tenant.
#[derive(Debug, Clone)]
pub struct Api {
    http: reqwest::Client,
    base: String,
    key: Option<String>,
    tenant: Option<String>,
}

impl Api {
    /// `base` without a slash at the end, such as `http://127.0.0.1:8080`.
    pub fn new(base: impl Into<String>) -> Self {
        static TLS: Once = Once::new();
        TLS.call_once(|| {
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let http = reqwest::Client::builder().timeout(Duration::from_secs(90)).build().expect("build the HTTP client");
        Self { http, base: base.into(), key: None, tenant: None }
    }

    /// The same caller with this key and no tenant.
    #[must_use]
    pub fn with_key(&self, key: impl Into<String>) -> Self {
        let key = key.into();
        canaries::plant(&key);
        Self { key: Some(key), tenant: None, ..self.clone() }
    }

    /// A platform key that acts for this tenant.
    #[must_use]
    pub fn for_tenant(&self, tenant: impl Into<String>) -> Self {
        Self { tenant: Some(tenant.into()), ..self.clone() }
    }

    /// The same caller, asking another replica.
    #[must_use]
    pub fn at(&self, base: impl Into<String>) -> Self {
        Self { base: base.into(), ..self.clone() }
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// A request with the caller's headers; `path` begins with a slash.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        if let Some(tenant) = &self.tenant {
            request = request.header("postrider-tenant", tenant);
        }
        request
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &impl Serialize) -> Answer {
        Answer::of(self.request(Method::POST, path).json(body)).await
    }

    pub async fn patch(&self, path: &str, body: &impl Serialize) -> Answer {
        Answer::of(self.request(Method::PATCH, path).json(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::DELETE, path)).await
    }

    /// A file, such as a quote's PDF.
    pub async fn bytes(&self, path: &str) -> Vec<u8> {
        let response = self.request(Method::GET, path).send().await.expect("send the request");
        assert!(response.status().is_success(), "GET {path}: {}", response.status());
        response.bytes().await.expect("read the body").to_vec()
    }

    /// All items of a list, over its pages.
    pub async fn all(&self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let separator = if path.contains('?') { '&' } else { '?' };
            let from = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
            let page = self.get(&format!("{path}{separator}limit=200{from}")).await.ok();
            items.extend(page["items"].as_array().cloned().unwrap_or_default());
            cursor = page["next_cursor"].as_str().map(ToOwned::to_owned);
            if cursor.is_none() {
                return items;
            }
        }
    }

    /// Submits a job and expects it to be accepted.
    pub async fn submit(&self, kind: &str, payload: &Value) -> Submitted {
        self.submit_body(&json!({ "kind": kind, "payload": payload })).await
    }

    /// Submits a job with a whole body of `POST /v1/jobs` and expects it to be accepted.
    pub async fn submit_body(&self, body: &Value) -> Submitted {
        self.post("/v1/jobs", body).await.expect_status(202).into()
    }

    pub async fn job(&self, id: &str) -> Job {
        self.get(&format!("/v1/jobs/{id}")).await.expect_status(200).into_job()
    }

    /// Waits until the job has ended, however it did, and returns it.
    pub async fn finished(&self, id: &str) -> Job {
        let end = Instant::now() + DEADLINE;
        loop {
            let job = self.get(&format!("/v1/jobs/{id}?wait=10s")).await.expect_status(200).into_job();
            if job.has_ended() {
                return job;
            }
            assert!(Instant::now() < end, "the job has not ended in {DEADLINE:?}: {job:#?}");
        }
    }

    /// The job's server-sent events.
    pub async fn events(&self, id: &str) -> Events {
        let request = self.request(Method::GET, &format!("/v1/jobs/{id}/events"));
        Events::of(request.send().await.expect("ask for the events"))
    }
}
