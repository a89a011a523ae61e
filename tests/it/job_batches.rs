//! Batches with a job at their end, unique keys held in several ways, logs, and odd submissions.

use postrider_tests::{Platform, eventually};
use serde_json::json;

#[tokio::test]
async fn a_batch_ends_with_one_job_when_all_of_its_jobs_have_ended() {
    let platform = Platform::start().await;
    let api = platform.tenant("Bundlers").await;
    let wrong = json!({ "on_end": { "kind": "diagnostic.echo", "unique_key": "k" } });
    api.post("/v1/batches", &wrong).await.expect_status(422);
    let on_end = json!({ "kind": "diagnostic.echo", "payload": { "data": "all done" } });
    let batch = api.post("/v1/batches", &json!({ "on_end": on_end })).await.expect_status(201).body;
    let (id, last) = (batch["id"].as_str().unwrap(), batch["on_end_job_id"].as_str().unwrap());
    let of_batch = |kind: &str, payload| json!({ "kind": kind, "payload": payload, "batch_id": id });
    let jobs = json!([
        of_batch("diagnostic.echo", json!({ "data": 1 })),
        of_batch("diagnostic.fail", json!({ "times": 1, "permanent": true })),
        { "kind": "diagnostic.echo", "batch_id": id, "run_at": "9999-12-31T23:59:59Z" },
    ]);
    let answer = api.post("/v1/jobs/batch", &jobs).await.expect_status(202).body;
    let far = answer["items"][2]["id"].as_str().unwrap();
    assert_eq!(api.get(&format!("/v1/jobs/{far}")).await.ok()["batch_id"], id);
    eventually("two of three have ended", || async {
        let batch = api.get(&format!("/v1/batches/{id}")).await.ok();
        (batch["completed"] == 1 && batch["dead"] == 1).then_some(())
    })
    .await;
    let sealed = api.post(&format!("/v1/batches/{id}/seal"), &json!({})).await.expect_status(200).body;
    assert_eq!((&sealed["sealed"], &sealed["total"], &sealed["ended_at"]), (&json!(true), &json!(3), &json!(null)));
    api.get(&format!("/v1/jobs/{last}")).await.problem(404, "not-found");
    api.post(&format!("/v1/jobs/{far}/cancel"), &json!({})).await.expect_status(200);
    assert_eq!(api.finished(last).await.output, Some(json!("all done")));
    let ended = api.post(&format!("/v1/batches/{id}/seal"), &json!({})).await.expect_status(200).body;
    assert!(ended["ended_at"].is_string() && ended["cancelled"] == 1, "{ended}");

    api.post("/v1/jobs", &of_batch("diagnostic.echo", json!({}))).await.problem(409, "state-conflict");
    let stranger = platform.tenant("Strangers").await;
    stranger.get(&format!("/v1/batches/{id}")).await.problem(404, "not-found");
    stranger.post(&format!("/v1/batches/{id}/seal"), &json!({})).await.problem(404, "not-found");
    platform.finish().await;
}

#[tokio::test]
async fn unique_keys_are_held_as_asked_and_their_holder_is_named() {
    let platform = Platform::start().await;
    let api = platform.tenant("Uniques").await;
    let echo = |data: u32, hold: &str, more: serde_json::Value| {
        let mut job =
            json!({ "kind": "diagnostic.echo", "payload": { "data": data }, "unique_key": "k", "unique_for": hold });
        job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        job
    };
    let waiting = json!({ "run_at": "2190-01-01T00:00:00Z" });
    let first = api.post("/v1/jobs", &echo(1, "replace", waiting.clone())).await.expect_status(202).body;
    let id = first["id"].as_str().unwrap();
    let taken = api.post("/v1/jobs", &echo(2, "waiting", waiting)).await;
    let problem = taken.problem(409, "unique-key-taken");
    assert!(format!("{problem:?}").contains(id), "{problem:?} names the holder");
    let second = api.post("/v1/jobs", &echo(3, "replace", json!({}))).await.expect_status(202).body;
    assert_eq!((&second["id"], &second["replaced"]), (&json!(id), &json!(true)));
    assert_eq!(api.finished(id).await.output, Some(json!(3)), "at once, and with the newer payload");

    let period =
        api.post("/v1/jobs", &echo(4, "period", json!({ "unique_seconds": 3600 }))).await.expect_status(202).body;
    api.finished(period["id"].as_str().unwrap()).await;
    api.post("/v1/jobs", &echo(5, "waiting", json!({}))).await.problem(409, "unique-key-taken");
    for wrong in [
        echo(6, "period", json!({})),
        echo(6, "waiting", json!({ "unique_seconds": 5 })),
        echo(6, "period", json!({ "unique_seconds": 0 })),
        json!({ "kind": "diagnostic.echo", "unique_for": "waiting" }),
        echo(6, "waiting", json!({ "unique_key": "k".repeat(10_000) })),
    ] {
        api.post("/v1/jobs", &wrong).await.expect_status(422);
    }
    platform.finish().await;
}

#[tokio::test]
async fn a_job_has_a_log_a_history_and_children() {
    let platform = Platform::start().await;
    let api = platform.tenant("Diarists").await;
    let job = api.submit("diagnostic.sleep", &json!({ "ms": 1 })).await;
    assert_eq!(api.finished(&job.id).await.state, "completed");
    let log = api.get(&format!("/v1/jobs/{}/log", job.id)).await.ok();
    assert_eq!(log["written"], 1);
    assert_eq!(log["lines"][0]["text"], "attempt 1: sleeping for 1 ms");
    assert_eq!(api.get(&format!("/v1/jobs/{}/children", job.id)).await.ok(), json!({ "items": [] }));
    let stranger = platform.tenant("Strangers").await;
    for what in ["log", "children"] {
        stranger.get(&format!("/v1/jobs/{}/{what}", job.id)).await.problem(404, "not-found");
    }
    let failed = api.submit("diagnostic.fail", &json!({ "times": 1, "error": "ouch", "permanent": true })).await;
    api.finished(&failed.id).await;
    let history = api.get(&format!("/v1/jobs/{}", failed.id)).await.ok()["history"].clone();
    assert_eq!((history.as_array().unwrap().len(), &history[0]["error"]), (1, &json!("ouch")));
    platform.finish().await;
}

#[tokio::test]
async fn odd_dates_lanes_and_sizes_work_or_are_refused_in_plain_words() {
    let platform = Platform::start().await;
    let api = platform.tenant("Oddities").await;
    let past = json!({ "kind": "diagnostic.echo", "run_at": "0001-01-01T00:00:00Z" });
    assert_eq!(api.finished(&api.submit_body(&past).await.id).await.state, "completed");
    let far = api.submit_body(&json!({ "kind": "diagnostic.echo", "run_at": "9999-12-31T23:59:59Z" })).await;
    let shown = api.get(&format!("/v1/jobs/{}", far.id)).await.ok();
    assert_eq!((&shown["state"], &shown["run_at"]), (&json!("scheduled"), &json!("9999-12-31T23:59:59Z")));
    api.post(&format!("/v1/jobs/{}/cancel", far.id), &json!({})).await.expect_status(200);
    for lane in ["{lane}", "{pr:3}", "\u{1f4ee}\u{1f4ee}", "a:b:*?[x]"] {
        let job = api.submit_body(&json!({ "kind": "diagnostic.echo", "lane": lane })).await;
        let done = api.finished(&job.id).await;
        assert_eq!(done.state, "completed", "{lane}");
        assert_eq!(api.get(&format!("/v1/jobs/{}", job.id)).await.ok()["lane"], lane);
    }
    for lane in ["with space", "", "tab\tbed"] {
        let refused =
            api.post("/v1/jobs", &json!({ "kind": "diagnostic.echo", "lane": lane })).await.expect_status(422);
        assert!(refused.body["detail"].as_str().unwrap().contains("lane"), "{}", refused.body);
    }
    let large = json!({ "kind": "diagnostic.echo", "payload": { "data": "x".repeat(10 * 1024 * 1024) } });
    let refused = api.post("/v1/jobs", &large).await.expect_status(413);
    assert!(refused.body["detail"].as_str().unwrap().contains("10485760"), "{}", refused.body);
    platform.finish().await;
}
