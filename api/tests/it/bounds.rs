//! Every failure is a problem of the catalogue, whoever notices it first.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::api::{Api, answer, problem};

#[tokio::test]
async fn whatever_is_wrong_is_answered_with_a_problem() {
    let api = Api::start().await;
    let keys = api.tenant("Bounds").await;
    let raw = |content_type: &'static str, body: &str| {
        let request = api.request(Method::POST, "/v1/jobs").bearer_auth(&keys.agent);
        request.header("content-type", content_type).body(body.to_owned())
    };

    problem(api.get(&keys.agent, "/v1/nonsense"), "no-such-path").await;
    problem(api.request(Method::GET, "/"), "no-such-path").await;
    let refused = api.request(Method::PUT, "/v1/jobs").bearer_auth(&keys.agent).send().await.unwrap();
    let allowed = refused.headers()["allow"].to_str().unwrap().to_owned();
    assert!(allowed.contains("GET") && allowed.contains("POST"), "{allowed}");
    crate::api::shaped(refused, "method-not-allowed").await;
    problem(raw("text/plain", "{}"), "unsupported-media-type").await;
    problem(api.request(Method::POST, "/v1/jobs").bearer_auth(&keys.agent), "unsupported-media-type").await;

    let malformed = problem(raw("application/json", "{\n  \"kind\": diagnostic.echo }"), "malformed-json").await;
    assert_eq!(malformed["position"], json!({ "line": 2, "column": 11 }));
    problem(raw("application/json", "{\"kind\": \"diagnostic.echo\"} trailing"), "malformed-json").await;
    problem(raw("application/json", ""), "malformed-json").await;

    let unknown = problem(raw("application/json", r#"{"kind": "diagnostic.echo", "colour": 1}"#), "invalid-body").await;
    assert_eq!(unknown["errors"][0]["pointer"], "/colour");
    let nul = r#"{"kind": "diagnostic.echo", "payload": {"data": "a\u0000"}}"#;
    problem(raw("application/json", nul), "invalid-body").await;
    problem(raw("application/json", r#"{"kind": "diagnostic.echo", "kind": "diagnostic.sleep"}"#), "invalid-body")
        .await;

    // A member that comes twice is refused wherever it stands, and an array is no object.
    for (body, slug) in [
        (r#"{"kind": "diagnostic.echo", "payload": {"data": 1, "data": 2}}"#, "invalid-body"),
        (r#"{"kind": "diagnostic.echo", "payload": {"data": [{"a": 1, "b": 2, "a": 3}]}}"#, "invalid-body"),
        (r#"{"kind": "diagnostic.echo", "payload": [1, null]}"#, "invalid-payload"),
        (r#"["diagnostic.echo", {}]"#, "invalid-body"),
        ("[1, ", "malformed-json"),
    ] {
        problem(raw("application/json", body), slug).await;
    }
    let twice = r#"{"kind": "diagnostic.echo", "payload": {"data": 1, "data": 2}}"#;
    let twice = problem(raw("application/json", twice), "invalid-body").await;
    assert_eq!(twice["errors"][0]["pointer"], "/payload", "{twice}");

    for query in
        ["/v1/jobs?colour=1", "/v1/jobs?limit=0", "/v1/jobs?limit=201", "/v1/jobs?limit=x", "/v1/jobs?state=lost"]
    {
        problem(api.get(&keys.viewer, query), "invalid-query").await;
    }
    problem(api.get(&keys.viewer, "/v1/products?cursor=nonsense"), "invalid-query").await;
    problem(api.get(&keys.viewer, "/v1/quotes/nonsense"), "not-found").await;
    problem(api.get(&keys.viewer, "/v1/jobs/job_nonsense"), "not-found").await;
}

#[tokio::test]
async fn deep_and_huge_json_is_refused() {
    let api = Api::start().await;
    let keys = api.tenant("Deep").await;
    let send = |body: String| {
        let request = api.request(Method::POST, "/v1/jobs").bearer_auth(&keys.agent);
        request.header("content-type", "application/json").body(body)
    };
    let nested = |depth: usize| {
        format!(r#"{{"kind": "diagnostic.echo", "payload": {{"data": {}{}}}}}"#, "[".repeat(depth), "]".repeat(depth))
    };
    answer(send(nested(62)), StatusCode::ACCEPTED).await;
    problem(send(nested(63)), "too-deep").await;
    problem(send(nested(100_000)), "too-deep").await;
    problem(send("[".repeat(200_000)), "too-deep").await;

    let of_size =
        |bytes: usize| format!(r#"{{"kind": "diagnostic.echo", "payload": {{"data": "{}"}}}}"#, "x".repeat(bytes));
    answer(send(of_size(1024 * 1024 - 11)), StatusCode::ACCEPTED).await;
    problem(send(of_size(1024 * 1024 - 10)), "payload-too-large").await;
    problem(send(of_size(2 * 1024 * 1024)), "payload-too-large").await;
}

#[tokio::test]
async fn a_request_has_a_name_in_and_out() {
    let api = Api::start().await;
    let named = api.request(Method::GET, "/healthz").header("X-Request-Id", "mine-1").send().await.unwrap();
    assert_eq!(named.headers()["x-request-id"], "mine-1");
    let odd = api.request(Method::GET, "/healthz").header("X-Request-Id", "a b").send().await.unwrap();
    assert_ne!(odd.headers()["x-request-id"], "a b");
    for header in ["x-content-type-options", "x-frame-options", "referrer-policy", "content-security-policy"] {
        assert!(odd.headers().contains_key(header), "{header}");
    }
}

#[tokio::test]
async fn problems_say_what_they_are() {
    let api = Api::start().await;
    let all = answer(api.request(Method::GET, "/problems"), StatusCode::OK).await;
    for entry in all.as_array().unwrap() {
        let page = answer(api.request(Method::GET, entry["type"].as_str().unwrap()), StatusCode::OK).await;
        assert_eq!(&page, entry);
    }
    problem(api.request(Method::GET, "/problems/none"), "not-found").await;
}

#[tokio::test]
async fn the_documentation_is_served_from_here() {
    let api = Api::start().await;
    let document = answer(api.request(Method::GET, "/openapi.json"), StatusCode::OK).await;
    assert_eq!(&document, postrider_api::router::document().unwrap().as_value());
    let page = api.request(Method::GET, "/docs/").send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    let page = page.text().await.unwrap();
    assert!(page.contains("swagger-ui") && !page.contains("https://"), "{page}");
    let script = api.request(Method::GET, "/docs/swagger-initializer.js").send().await.unwrap().text().await.unwrap();
    assert!(script.contains("/openapi.json"), "{script}");
}

#[tokio::test]
async fn odd_dates_names_and_keys_are_taken_or_named() {
    let api = Api::start().await;
    let keys = api.tenant("Odd").await;
    let echo = |member: &str, value: serde_json::Value| json!({ "kind": "diagnostic.echo", member: value });
    for (at, state) in [
        ("0001-01-01T00:00:00Z", "available"),
        ("1969-12-31T23:59:59Z", "available"),
        ("9999-12-31T23:59:59Z", "scheduled"),
    ] {
        let id =
            answer(api.post(&keys.agent, "/v1/jobs", &echo("run_at", json!(at))), StatusCode::ACCEPTED).await["id"]
                .clone();
        let path = format!("/v1/jobs/{}", id.as_str().unwrap());
        let job = answer(api.get(&keys.viewer, &path), StatusCode::OK).await;
        assert_eq!(job["state"], state, "{at}: {job}");
    }
    for lane in ["{pr:0}", "braces}{", "🦀🧵", "é"] {
        let body = echo("lane", json!(lane));
        let id = answer(api.post(&keys.agent, "/v1/jobs", &body), StatusCode::ACCEPTED).await["id"].clone();
        let path = format!("/v1/jobs/{}", id.as_str().unwrap());
        assert_eq!(answer(api.get(&keys.viewer, &path), StatusCode::OK).await["lane"], lane);
    }
    for (member, value) in [
        ("run_at", json!("+10000-01-01T00:00:00Z")),
        ("run_at", json!("9999-13-01T00:00:00Z")),
        ("lane", json!("with space")),
        ("lane", json!("no\u{a0}break")),
        ("lane", json!("x".repeat(10_000))),
        ("queue", json!("🦀")),
        ("queue", json!("{email}")),
        ("queue", json!("e mail")),
        ("unique_key", json!("k".repeat(10_000))),
        ("idempotency_key", json!("k".repeat(10_000))),
        ("idempotency_key", json!("🦀")),
        ("max_attempts", json!(-1)),
        ("max_attempts", json!(9_223_372_036_854_775_808_u64)),
    ] {
        let refused = problem(api.post(&keys.agent, "/v1/jobs", &echo(member, value)), "invalid-body").await;
        assert_eq!(refused["errors"][0]["pointer"], format!("/{member}"), "{refused}");
        assert!(refused.to_string().len() < 1_500, "the value is not repeated at length: {refused}");
    }
    let header = api.post(&keys.agent, "/v1/jobs", &json!({ "kind": "diagnostic.echo" }));
    problem(header.header("Idempotency-Key", "k".repeat(5_000)), "invalid-header").await;
    for cap in [json!(1_u64 << 63), json!(-1), json!(1_000_001), json!(0.5), json!("many")] {
        let mut account = crate::resources::mailbox("cap@example.com");
        account["daily_cap"] = cap;
        let refused = problem(api.post(&keys.admin, "/v1/accounts", &account), "invalid-body").await;
        assert_eq!(refused["errors"][0]["pointer"], "/daily_cap", "{refused}");
    }
    // A mailbox that may send nothing is a mailbox.
    let mut account = crate::resources::mailbox("cap@example.com");
    account["daily_cap"] = json!(0);
    assert_eq!(answer(api.post(&keys.admin, "/v1/accounts", &account), StatusCode::CREATED).await["daily_cap"], 0);
}

#[tokio::test]
async fn what_is_refused_is_not_repeated_at_length() {
    const LONG: usize = 200_000;
    let api = Api::start().await;
    let keys = api.tenant("Echoes").await;
    let long = "é".repeat(LONG / 2);
    let short = |refused: &serde_json::Value| {
        let told = refused.to_string();
        assert!(told.len() < 5_000, "{} bytes: {:.200}", told.len(), told);
        refused["errors"][0]["pointer"].as_str().unwrap_or_default().to_owned()
    };
    let priority = json!({ "kind": "diagnostic.echo", "priority": long });
    let refused = problem(api.post(&keys.agent, "/v1/jobs", &priority), "invalid-body").await;
    assert_eq!(short(&refused), "/priority");
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.starts_with("unknown variant `éé") && detail.ends_with("`low`, `normal`, `high`"), "{detail}");
    for body in [
        json!({ "kind": "diagnostic.echo", long.as_str(): 1 }),
        json!({ "kind": "diagnostic.echo", "max_attempts": long }),
        json!({ "kind": "diagnostic.sleep", "payload": { "ms": long } }),
        json!({ "kind": "diagnostic.sleep", "payload": { long.as_str(): 1 } }),
    ] {
        let refused = api.post(&keys.agent, "/v1/jobs", &body).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
        short(&refused.json().await.unwrap());
    }
    let approval = json!({ "items": [{ "sku": "x", "quantity": long }] });
    let path = "/v1/quotes/0197f3a0-5c1e-7d2a-9b1f-3c5d7e9f1a2b/approve";
    short(&problem(api.post(&keys.agent, path, &approval), "invalid-body").await);
    // Nor for each line of a stream, whose results are kept until it ends.
    let lines = format!("{priority}\n").repeat(20);
    let sent = api.request(Method::POST, "/v1/jobs/batch").bearer_auth(&keys.agent);
    let sent = sent.header("content-type", "application/x-ndjson").body(lines).send().await.unwrap();
    assert_eq!(sent.status(), StatusCode::MULTI_STATUS);
    for line in sent.text().await.unwrap().lines() {
        let result: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(short(&result["problem"]), "/priority");
    }
}
