//! Jobs that wait for a time: scheduled, promoted, cancelled.

use postrider_tests::{DatabaseKind, Platform};
use serde_json::json;

#[tokio::test]
async fn a_scheduled_job_waits_and_can_be_run_now_or_cancelled() {
    let platform = Platform::start().await;
    let api = platform.tenant("Planners").await;
    let later = json!({ "kind": "diagnostic.echo", "payload": { "data": 7 }, "run_at": "2999-11-01T08:00:00Z" });
    let [early, never] = [api.submit_body(&later).await, api.submit_body(&later).await];
    for job in [&early, &never] {
        assert_eq!(api.job(&job.id).await.state, "scheduled");
    }
    assert_eq!(api.all("/v1/jobs?state=scheduled").await.len(), 2);

    api.post(&format!("/v1/jobs/{}/retry", early.id), &json!({})).await.expect_status(202);
    let done = api.finished(&early.id).await;
    assert_eq!((done.state.as_str(), done.output), ("completed", Some(json!(7))));

    let cancelled = api.post(&format!("/v1/jobs/{}/cancel", never.id), &json!({})).await.expect_status(200).into_job();
    assert_eq!(cancelled.state, "cancelled");
    // Twice is as once; what is over cannot be undone.
    api.post(&format!("/v1/jobs/{}/cancel", never.id), &json!({})).await.expect_status(200);
    api.post(&format!("/v1/jobs/{}/retry", never.id), &json!({})).await.problem(409, "state-conflict");
    api.post(&format!("/v1/jobs/{}/cancel", early.id), &json!({})).await.problem(409, "state-conflict");
    platform.finish().await;
}

#[tokio::test]
async fn a_job_starts_when_its_time_has_come_under_faketime() {
    let morning = "2027-02-01T07:00:00Z".parse().unwrap();
    let platform = Platform::with(DatabaseKind::Sqlite).at_time(morning).start().await;
    let api = platform.tenant("Early Birds").await;
    let job = api
        .submit_body(&json!({ "kind": "diagnostic.echo", "payload": { "data": 1 }, "run_at": "2027-02-01T09:00:00Z" }))
        .await;
    assert_eq!(api.job(&job.id).await.state, "scheduled");
    platform.time().unwrap().set("2027-02-01T09:00:01Z".parse().unwrap());
    let done = api.finished(&job.id).await;
    assert_eq!(done.state, "completed");
    assert!(done.started_at.unwrap().as_str() >= "2027-02-01T09:00:00");
    platform.finish().await;
}

#[tokio::test]
async fn a_paused_queue_holds_its_jobs() {
    let platform = Platform::start().await;
    let api = platform.tenant("Patient").await;
    platform.api().post("/v1/queues/diagnostics/pause", &json!({})).await.ok();
    let job = api.submit("diagnostic.echo", &json!({})).await;
    let waiting = api.get(&format!("/v1/jobs/{}?wait=300ms", job.id)).await.expect_status(200).into_job();
    assert_eq!(waiting.state, "available");
    let queue = platform.api().get("/v1/queues/diagnostics").await.ok();
    assert_eq!((&queue["paused"], &queue["available"]), (&json!(true), &json!(1)), "{queue}");
    platform.api().post("/v1/queues/diagnostics/resume", &json!({})).await.ok();
    assert_eq!(api.finished(&job.id).await.state, "completed");
    platform.finish().await;
}
