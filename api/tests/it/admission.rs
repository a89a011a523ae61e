//! What clients hear when the queue takes no new jobs, and that nothing accepted is told as refused, or the other way round.

use postrider_queue::{DepthLimits, QueueName};
use reqwest::header::HeaderValue;
use reqwest::{Method, RequestBuilder, StatusCode, header};
use serde_json::{Value, json};

use crate::api::{Api, TenantKeys, answer, problem, shaped};
use crate::resources::dead_letter;
use crate::wait::until;

#[tokio::test]
async fn a_deep_queue_answers_503_and_when_to_come_back() {
    let api = Api::start().await;
    let keys = api.tenant("Deep").await;
    let drills = QueueName::parse("drills").unwrap();
    let limits = DepthLimits { every: None, queues: vec![(drills.clone(), 300)] };
    api.app.queue().limit_depth(&limits).await.unwrap();
    let echo = json!({ "kind": "diagnostic.echo", "queue": "drills" });

    // 600 lines: the first call of 256 fits, the second does not.
    let lines = format!("{echo}\n").repeat(600);
    let sent = api
        .request(reqwest::Method::POST, "/v1/jobs/batch")
        .bearer_auth(&keys.agent)
        .header(header::CONTENT_TYPE, "application/x-ndjson")
        .body(lines)
        .send()
        .await
        .unwrap();
    assert_eq!(sent.status(), StatusCode::MULTI_STATUS);
    let text = sent.text().await.unwrap();
    let results: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let accepted: Vec<&Value> = results.iter().filter(|result| result["status"] == 202).collect();
    let refused = results.iter().filter(|result| result["problem"]["type"] == "/problems/queue-too-deep").count();
    let waiting = api.app.queue().queue(&drills).await.unwrap().available;
    assert_eq!((accepted.len(), refused, waiting), (256, 344, 256));

    api.app.queue().limit_depth(&DepthLimits { every: Some(0), queues: Vec::new() }).await.unwrap();
    let response = api.post(&keys.agent, "/v1/jobs", &echo).send().await.unwrap();
    assert_eq!(response.headers()[header::RETRY_AFTER], "5");
    let told = problem(api.post(&keys.agent, "/v1/jobs", &echo), "queue-too-deep").await;
    assert_eq!(told["detail"], "256 jobs wait in queue drills already, and 0 may.");
    // Nothing of it was accepted, so the whole request is refused.
    problem(api.post(&keys.agent, "/v1/jobs/batch", &json!([echo, echo])), "queue-too-deep").await;
    api.app.queue().limit_depth(&DepthLimits::NONE).await.unwrap();
    answer(api.post(&keys.agent, "/v1/jobs", &echo), StatusCode::ACCEPTED).await;
}

/// Gives Redis memory again, and waits until the queue takes jobs.
async fn memory_is_ample(api: &Api, keys: &TenantKeys) {
    api.redis.command(&["CONFIG", "SET", "maxmemory", "1gb"]);
    until("the shards are open", async || {
        api.app.queue().tick().await.unwrap();
        let echo = json!({ "kind": "diagnostic.echo" });
        let status = api.post(&keys.agent, "/v1/jobs", &echo).send().await.unwrap().status();
        (status == StatusCode::ACCEPTED).then_some(())
    })
    .await;
}

#[tokio::test]
async fn short_memory_answers_503_and_when_to_come_back() {
    let api = Api::start().await;
    let keys = api.tenant("Full").await;
    let echo = json!({ "kind": "diagnostic.echo" });
    let id = answer(api.post(&keys.agent, "/v1/jobs", &echo), StatusCode::ACCEPTED).await["id"].clone();
    let used = api.redis.command(&["INFO", "memory"]);
    let used = used.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap().trim().parse::<u64>().unwrap();
    // As if a tenth were free.
    api.redis.command(&["CONFIG", "SET", "maxmemory", &(used + used / 9).to_string()]);
    until("the shards are closed", async || {
        api.app.queue().tick().await.unwrap();
        let status = api.post(&keys.agent, "/v1/jobs", &echo).send().await.unwrap().status();
        (status == StatusCode::SERVICE_UNAVAILABLE).then_some(())
    })
    .await;
    let response = api.post(&keys.agent, "/v1/jobs", &echo).send().await.unwrap();
    assert_eq!(response.headers()[header::RETRY_AFTER], "5");
    problem(api.post(&keys.agent, "/v1/jobs", &echo), "queue-full").await;
    // What is inside can still be acted on.
    let path = format!("/v1/jobs/{}/cancel", id.as_str().unwrap());
    answer(api.request(reqwest::Method::POST, &path).bearer_auth(&keys.agent), StatusCode::OK).await;
    memory_is_ample(&api, &keys).await;
}

#[tokio::test]
async fn short_memory_closes_every_way_into_the_queue_and_nothing_else() {
    let api = Api::start().await;
    let keys = api.tenant("Full").await;
    let echo = json!({ "kind": "diagnostic.echo" });
    let letter = dead_letter(&api, &keys).await;
    let jobs = async |number: usize| {
        let job =
            json!({ "kind": "diagnostic.echo", "run_at": "2030-01-01T00:00:00Z", "unique_key": number.to_string() });
        answer(api.post(&keys.agent, "/v1/jobs", &job), StatusCode::ACCEPTED).await["id"].as_str().unwrap().to_owned()
    };
    let (one, two) = (jobs(1).await, jobs(2).await);
    let used = api.redis.command(&["INFO", "memory"]);
    let used = used.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap().trim().parse::<u64>().unwrap();
    api.redis.command(&["CONFIG", "SET", "maxmemory", &(used + used / 9).to_string()]);
    let line = || {
        let request = api.request(Method::POST, "/v1/jobs/batch").bearer_auth(&keys.agent);
        request.header(header::CONTENT_TYPE, "application/x-ndjson").body(echo.to_string())
    };
    let letters =
        |path: &str| api.post(&keys.agent, &format!("/v1/dead-letters/{path}"), &json!({ "kind": "diagnostic.fail" }));
    let redrive = || api.post(&keys.agent, &format!("/v1/dead-letters/{letter}/redrive"), &json!({}));
    let rotate = || api.request(Method::POST, "/v1/secrets/rotate").bearer_auth(&api.platform_key);
    let ways = || {
        [
            ("one job", api.post(&keys.agent, "/v1/jobs", &echo)),
            ("an array", api.post(&keys.agent, "/v1/jobs/batch", &json!([echo, echo]))),
            ("lines", line()),
            ("a redrive", redrive()),
            ("a redrive of many", letters("redrive")),
            ("a rotation", rotate()),
        ]
    };
    // Each tenant's shard is closed by itself.
    until("the shards are closed", async || {
        api.app.queue().tick().await.unwrap();
        let sent = [rotate(), api.post(&keys.agent, "/v1/jobs", &echo)].map(RequestBuilder::send);
        let answers = futures::future::join_all(sent).await;
        answers.into_iter().all(|answer| answer.unwrap().status() == 503).then_some(())
    })
    .await;
    for (way, request) in ways() {
        let response = request.send().await.unwrap();
        assert_eq!(response.headers().get(header::RETRY_AFTER).map(HeaderValue::as_bytes), Some(&b"5"[..]), "{way}");
        shaped(response, "queue-full").await;
    }
    // What is not for the queue, or is inside already, goes on.
    for path in ["jobs", "kinds", "products", "dead-letters", "accounts", "mails", "quotes"] {
        answer(api.get(&keys.viewer, &format!("/v1/{path}")), StatusCode::OK).await;
    }
    answer(api.get(&keys.viewer, &format!("/v1/jobs/{one}?wait=10ms")), StatusCode::OK).await;
    answer(api.post(&keys.agent, &format!("/v1/jobs/{one}/cancel"), &json!({})), StatusCode::OK).await;
    answer(api.post(&keys.admin, "/v1/accounts", &crate::resources::mailbox("full@example.com")), StatusCode::CREATED)
        .await;
    for action in ["pause", "resume"] {
        let path = format!("/v1/queues/diagnostics/{action}");
        answer(api.post(&api.platform_key, &path, &json!({})), StatusCode::OK).await;
    }
    assert_eq!(api.request(Method::GET, "/readyz").send().await.unwrap().status(), StatusCode::OK);

    memory_is_ample(&api, &keys).await;
    answer(api.get(&keys.viewer, &format!("/v1/jobs/{two}")), StatusCode::OK).await;
    assert_eq!(answer(redrive(), StatusCode::OK).await["state"], "redriven", "the refusal cost the letter nothing");
}
