//! `POST /v1/jobs` and what happens to one job after it.

use postrider_tests::{Api, DatabaseKind, Platform};
use serde_json::{Value, json};

on_both_databases!(a_job_is_accepted_done_and_can_be_followed);

async fn a_job_is_accepted_done_and_can_be_followed(database: DatabaseKind) {
    let platform = Platform::with(database).start().await;
    let api = platform.tenant("Echo Ltd").await;
    let body = json!({ "kind": "diagnostic.echo", "payload": { "data": { "greeting": "hello", "n": [1, 2, 3] } } });
    let answer = api.post("/v1/jobs", &body).await.expect_status(202);
    let id = answer.body["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("job_") && id.len() == 30, "{id}");
    assert_eq!(answer.header("location"), Some(format!("/v1/jobs/{id}").as_str()));

    let done = api.finished(&id).await;
    assert_eq!((done.state.as_str(), done.attempt, done.error.as_deref()), ("completed", 1, None));
    assert_eq!(done.output, Some(json!({ "greeting": "hello", "n": [1, 2, 3] })));
    assert!(done.started_at.is_some() && done.finished_at.is_some());

    let listed = api.all("/v1/jobs?kind=diagnostic.echo&state=completed").await;
    assert_eq!(listed.iter().filter(|job| job["id"] == id.as_str()).count(), 1);
    platform.finish().await;
}

#[tokio::test]
async fn events_tell_a_jobs_whole_life() {
    let platform = Platform::start().await;
    let api = platform.tenant("Followers").await;
    let job = api.submit("diagnostic.sleep", &json!({ "ms": 300 })).await;
    let events = api.events(&job.id).await.rest().await;
    let states: Vec<&str> = events.iter().map(|job| job.state.as_str()).collect();
    assert_eq!(states.last(), Some(&"completed"), "{states:?}");
    assert!(states.contains(&"running"), "{states:?}");
    assert!(events.iter().all(|event| event.id == job.id));

    // An ended job is told once, and the stream ends.
    let again = api.events(&job.id).await.rest().await;
    assert_eq!(again.iter().map(|job| job.state.as_str()).collect::<Vec<_>>(), ["completed"]);
    platform.finish().await;
}

#[tokio::test]
async fn waiting_ends_in_time_with_the_job_as_it_is() {
    let platform = Platform::start().await;
    let api = platform.tenant("Impatient").await;
    let job = api.submit("diagnostic.sleep", &json!({ "ms": 60_000 })).await;
    let waiting = api.get(&format!("/v1/jobs/{}?wait=200ms", job.id)).await.expect_status(200).into_job();
    assert!(!waiting.has_ended(), "{waiting:?}");
    api.get(&format!("/v1/jobs/{}?wait=tomorrow", job.id)).await.problem(400, "invalid-query");

    api.post(&format!("/v1/jobs/{}/cancel", job.id), &json!({})).await.expect_status(200);
    assert_eq!(api.finished(&job.id).await.state, "cancelled");
    platform.finish().await;
}

#[tokio::test]
async fn a_failing_job_is_retried_until_it_succeeds() {
    let platform = Platform::start().await;
    let api = platform.tenant("Clumsy").await;
    let job = api.submit("diagnostic.fail", &json!({ "times": 2, "error": "the printer is on fire" })).await;
    let done = hurried(&api, &job.id).await;
    assert_eq!((done.state.as_str(), done.attempt), ("completed", 3), "{done:?}");
    platform.finish().await;
}

/// Retries the job at once whenever it waits for its next attempt, until it ends.
async fn hurried(api: &Api, id: &str) -> postrider_tests::Job {
    let mut events = api.events(id).await;
    while let Some(job) = events.next().await {
        if job.state == "retryable" {
            assert_eq!(job.error.as_deref(), Some("the printer is on fire"));
            // With luck in the jitter it runs already.
            let answer = api.post(&format!("/v1/jobs/{id}/retry"), &json!({})).await;
            assert!(matches!(answer.status, 202 | 409), "{answer:#?}");
        }
    }
    api.finished(id).await
}

#[tokio::test]
async fn an_idempotency_key_makes_one_job_of_many_requests() {
    let platform = Platform::with(DatabaseKind::Sqlite).apis(2).start().await;
    let api = platform.tenant("Stutterers").await;
    let other = api.at(platform.api_addresses()[1].clone());
    let body = json!({ "kind": "diagnostic.echo", "payload": { "data": 1 } });
    let send = async |api: &Api, body: &Value| {
        let request = api.request(reqwest::Method::POST, "/v1/jobs").header("Idempotency-Key", "order-66").json(body);
        postrider_tests::client::Answer::of(request).await
    };
    let answers = futures::future::join_all((0..20).map(|n| send(if n % 2 == 0 { &api } else { &other }, &body))).await;
    let first = answers[0].body["id"].clone();
    assert!(answers.iter().all(|answer| answer.status == 202 && answer.body["id"] == first), "{answers:#?}");
    assert_eq!(answers.iter().filter(|answer| answer.body["existed"] == false).count(), 1);

    let different = json!({ "kind": "diagnostic.echo", "payload": { "data": 2 } });
    send(&api, &different).await.problem(409, "idempotency-key-reused");

    // The same key of another tenant is another key.
    let stranger = platform.tenant("Others").await;
    assert_ne!(send(&stranger, &different).await.expect_status(202).body["id"], first);
    platform.finish().await;
}

#[tokio::test]
async fn a_unique_key_is_held_while_its_job_waits_or_runs() {
    let platform = Platform::start().await;
    let api = platform.tenant("Only One").await;
    let body = json!({ "kind": "diagnostic.sleep", "payload": { "ms": 60_000 }, "unique_key": "the-printer" });
    let holder = api.submit_body(&body).await;
    let refused = api.post("/v1/jobs", &body).await.problem(409, "unique-key-taken");
    assert_eq!(refused["job_id"], holder.id.as_str(), "{refused}");
    assert_eq!(api.job(&holder.id).await.unique_key.as_deref(), Some("the-printer"));

    api.post(&format!("/v1/jobs/{}/cancel", holder.id), &json!({})).await.expect_status(200);
    api.finished(&holder.id).await;
    let next = api.submit_body(&json!({ "kind": "diagnostic.echo", "unique_key": "the-printer" })).await;
    api.finished(&next.id).await;
    platform.finish().await;
}

#[tokio::test]
async fn another_tenants_job_does_not_exist() {
    let platform = Platform::start().await;
    let owner = platform.tenant("Owner").await;
    let stranger = platform.tenant("Stranger").await;
    let stranger_key = platform.key(&stranger, "tenant_admin").await;
    let job = owner.submit("diagnostic.echo", &json!({ "data": "secret" })).await;
    owner.finished(&job.id).await;
    for api in [&stranger, &stranger_key] {
        api.get(&format!("/v1/jobs/{}", job.id)).await.problem(404, "not-found");
        api.get(&format!("/v1/jobs/{}?wait=1s", job.id)).await.problem(404, "not-found");
        api.get(&format!("/v1/jobs/{}/events", job.id)).await.problem(404, "not-found");
        api.post(&format!("/v1/jobs/{}/cancel", job.id), &json!({})).await.problem(404, "not-found");
        api.post(&format!("/v1/jobs/{}/retry", job.id), &json!({})).await.problem(404, "not-found");
        assert_eq!(api.all("/v1/jobs").await, Vec::<Value>::new());
    }
    platform.finish().await;
}

#[tokio::test]
async fn a_key_opens_what_its_role_may() {
    let platform = Platform::start().await;
    let api = platform.tenant("Roles").await;
    let viewer = platform.key(&api, "viewer").await;
    let agent = platform.key(&api, "agent").await;
    let echo = json!({ "kind": "diagnostic.echo" });
    viewer.post("/v1/jobs", &echo).await.problem(403, "forbidden");
    let job: postrider_tests::Submitted = agent.post("/v1/jobs", &echo).await.expect_status(202).into();
    assert_eq!(viewer.finished(&job.id).await.state, "completed");
    agent.post("/v1/jobs", &json!({ "kind": "diagnostic.crash" })).await.problem(403, "forbidden");
    agent.post("/v1/tenants", &json!({ "name": "Mine" })).await.problem(403, "forbidden");

    let nobody = api.with_key("pr_unknown_0000000000000000000000000000000000000000000");
    nobody.get("/v1/jobs").await.problem(401, "unauthenticated");
    postrider_tests::Api::new(api.base()).get("/v1/jobs").await.problem(401, "unauthenticated");
    platform.api().get("/v1/jobs").await.problem(400, "tenant-required");
    platform.finish().await;
}
