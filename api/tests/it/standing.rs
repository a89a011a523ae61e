//! Whoever is being served for long, and may not go on.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use futures::StreamExt as _;
use futures::channel::mpsc;
use postrider_api::router::router;
use postrider_shared::clock::Clock;
use postrider_shared::config::Registration;
use reqwest::{Method, Response, StatusCode};
use serde_json::json;
use tower::ServiceExt as _;

use crate::api::{Api, TenantKeys, answer, shaped};
use crate::identity::{login, member, text};
use crate::wait::{DEADLINE, until};

async fn revoke(api: &Api, keys: &TenantKeys, name: &str) {
    let listed = answer(api.get(&keys.admin, "/v1/api-keys"), StatusCode::OK).await;
    let key = listed["items"].as_array().unwrap().iter().find(|key| key["name"] == name).unwrap();
    let path = format!("/v1/api-keys/{}", key["id"].as_str().unwrap());
    answer(api.request(Method::DELETE, &path).bearer_auth(&keys.admin), StatusCode::OK).await;
}

/// A stream of jobs on its way.
struct Sending {
    lines: mpsc::UnboundedSender<Result<String, Infallible>>,
    answered: tokio::task::JoinSet<reqwest::Result<Response>>,
}

impl Sending {
    fn begin(api: &Api, key: &str) -> Self {
        let (lines, body) = mpsc::unbounded();
        let request = api.request(Method::POST, "/v1/jobs/batch").bearer_auth(key);
        let request = request.header("content-type", "application/x-ndjson").body(reqwest::Body::wrap_stream(body));
        let mut answered = tokio::task::JoinSet::new();
        answered.spawn(request.send());
        Self { lines, answered }
    }

    fn line(&self) {
        // Whoever is told reads no more.
        let _ = self.lines.unbounded_send(Ok(format!("{}\n", json!({ "kind": "diagnostic.echo" }))));
    }

    /// Sends line after line until there is an answer.
    async fn told(mut self) -> Response {
        let told = async {
            let mut again = tokio::time::interval(Duration::from_millis(50));
            loop {
                tokio::select! {
                    response = self.answered.join_next() => return response.unwrap().unwrap().unwrap(),
                    _ = again.tick() => self.line(),
                }
            }
        };
        tokio::time::timeout(DEADLINE, told).await.expect("the stream ends")
    }
}

/// How many jobs a tenant has.
async fn jobs(api: &Api, keys: &TenantKeys) -> usize {
    let path = format!("/v1/jobs?limit=200&tenant={}", keys.id);
    answer(api.get(&api.platform_key, &path), StatusCode::OK).await["items"].as_array().unwrap().len()
}

async fn are_there(api: &Api, keys: &TenantKeys, count: usize) {
    until("the jobs are there", async || (jobs(api, keys).await == count).then_some(())).await;
}

#[tokio::test]
async fn who_may_no_longer_submit_jobs_is_told_in_the_midst_of_a_stream() {
    let api = Api::start().await;
    for slug in ["unauthenticated", "tenant-inactive"] {
        let keys = api.tenant(slug).await;
        let sending = Sending::begin(&api, &keys.agent);
        sending.line();
        are_there(&api, &keys, 1).await;
        if slug == "unauthenticated" {
            revoke(&api, &keys, "agent").await;
        } else {
            let path = format!("/v1/tenants/{}/suspend", keys.id);
            answer(api.request(Method::POST, &path).bearer_auth(&api.platform_key), StatusCode::OK).await;
        }
        shaped(sending.told().await, slug).await;
        assert_eq!(jobs(&api, &keys).await, 1, "{slug}");
    }
}

#[tokio::test]
async fn a_stream_of_jobs_outlives_the_access_token_and_not_the_session() {
    let clock = Clock::manual(Clock::system().now());
    let api = Api::start_at(&clock, Registration::Open, &[]).await;
    let keys = api.tenant("People").await;
    member(&api, &keys, "jo@example.com", "agent").await;
    let session = login(&api, "jo@example.com").await;
    let token = text(&session, "access_token");
    let sending = Sending::begin(&api, token);
    sending.line();
    are_there(&api, &keys, 1).await;
    clock.advance(Duration::from_secs(31 * 60));
    crate::api::problem(api.get(token, "/v1/jobs"), "unauthenticated").await;
    sending.line();
    are_there(&api, &keys, 2).await;
    let again = login(&api, "jo@example.com").await;
    let logout = api.post(text(&again, "access_token"), "/v1/auth/logout", &json!({ "all": true }));
    answer(logout, StatusCode::NO_CONTENT).await;
    shaped(sending.told().await, "unauthenticated").await;
    assert_eq!(jobs(&api, &keys).await, 2);
}

#[tokio::test]
async fn who_may_no_longer_see_the_audit_log_reads_no_more_of_its_export() {
    let api = Api::start().await;
    let keys = api.tenant("Export").await;
    let path = format!("/v1/tenants/{}", keys.id);
    // More than a page of events.
    for number in 0..220 {
        let change = json!({ "tax_label": format!("label {number}") });
        answer(api.request(Method::PATCH, &path).bearer_auth(&keys.admin).json(&change), StatusCode::OK).await;
    }
    let reader = json!({ "name": "reader", "role": "tenant_admin" });
    let reader = answer(api.post(&keys.admin, "/v1/api-keys", &reader), StatusCode::CREATED).await;
    let export = async || {
        let key = format!("Bearer {}", reader["key"].as_str().unwrap());
        let request = axum::http::Request::get("/v1/audit-events/export").header("host", "x");
        let request = request.header("authorization", key).body(Body::empty()).unwrap();
        let response = router(api.app.clone()).unwrap().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.into_body().into_data_stream()
    };
    let all: Vec<_> = export().await.map(Result::unwrap).collect().await;
    assert!(all.len() >= 2, "{} pages", all.len());
    let mut cut = export().await;
    cut.next().await.unwrap().unwrap();
    revoke(&api, &keys, "reader").await;
    assert!(cut.next().await.unwrap().is_err(), "it breaks off");
}
