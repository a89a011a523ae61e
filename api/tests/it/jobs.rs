//! Jobs: what may be submitted, listed and selected. No worker runs here; what workers do is tested in `tests/it`.

use std::time::Duration;

use futures::StreamExt as _;
use postrider_queue::ListFilter;
use postrider_shared::ids::TenantId;
use postrider_shared::scopes::Share;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::api::{Api, TenantKeys, answer, problem};
use crate::wait::until;

/// Submits a job for the tenant's agent; its id.
pub async fn submit(api: &Api, keys: &TenantKeys, body: &Value) -> String {
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

/// What may hold a place of a worker for long is bounded for its tenant, wherever it is put; and the bound is there before the job is.
#[tokio::test]
async fn jobs_that_take_long_share_a_bound_of_their_tenant() {
    let api = Api::start().await;
    let sleep =
        |ms: u32| json!({ "kind": "diagnostic.sleep", "payload": { "ms": ms }, "queue": "email", "lane": "left" });
    let poll = json!({ "kind": "poll_mailbox", "payload": { "account_id": "0197f3a0-5c1e-7d2a-9b1f-3c5d7e9f1a2b" } });
    for (body, share) in [(sleep(600_000), Some(Share::Diagnosing)), (sleep(5_000), None), (poll, Some(Share::Reading))]
    {
        for path in ["/v1/jobs", "/v1/jobs/batch"] {
            let keys = api.tenant("Long").await;
            let body = if path == "/v1/jobs" { body.clone() } else { json!([body]) };
            answer(api.post(&keys.agent, path, &body), StatusCode::ACCEPTED).await;
            let tenant = keys.id.parse::<TenantId>().unwrap().into();
            let queue = api.app.queue();
            let job = queue.list(&tenant, &ListFilter::default(), None, 10).await.unwrap().items.remove(0);
            assert_eq!(job.lane.scopes, share.map(Share::scope).into_iter().collect::<Vec<_>>(), "{body}");
            for scope in &job.lane.scopes {
                assert!(queue.scope(&tenant, scope).await.unwrap().is_some(), "{body}");
            }
        }
    }
}

/// Each walks through all there is, for up to an hour: a tenant that asks for it a thousand times has two places of the workers, and
/// two more to cancel jobs, which no redrive keeps waiting.
#[tokio::test]
async fn jobs_that_clear_many_others_share_a_bound_of_their_tenant() {
    let api = Api::start().await;
    for (path, share) in [
        ("/v1/jobs/cancel", Share::Cancelling),
        ("/v1/dead-letters/redrive", Share::Clearing),
        ("/v1/dead-letters/discard", Share::Clearing),
    ] {
        let keys = api.tenant("Clearing").await;
        answer(api.post(&keys.admin, path, &json!({})), StatusCode::ACCEPTED).await;
        let (queue, tenant) = (api.app.queue(), keys.id.parse::<TenantId>().unwrap().into());
        let job = queue.list(&tenant, &ListFilter::default(), None, 10).await.unwrap().items.remove(0);
        assert_eq!(job.lane.scopes, [share.scope()], "{path}");
        assert!(queue.scope(&tenant, &share.scope()).await.unwrap().is_some(), "{path}");
    }
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
async fn lines_of_a_slow_stream_do_not_wait_until_there_are_many() {
    let api = Api::start().await;
    let keys = api.tenant("Slow").await;
    let lines = "{\"kind\":\"diagnostic.echo\"}\nnonsense\n{\"kind\":\"diagnostic.echo\"}\n{\"kind\":\"diag";
    let (more, rest) = tokio::sync::oneshot::channel::<&str>();
    let begun = futures::stream::iter([Ok::<_, std::io::Error>(lines)]);
    let body = begun.chain(futures::stream::once(async { Ok(rest.await.unwrap()) }));
    let request = api.request(Method::POST, "/v1/jobs/batch").bearer_auth(&keys.agent);
    let request = request.header("content-type", "application/x-ndjson").body(reqwest::Body::wrap_stream(body));
    let sent = async {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::MULTI_STATUS);
        response.text().await.unwrap()
    };
    let waiting = async {
        until("the lines that came are in the queue", async || {
            let queue = answer(api.get(&api.platform_key, "/v1/queues/diagnostics"), StatusCode::OK).await;
            (queue["available"] == 2).then_some(())
        })
        .await;
        more.send("nostic.echo\"}").unwrap();
    };
    let (text, ()) = tokio::join!(sent, waiting);
    let results: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = results.iter().map(|result| (result["index"].clone(), result["status"].clone())).collect();
    let expected = [(0, 202), (1, 400), (2, 202), (3, 202)].map(|(index, status)| (json!(index), json!(status)));
    assert_eq!(told, expected);
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

    // One line of a table in another encoding.
    let request = api.request(Method::POST, "/v1/jobs/batch").bearer_auth(&keys.agent);
    let line = b"{\"kind\":\"diagnostic.echo\",\"payload\":{\"data\":\"M\xfcller\"}}\n";
    let body = [&line[..], b"{\"kind\":\"diagnostic.echo\"}\n"].concat();
    let response = request.header("content-type", "application/x-ndjson").body(body).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::MULTI_STATUS);
    let text = response.text().await.unwrap();
    let items: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let statuses: Vec<u64> = items.iter().map(|item| item["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [400, 202], "{text}");

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
