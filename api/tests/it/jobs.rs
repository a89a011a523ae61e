//! Jobs: what may be submitted, and following them. No worker runs here; what workers do is tested in `tests/it`.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use postrider_shared::clock::Clock;
use postrider_shared::config::Registration;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::api::{Api, TenantKeys, answer, problem};
use crate::wait::{DEADLINE, until};

async fn submit(api: &Api, keys: &TenantKeys, body: &Value) -> String {
    let accepted = answer(api.post(&keys.agent, "/v1/jobs", body), StatusCode::ACCEPTED).await;
    accepted["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_submission_is_checked_against_its_kind() {
    let api = Api::start().await;
    let keys = api.tenant("Checked").await;
    let post = |body: Value| api.post(&keys.agent, "/v1/jobs", &body);
    problem(post(json!({ "kind": "diagnostic.unheard_of" })), "unknown-kind").await;
    problem(post(json!({ "kind": "../../etc/passwd" })), "unknown-kind").await;
    problem(post(json!({ "kind": "send_email", "payload": {} })), "kind-not-submittable").await;
    problem(post(json!({ "kind": "diagnostic.sleep", "payload": { "ms": "long" } })), "invalid-payload").await;
    problem(post(json!({ "kind": "diagnostic.sleep", "payload": { "ms": 1, "colour": 2 } })), "invalid-payload").await;
    problem(post(json!({ "kind": "diagnostic.sleep", "payload": { "ms": 600_001 } })), "invalid-payload").await;
    problem(post(json!({ "kind": "diagnostic.sleep", "payload": 7 })), "invalid-payload").await;
    problem(post(json!({ "kind": "diagnostic.crash" })), "forbidden").await;
    let poll = json!({ "account_id": "0197f3a0-5c1e-7d2a-9b1f-3c5d7e9f1a2b" });
    problem(post(json!({ "kind": "poll_mailbox", "payload": poll, "lane": "fast" })), "invalid-body").await;
    problem(post(json!({ "kind": "poll_mailbox", "payload": poll, "queue": "email" })), "invalid-body").await;
    problem(post(json!({ "kind": "poll_mailbox", "payload": poll, "unique_key": "x" })), "invalid-body").await;
    let echo = |member: &str, value: Value| json!({ "kind": "diagnostic.echo", member: value });
    problem(post(echo("lane", json!("a b"))), "invalid-body").await;
    problem(post(echo("queue", json!("UPPER"))), "invalid-body").await;
    problem(post(echo("priority", json!("urgent"))), "invalid-body").await;
    problem(post(echo("max_attempts", json!(0))), "invalid-body").await;
    problem(post(echo("max_attempts", json!(101))), "invalid-body").await;
    problem(post(echo("unique_key", json!(""))), "invalid-body").await;
    problem(post(echo("idempotency_key", json!(""))), "invalid-body").await;
    problem(post(echo("run_at", json!("+10000-01-01T00:00:00Z"))), "invalid-body").await;
    problem(post(echo("run_at", json!("tomorrow"))), "invalid-body").await;
    let kinds = answer(api.get(&keys.viewer, "/v1/kinds"), StatusCode::OK).await;
    assert_eq!(kinds["items"].as_array().unwrap().len(), postrider_shared::jobs::catalogue().len());
}

#[tokio::test]
async fn a_diagnostic_job_stands_where_it_was_put() {
    let api = Api::start().await;
    let keys = api.tenant("Placed").await;
    let body = json!({
        "kind": "diagnostic.echo", "payload": { "data": { "n": 1 } }, "queue": "drills", "lane": "left",
        "priority": "low", "max_attempts": 3, "unique_key": "mine", "run_at": "2999-01-01T00:00:00Z"
    });
    let id = submit(&api, &keys, &body).await;
    let job = answer(api.get(&keys.viewer, &format!("/v1/jobs/{id}")), StatusCode::OK).await;
    assert_eq!((&job["queue"], &job["lane"]), (&json!("drills"), &json!("left")));
    assert_eq!(job["priority"], "low");
    assert_eq!((&job["max_attempts"], &job["unique_key"]), (&json!(3), &json!("mine")));
    assert_eq!((&job["state"], &job["payload"]["data"]), (&json!("scheduled"), &json!({ "n": 1 })));
    let taken = problem(api.post(&keys.agent, "/v1/jobs", &body), "unique-key-taken").await;
    assert_eq!(taken["job_id"], id);
    let queue = answer(api.get(&api.platform_key, "/v1/queues/drills"), StatusCode::OK).await;
    assert_eq!(queue["scheduled"], 1);
    problem(api.get(&api.platform_key, "/v1/queues/nowhere"), "not-found").await;
}

#[tokio::test]
async fn a_wait_ends_with_the_job() {
    let api = Api::start().await;
    let keys = api.tenant("Patient").await;
    let id = submit(&api, &keys, &json!({ "kind": "diagnostic.echo" })).await;
    let started = Instant::now();
    let job = answer(api.get(&keys.viewer, &format!("/v1/jobs/{id}?wait=100ms")), StatusCode::OK).await;
    assert_eq!(job["state"], "available");
    assert!(started.elapsed() >= Duration::from_millis(100));

    let path = format!("/v1/jobs/{id}?wait=60s");
    let waiting = answer(api.get(&keys.viewer, &path), StatusCode::OK);
    let cancelling = async {
        let path = format!("/v1/jobs/{id}/cancel");
        answer(api.request(Method::POST, &path).bearer_auth(&keys.agent), StatusCode::OK).await
    };
    let started = Instant::now();
    let (job, _) = tokio::join!(waiting, cancelling);
    assert_eq!(job["state"], "cancelled");
    assert!(started.elapsed() < Duration::from_secs(50), "it ended with the job, and not with its time");
    for wrong in ["61s", "-1s", "soon"] {
        problem(api.get(&keys.viewer, &format!("/v1/jobs/{id}?wait={wrong}")), "invalid-query").await;
    }
}

#[tokio::test]
async fn events_follow_a_job_to_its_end() {
    let api = Api::start().await;
    let keys = api.tenant("Followers").await;
    let id = submit(&api, &keys, &json!({ "kind": "diagnostic.echo", "run_at": "2999-01-01T00:00:00Z" })).await;
    let response = api.get(&keys.viewer, &format!("/v1/jobs/{id}/events")).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut events = response.bytes_stream();
    let mut text = String::new();
    while !text.contains("\n\n") {
        text.push_str(std::str::from_utf8(&events.next().await.unwrap().unwrap()).unwrap());
    }
    assert!(text.starts_with("event: job\nid: ") && text.contains("\ndata: {"), "{text}");
    assert!(text.contains("\"scheduled\""), "{text}");
    let path = format!("/v1/jobs/{id}/cancel");
    answer(api.request(Method::POST, &path).bearer_auth(&keys.agent), StatusCode::OK).await;
    let rest = tokio::time::timeout(DEADLINE, events.collect::<Vec<_>>()).await;
    let rest: String = rest
        .expect("the stream ends")
        .into_iter()
        .map(|part| String::from_utf8(part.unwrap().to_vec()).unwrap())
        .collect();
    assert!(rest.contains("\"cancelled\""), "{rest}");
}

#[tokio::test]
async fn a_stop_ends_waits_and_streams() {
    let api = Api::start().await;
    let keys = api.tenant("Stopped").await;
    let id = submit(&api, &keys, &json!({ "kind": "diagnostic.echo" })).await;
    let response = api.get(&keys.viewer, &format!("/v1/jobs/{id}/events")).send().await.unwrap();
    let waiting_path = format!("/v1/jobs/{id}?wait=60s");
    let waiting = answer(api.get(&keys.viewer, &waiting_path), StatusCode::OK);
    let stop = async {
        tokio::task::yield_now().await;
        api.app.stopping().cancel();
    };
    let all = async { tokio::join!(waiting, response.text(), stop) };
    let (job, events, ()) = tokio::time::timeout(DEADLINE, all).await.expect("nobody waits on");
    assert_eq!(job["state"], "available");
    let events = events.unwrap();
    assert!(events.contains("\"available\"") && events.contains("event: stopping\n"), "{events}");
    let ready = api.request(Method::GET, "/readyz").send().await.unwrap();
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let api = Api::start().await;
    let keys = api.tenant("Many").await;
    let jobs: Vec<Value> = (0..25).map(|n| json!({ "kind": "diagnostic.echo", "payload": { "data": n } })).collect();
    answer(api.post(&keys.agent, "/v1/jobs/batch", &Value::Array(jobs)), StatusCode::ACCEPTED).await;
    submit(
        &api,
        &keys,
        &json!({ "kind": "diagnostic.sleep", "payload": { "ms": 1 }, "run_at": "2999-01-01T00:00:00Z" }),
    )
    .await;
    let mut seen = std::collections::HashSet::new();
    let mut cursor = String::new();
    loop {
        let page = answer(api.get(&keys.viewer, &format!("/v1/jobs?limit=10{cursor}")), StatusCode::OK).await;
        for job in page["items"].as_array().unwrap() {
            assert!(seen.insert(job["id"].as_str().unwrap().to_owned()), "twice: {job}");
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 26);
    for (filter, count) in
        [("kind=diagnostic.sleep", 1), ("state=scheduled", 1), ("state=available", 25), ("queue=mail", 0)]
    {
        let page = answer(api.get(&keys.viewer, &format!("/v1/jobs?limit=100&{filter}")), StatusCode::OK).await;
        assert_eq!(page["items"].as_array().unwrap().len(), count, "{filter}");
    }
}

#[tokio::test]
async fn lists_are_sorted_and_narrowed() {
    let api = Api::start().await;
    let keys = api.tenant("Sorted").await;
    let batch = answer(api.post(&keys.agent, "/v1/batches", &json!({})), StatusCode::CREATED).await;
    let batch = batch["id"].as_str().unwrap();
    let mut ids = Vec::new();
    for number in 0..6 {
        let mut body = json!({ "kind": "diagnostic.echo", "lane": if number % 2 == 0 { "even" } else { "odd" } });
        if number > 3 {
            body["batch_id"] = json!(batch);
        }
        ids.push(submit(&api, &keys, &body).await);
        tokio::time::sleep(Duration::from_millis(2)).await; // each has a time of its own
    }
    let third = answer(api.get(&keys.viewer, &format!("/v1/jobs/{}", ids[2])), StatusCode::OK).await;
    let third = third["enqueued_at"].as_str().unwrap();
    let narrowed = [
        ("sort=oldest".to_owned(), vec![0, 1, 2, 3, 4, 5]),
        ("sort=newest".to_owned(), vec![5, 4, 3, 2, 1, 0]),
        ("lane=odd".to_owned(), vec![5, 3, 1]),
        (format!("batch_id={batch}&sort=oldest"), vec![4, 5]),
        (format!("created_before={third}"), vec![1, 0]),
        (format!("created_after={third}&sort=oldest"), vec![2, 3, 4, 5]),
        (format!("created_after={third}&lane=even&limit=1"), vec![4]),
    ];
    for (query, expected) in narrowed {
        let page = answer(api.get(&keys.viewer, &format!("/v1/jobs?{query}")), StatusCode::OK).await;
        let found: Vec<&str> =
            page["items"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap()).collect();
        assert_eq!(found, expected.iter().map(|&number: &usize| ids[number].as_str()).collect::<Vec<_>>(), "{query}");
    }
    for wrong in ["sort=random", "batch_id=batch_x", "created_after=yesterday", "lane=with%20space"] {
        problem(api.get(&keys.viewer, &format!("/v1/jobs?{wrong}")), "invalid-query").await;
    }
}

/// The events of a stream until it ends, as (event, id).
async fn events_of(response: reqwest::Response) -> Vec<(String, String)> {
    let text = tokio::time::timeout(DEADLINE, response.text()).await.expect("the stream ends").unwrap();
    let field = |event: &str, name: &str| {
        event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
    };
    text.split_terminator("\n\n").map(|event| (field(event, "event:"), field(event, "id:"))).collect()
}

#[tokio::test]
async fn a_reader_goes_on_after_the_event_it_saw_last() {
    let api = Api::start().await;
    let keys = api.tenant("Resumed").await;
    let id = submit(&api, &keys, &json!({ "kind": "diagnostic.echo" })).await;
    let path = format!("/v1/jobs/{id}/events");
    let follow = |last: &str| api.get(&keys.viewer, &path).header("Last-Event-ID", last).send();
    let mut first = api.get(&keys.viewer, &path).send().await.unwrap().bytes_stream();
    let mut text = String::new();
    while !text.contains("\n\n") {
        text.push_str(std::str::from_utf8(&first.next().await.unwrap().unwrap()).unwrap());
    }
    drop(first);
    let seen = text.lines().find_map(|line| line.strip_prefix("id: ")).unwrap();

    // One reader knows the job as it is, one knows something else; then the job ends.
    let (knows, knows_not) = (follow(seen).await.unwrap(), follow("something else").await.unwrap());
    let cancel = format!("/v1/jobs/{id}/cancel");
    answer(api.request(Method::POST, &cancel).bearer_auth(&keys.agent), StatusCode::OK).await;
    let (knows, knows_not) = (events_of(knows).await, events_of(knows_not).await);
    assert_eq!((knows.len(), knows_not.len()), (1, 2), "{knows:?} {knows_not:?}");
    assert_eq!(knows_not[0], ("job".to_owned(), seen.to_owned()));
    assert_eq!(knows[0], knows_not[1]);
    // Whoever saw the end is told that nothing follows; whoever did not sees it.
    assert_eq!(follow(&knows[0].1).await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(events_of(follow(seen).await.unwrap()).await, knows);
}

#[tokio::test]
async fn a_broken_line_harms_no_other_and_results_keep_their_order() {
    let api = Api::start().await;
    let keys = api.tenant("Lines").await;
    let lines: Vec<&str> = (0..5_003)
        .map(|number| if number % 3 == 0 { "{\"kind\": broken" } else { "{\"kind\":\"diagnostic.echo\"}" })
        .collect();
    let request = api.request(Method::POST, "/v1/jobs/batch").bearer_auth(&keys.agent);
    let response = request.header("content-type", "application/x-ndjson").body(lines.join("\n")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::MULTI_STATUS);
    let text = response.text().await.unwrap();
    let results: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(results.len(), lines.len());
    for (number, result) in results.iter().enumerate() {
        let status = if number % 3 == 0 { 400 } else { 202 };
        assert_eq!((&result["index"], &result["status"]), (&json!(number), &json!(status)));
    }
}

#[tokio::test]
async fn whoever_hangs_up_in_the_middle_of_a_stream_may_send_it_again() {
    const LINES: usize = 2_000;
    let api = Api::start().await;
    let keys = api.tenant("Cut").await;
    let line = |number: usize| format!("{{\"kind\":\"diagnostic.echo\",\"payload\":{{\"data\":{number}}}}}\n");
    let request = || {
        let request = api.request(Method::POST, "/v1/jobs/batch").bearer_auth(&keys.agent);
        request.header("content-type", "application/x-ndjson").header("Idempotency-Key", "import 7")
    };
    let waiting = async || {
        let queue = answer(api.get(&api.platform_key, "/v1/queues/diagnostics"), StatusCode::OK).await;
        queue["available"].as_u64().unwrap()
    };
    // Twelve hundred lines come, half of one more, and then nothing, until the client goes away.
    let mut sent: String = (0..1_200).map(line).collect();
    sent.push_str("{\"kind\":\"diag");
    let body = futures::stream::iter([Ok::<_, std::io::Error>(sent)]).chain(futures::stream::pending());
    let mut cut = tokio::task::JoinSet::new();
    cut.spawn(request().body(reqwest::Body::wrap_stream(body)).send());
    until("whole chunks are enqueued while the stream is read", async || (waiting().await >= 1_000).then_some(()))
        .await;
    cut.shutdown().await;

    let whole: String = (0..LINES).map(line).collect();
    let response = request().body(whole).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let text = response.text().await.unwrap();
    let results: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let existed = results.iter().filter(|result| result["existed"] == true).count();
    assert!((1_000..=1_200).contains(&existed), "{existed}");
    assert_eq!((results.len(), waiting().await), (LINES, LINES as u64), "each job is there once");
}

#[tokio::test]
async fn a_batch_answers_for_each_job() {
    let api = Api::start().await;
    let keys = api.tenant("Batch").await;
    let array = json!([{ "kind": "diagnostic.echo" }, { "kind": "none" }, 7, { "kind": "diagnostic.echo", "idempotency_key": "own" }]);
    let mixed = answer(api.post(&keys.agent, "/v1/jobs/batch", &array), StatusCode::MULTI_STATUS).await;
    let statuses: Vec<u64> =
        mixed["items"].as_array().unwrap().iter().map(|item| item["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [202, 422, 422, 202]);
    assert_eq!(mixed["items"][1]["problem"]["type"], "/problems/unknown-kind");

    let lines = |body: String| {
        let request = api.request(Method::POST, "/v1/jobs/batch").bearer_auth(&keys.agent);
        request.header("content-type", "application/x-ndjson").header("Idempotency-Key", "import").body(body)
    };
    let body = "{\"kind\":\"diagnostic.echo\"}\r\n\n{\"kind\":\n\u{feff}{}\n{\"kind\":\"diagnostic.echo\"}";
    let response = lines(body.to_owned()).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::MULTI_STATUS);
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let text = response.text().await.unwrap();
    let items: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let statuses: Vec<u64> = items.iter().map(|item| item["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [202, 400, 400, 202], "{text}");

    problem(api.post(&keys.agent, "/v1/jobs/batch", &json!({})), "invalid-body").await;
    answer(api.post(&keys.agent, "/v1/jobs/batch", &json!([])), StatusCode::ACCEPTED).await;
    let plain = api.request(Method::POST, "/v1/jobs/batch").bearer_auth(&keys.agent).body("x");
    problem(plain, "unsupported-media-type").await;
}

#[tokio::test]
async fn a_long_stream_is_taken_and_a_senseless_one_is_not_read_to_its_end() {
    let api = Api::start().await;
    let keys = api.tenant("Long").await;
    let lines = |body: String| {
        let request = api.request(Method::POST, "/v1/jobs/batch").bearer_auth(&keys.agent);
        request.header("content-type", "application/x-ndjson").body(body)
    };
    let good = "{\"kind\":\"diagnostic.echo\"}\n".repeat(5_000);
    let response = lines(good).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    assert_eq!(response.text().await.unwrap().lines().count(), 5_000);
    let queue = answer(api.get(&api.platform_key, "/v1/queues/diagnostics"), StatusCode::OK).await;
    assert_eq!(queue["available"], 5_000);

    let senseless = lines("nonsense\n".repeat(5_000)).send().await.unwrap();
    assert_eq!(senseless.status(), StatusCode::MULTI_STATUS);
    assert_eq!(senseless.text().await.unwrap().lines().count(), 1_000);
    let late = format!("{{\"kind\":\"diagnostic.echo\"}}\n{}", "nonsense\n".repeat(2_000));
    assert_eq!(lines(late).send().await.unwrap().text().await.unwrap().lines().count(), 2_001);
}

/// Opens a stream, and waits for its first event.
async fn stream(
    api: &Api,
    key: &str,
    id: &str,
) -> impl futures::Stream<Item = reqwest::Result<bytes::Bytes>> + Unpin + use<> {
    let response = api.get(key, &format!("/v1/jobs/{id}/events")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let mut events = Box::pin(response.bytes_stream());
    events.next().await.unwrap().unwrap();
    events
}

#[tokio::test]
async fn who_may_no_longer_see_a_job_is_no_longer_told() {
    let api = Api::start().await;
    let (revoked, suspended, steady) =
        (api.tenant("Revoked").await, api.tenant("Suspended").await, api.tenant("Steady").await);
    let far = json!({ "kind": "diagnostic.echo", "run_at": "2999-01-01T00:00:00Z" });
    let mut readers = Vec::new();
    for keys in [&revoked, &suspended, &steady] {
        let id = submit(&api, keys, &far).await;
        let mut waiting = tokio::task::JoinSet::new();
        waiting.spawn(api.get(&keys.viewer, &format!("/v1/jobs/{id}?wait=60s")).send());
        readers.push((stream(&api, &keys.viewer, &id).await, waiting));
    }
    let listed = answer(api.get(&revoked.admin, "/v1/api-keys"), StatusCode::OK).await;
    let viewer = listed["items"].as_array().unwrap().iter().find(|key| key["name"] == "viewer").unwrap();
    let path = format!("/v1/api-keys/{}", viewer["id"].as_str().unwrap());
    answer(api.request(Method::DELETE, &path).bearer_auth(&revoked.admin), StatusCode::OK).await;
    let path = format!("/v1/tenants/{}/suspend", suspended.id);
    answer(api.request(Method::POST, &path).bearer_auth(&api.platform_key), StatusCode::OK).await;

    let mut readers = readers.into_iter();
    for slug in ["unauthenticated", "tenant-inactive"] {
        let (events, mut waiting) = readers.next().unwrap();
        let ended = async {
            let rest =
                events.map(|piece| String::from_utf8(piece.unwrap().to_vec()).unwrap()).collect::<String>().await;
            assert!(!rest.contains("stopping"), "nobody shall come back: {rest}");
            crate::api::shaped(waiting.join_next().await.unwrap().unwrap().unwrap(), slug).await;
        };
        tokio::time::timeout(DEADLINE, ended).await.expect("it ends in time");
    }
    // The others go on: theirs were asked about at the same moments.
    let (mut events, mut waiting) = readers.next().unwrap();
    while let Ok(piece) = tokio::time::timeout(Duration::from_millis(300), events.next()).await {
        let piece = piece.expect("the stream goes on").unwrap();
        assert!(piece.starts_with(b":"), "a heartbeat and no more: {piece:?}");
    }
    assert!(waiting.try_join_next().is_none());
}

#[tokio::test]
async fn a_selection_of_waiting_jobs_is_checked() {
    let api = Api::start().await;
    let keys = api.tenant("Selected").await;
    let post = |body: Value| api.post(&keys.agent, "/v1/jobs/cancel", &body);
    problem(post(json!({ "state": "completed" })), "invalid-body").await;
    problem(post(json!({ "kind": "NO kind" })), "invalid-body").await;
    problem(post(json!({ "batch_id": "job_1" })), "invalid-body").await;
    problem(post(json!({ "colour": "red" })), "invalid-body").await;
    let job = answer(post(json!({ "state": "scheduled", "dry_run": true })), StatusCode::ACCEPTED).await;
    let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    let job = answer(api.get(&keys.viewer, &path), StatusCode::OK).await;
    assert_eq!((&job["kind"], &job["payload"]["dry_run"]), (&json!("cancel_jobs"), &json!(true)));
    // What is enqueued later is not meant, whatever the selection says.
    let before = |job: &Value| -> chrono::DateTime<chrono::Utc> {
        job["payload"]["filter"]["created_before"].as_str().unwrap().parse().unwrap()
    };
    assert!(before(&job) <= api.app.clock().now(), "{job}");
    for (asked, kept) in [("2999-01-01T00:00:00Z", None), ("2026-01-01T00:00:00Z", Some("2026-01-01T00:00:00Z"))] {
        let job = answer(post(json!({ "created_before": asked, "dry_run": true })), StatusCode::ACCEPTED).await;
        let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
        let job = answer(api.get(&keys.viewer, &path), StatusCode::OK).await;
        let kept = kept.map_or(api.app.clock().now(), |kept| kept.parse().unwrap());
        assert!(before(&job) <= kept, "{job}");
    }
    for path in ["/v1/dead-letters/redrive", "/v1/dead-letters/discard"] {
        let later = json!({ "died_before": "2999-01-01T00:00:00Z" });
        let job = answer(api.post(&keys.agent, path, &later), StatusCode::ACCEPTED).await;
        let job = answer(api.get(&keys.viewer, &format!("/v1/jobs/{}", job["id"].as_str().unwrap())), StatusCode::OK);
        let job = job.await;
        let before: chrono::DateTime<chrono::Utc> =
            job["payload"]["filter"]["died_before"].as_str().unwrap().parse().unwrap();
        assert!(before <= api.app.clock().now(), "a job that dies again is not redriven for ever: {job}");
    }
}

#[tokio::test]
async fn people_and_keys_whose_right_ends_are_no_longer_told() {
    let clock = Clock::manual(Clock::system().now());
    let api = Api::start_at(&clock, Registration::Open, &[]).await;
    let far = json!({ "kind": "diagnostic.echo", "run_at": "2999-01-01T00:00:00Z" });
    let (keys, other) = (api.tenant("Watched").await, api.tenant("Suspended").await);
    let (job, theirs) = (submit(&api, &keys, &far).await, submit(&api, &other, &far).await);
    let mut readers = Vec::new();
    for (address, keys) in [("out@example.com", &keys), ("gone@example.com", &keys), ("there@example.com", &other)] {
        crate::identity::member(&api, keys, address, "viewer").await;
        readers.push(crate::identity::login(&api, address).await);
    }
    let token = |reader: usize| crate::identity::text(&readers[reader], "access_token").to_owned();
    let short = json!({ "name": "short", "role": "viewer" });
    let short = answer(api.post(&keys.admin, "/v1/api-keys", &short), StatusCode::CREATED).await;
    let mut streams = Vec::new();
    for (key, job) in [(token(0), &job), (token(1), &job), (token(2), &theirs)] {
        streams.push(stream(&api, &key, job).await);
    }
    streams.push(stream(&api, short["key"].as_str().unwrap(), &job).await);

    answer(api.post(&token(0), "/v1/auth/logout", &json!({})), StatusCode::NO_CONTENT).await;
    let path = format!("/v1/users/{}", readers[1]["user_id"].as_str().unwrap());
    answer(api.request(Method::DELETE, &path).bearer_auth(&keys.admin), StatusCode::NO_CONTENT).await;
    let path = format!("/v1/tenants/{}/suspend", other.id);
    answer(api.request(Method::POST, &path).bearer_auth(&api.platform_key), StatusCode::OK).await;
    let path = format!("/v1/api-keys/{}", short["id"].as_str().unwrap());
    let soon = json!({ "expires_at": clock.now() + Duration::from_secs(1) });
    answer(api.request(Method::PATCH, &path).bearer_auth(&keys.admin).json(&soon), StatusCode::OK).await;
    clock.advance(Duration::from_secs(1));
    for (who, events) in ["signed out", "removed", "suspended", "a key that expired"].into_iter().zip(streams) {
        let ended = tokio::time::timeout(DEADLINE, events.count()).await;
        assert!(ended.is_ok(), "{who}: it ends in time");
    }
}
