//! What clients send by mistake or on purpose: each ends in a problem that says what is wrong, and harms nothing.

use postrider_tests::client::Answer;
use postrider_tests::{Api, DatabaseKind, Platform, mails};
use serde_json::{Value, json};

async fn send(api: &Api, path: &str, media_type: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = api.request(reqwest::Method::POST, path).header("content-type", media_type);
    Answer::of(request.body(body)).await
}

#[tokio::test]
async fn bodies_that_are_no_submission_are_refused_with_the_reason() {
    let platform = Platform::start().await;
    let api = platform.tenant("Gibberish").await;
    let raw = async |body: String| send(&api, "/v1/jobs", "application/json", body).await;
    raw("{\"kind\": ".to_owned()).await.problem(400, "malformed-json");
    raw("\u{0}\u{1}\u{2}".to_owned()).await.problem(400, "malformed-json");
    raw(String::new()).await.problem(400, "malformed-json");
    raw("{\"kind\":\"diagnostic.echo\",\"payload\":{\"data\":1e999}}".to_owned()).await;
    let deep = format!(
        "{{\"kind\":\"diagnostic.echo\",\"payload\":{{\"data\":{}1{}}}}}",
        "[".repeat(50_000),
        "]".repeat(50_000)
    );
    raw(deep).await.problem(422, "too-deep");
    let huge = format!("{{\"kind\":\"diagnostic.echo\",\"payload\":{{\"data\":\"{}\"}}}}", "x".repeat(11_000_000));
    // Every time: an answer that comes while the body is still on its way must not get lost.
    for _ in 0..20 {
        raw(huge.clone()).await.problem(413, "payload-too-large");
    }
    send(&api, "/v1/jobs", "text/xml", "<job/>").await.problem(415, "unsupported-media-type");

    let post = async |body: Value| api.post("/v1/jobs", &body).await;
    post(json!("diagnostic.echo")).await.problem(422, "invalid-body");
    post(json!({ "kind": 7 })).await.problem(422, "invalid-body");
    post(json!({ "kind": "diagnostic.echo", "colour": "red" })).await.problem(422, "invalid-body");
    post(json!({ "kind": "Not A Kind!" })).await.problem(422, "unknown-kind");
    post(json!({ "kind": "diagnostic.nothing" })).await.problem(422, "unknown-kind");
    post(json!({ "kind": "send_email", "payload": {} })).await.problem(422, "kind-not-submittable");
    for payload in [
        json!({ "ms": "soon" }),
        json!({ "ms": -1 }),
        json!({ "ms": 1.5 }),
        json!({}),
        json!([]),
        json!(null),
        json!({ "ms": 600_001 }),
    ] {
        post(json!({ "kind": "diagnostic.sleep", "payload": payload })).await.problem(422, "invalid-payload");
    }
    for (field, value) in [
        ("run_at", json!("tomorrow")),
        ("run_at", json!("+10000-01-01T00:00:00Z")),
        ("max_attempts", json!(0)),
        ("max_attempts", json!(101)),
        ("unique_key", json!("")),
        ("unique_key", json!("x".repeat(300))),
        ("idempotency_key", json!("with\nnewline")),
        ("lane", json!("Not A Lane")),
        ("queue", json!("../../etc")),
    ] {
        let mut body = json!({ "kind": "diagnostic.echo" });
        body[field] = value;
        let problem = post(body.clone()).await.problem(422, "invalid-body");
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{body}: {problem}");
    }
    platform.finish().await;
}

#[tokio::test]
async fn strange_paths_queries_and_headers_are_answered() {
    let platform = Platform::start().await;
    let api = platform.tenant("Explorers").await;
    for id in ["job_", "job_zzzzzzzzzzzzzzzzzzzzzzzzzz", "%00", "..%2f..%2fetc", "1", "job_00000000000000000000000000"]
    {
        let answer = api.get(&format!("/v1/jobs/{id}")).await;
        assert!(matches!(answer.status, 400 | 404), "{id}: {answer:#?}");
        assert!(
            answer.header("content-type").is_some_and(|kind| kind.starts_with("application/problem+json")),
            "{answer:#?}"
        );
    }
    for query in ["state=happy", "limit=0", "limit=201", "limit=-1", "cursor=%F0%9F%92%A9", "unknown=1", "kind=A%20B"] {
        api.get(&format!("/v1/jobs?{query}")).await.problem(400, "invalid-query");
    }
    api.request(reqwest::Method::PUT, "/v1/jobs").send().await.map(|answer| assert_eq!(answer.status(), 405)).unwrap();
    let request = api
        .request(reqwest::Method::POST, "/v1/jobs")
        .header("Idempotency-Key", " ")
        .json(&json!({ "kind": "diagnostic.echo" }));
    Answer::of(request).await.problem(400, "invalid-header");
    api.for_tenant("not-a-tenant").get("/v1/jobs").await.problem(404, "not-found");
    api.for_tenant("00000000-0000-7000-8000-000000000000").get("/v1/jobs").await.problem(404, "not-found");
    platform.finish().await;
}

/// Whatever a caller sends, it makes no line of its own in a log for people and no header of its own in an answer.
#[tokio::test]
async fn nobody_writes_into_logs_or_headers() {
    let platform = forgeries("text", "x\r\nFORGED: 2026-01-01T00:00:00Z INFO all is well").await;
    for process in platform.processes() {
        let log = process.log();
        let forged = log.lines().find(|line| line.trim_start().starts_with("FORGED"));
        assert!(forged.is_none(), "{} has this line: {forged:?}", process.name());
        assert!(!log.is_empty(), "{} says something", process.name());
    }
    platform.finish().await;
}

/// Nor a line or a member of its own in a log for machines.
#[tokio::test]
async fn nobody_writes_into_logs_for_machines() {
    let forged = "x\",\"FORGED\":\"yes\",\"level\":\"INFO\"}\r\n{\"FORGED\":\"yes\",\"level\":\"INFO\"}\n\u{1b}[2K";
    let platform = forgeries("json", forged).await;
    for process in platform.processes() {
        let log = process.log();
        let mut told = false;
        // The first key is for whoever starts it, and no event.
        for line in log.lines().filter(|line| !line.starts_with("platform key (shown once): ")) {
            let event = serde_json::from_str::<Value>(line);
            let event = event.unwrap_or_else(|error| panic!("{} has this line: {line:?}: {error}", process.name()));
            let has = |name: &str| event[name].is_string();
            assert!(has("timestamp") && has("level") && has("target"), "{} has {line}", process.name());
            assert!(!line.chars().any(char::is_control), "{} has {line:?}", process.name());
            // As a text within a text it may stand there.
            assert!(!members(&event).contains(&"FORGED".to_owned()), "{} has {line}", process.name());
            told |= line.contains("FORGED");
        }
        assert!(!log.is_empty(), "{} says something", process.name());
        if process.name().contains("worker") {
            assert!(told, "the error of the job that died is in a worker's log");
        }
    }
    platform.finish().await;
}

/// The names of all members, however deep.
fn members(json: &Value) -> Vec<String> {
    match json {
        Value::Object(all) => {
            all.iter().flat_map(|(name, value)| std::iter::once(name.clone()).chain(members(value))).collect()
        }
        Value::Array(all) => all.iter().flat_map(members).collect(),
        _ => Vec::new(),
    }
}

/// Sends what is forged wherever a caller may say something; whoever forges gets no header of their own.
async fn forgeries(format: &str, forged: &str) -> Platform {
    let platform = Platform::with(DatabaseKind::Sqlite)
        .setting("LOG_FORMAT", &format)
        .setting("RUST_LOG", &"debug,hyper=info,sqlx=info,h2=info")
        .start()
        .await;
    let api = platform.tenant("Forgers").await;
    let echo = |member: &str| json!({ "kind": "diagnostic.echo", "payload": { "data": forged }, member: forged });
    let mut sent = Vec::new();
    for member in ["kind", "queue", "lane", "unique_key", "idempotency_key", "batch_id", "run_at", "priority", forged] {
        sent.push(api.post("/v1/jobs", &echo(member)).await);
    }
    let fail = json!({ "kind": "diagnostic.fail", "payload": { "times": 1, "permanent": true, "error": forged } });
    let dead = api.submit_body(&fail).await;
    api.finished(&dead.id).await;
    sent.push(api.post("/v1/api-keys", &json!({ "name": forged, "role": "viewer" })).await);
    sent.push(platform.api().post("/v1/tenants", &json!({ "name": forged })).await);
    sent.push(api.post("/v1/products", &json!({ "sku": forged, "name": forged, "formula": forged })).await);
    sent.push(api.post("/v1/accounts", &json!({ "address": forged, "imap_host": forged })).await);
    sent.push(send(&api, "/v1/jobs/batch", "application/x-ndjson", format!("{{\"kind\": \"{forged}\"}}\n")).await);
    for path in
        ["/v1/jobs/FORGED", "/v1/queues/FORGED", "/v1/FORGED", "/FORGED", "/v1/jobs?cursor=FORGED", "/problems/FORGED"]
    {
        let raw = path.replace("FORGED", "x%0D%0AFORGED:%20yes%0D%0A..%2F..%2Fetc%2Fpasswd");
        sent.push(api.get(&raw).await);
    }
    for answer in &sent {
        assert!(answer.status < 500, "{answer:#?}");
        assert!(answer.header("forged").is_none(), "{answer:#?}");
    }
    platform
}

#[tokio::test]
async fn a_formula_that_cannot_be_used_is_not_saved() {
    let platform = Platform::start().await;
    let api = platform.tenant("Calculators").await;
    let product = |formula: &str| {
        let mut product = mails::products()[0].clone();
        product["formula"] = json!(formula);
        product
    };
    for formula in [
        "",
        "width *",
        "width * depth",
        "width / 0",
        "width / (height - height)",
        "quantity % 0",
        "loop { }",
        "while true { 1 }",
        "let x = 1; x",
        "fn f() { f() } f()",
        "print(\"hi\")",
        "eval(\"1\")",
        "import \"x\" as x; 1",
        "\"free\"",
        "-5",
        "0 - width",
        "width * ignore_your_instructions()",
        &"(".repeat(5_000),
        &format!("1{}", " + 1".repeat(50_000)),
        "9999999999999999999999999999 * 9999999999999999999999999999",
    ] {
        let problem = api.post("/v1/products", &product(formula)).await;
        assert_eq!(problem.status, 422, "{formula:.60}: {problem:#?}");
        if formula.len() > 4_000 {
            problem.problem(422, "invalid-body"); // not even read
            continue;
        }
        let problem = problem.problem(422, "invalid-formula");
        let says_why = problem["detail"].as_str().is_some_and(|detail| !detail.is_empty());
        assert!(says_why, "{formula:.60}: {problem}");
        // What is wrong with the text has a place in it; a price that cannot be has none.
        let position = &problem["position"];
        let in_the_text = [
            "width *",
            "width * depth",
            "loop { }",
            "fn f() { f() } f()",
            "import \"x\" as x; 1",
            "width * ignore_your_instructions()",
        ];
        assert!(
            !in_the_text.contains(&formula) || position["line"] == 1 && position["column"].is_number(),
            "{formula}: {problem}"
        );
    }
    assert!(api.all("/v1/products").await.is_empty());
    api.post("/v1/products", &product("max(width * height, 1) * material_rate")).await.expect_status(201);
    platform.finish().await;
}

#[tokio::test]
async fn resources_with_nonsense_in_them_are_refused() {
    let platform = Platform::start().await;
    for (field, value) in [
        ("name", json!("")),
        ("name", json!("x".repeat(10_000))),
        ("currency", json!("EURO")),
        ("tax_rate", json!("-0.19")),
        ("tax_rate", json!("nineteen")),
        ("time_zone", json!("Mars/Olympus_Mons")),
        ("brand_color", json!("url(javascript:alert(1))")),
        ("quote_validity_days", json!(-1)),
    ] {
        let mut tenant = mails::workshop();
        tenant[field] = value;
        let answer = platform.api().post("/v1/tenants", &tenant).await;
        assert_eq!(answer.status, 422, "{field}: {answer:#?}");
    }
    let api = platform.tenant("Nonsense").await;
    for (field, value) in [
        ("sku", json!("")),
        ("dimensions", json!([{ "name": "width", "unit": "parsec", "min": "1", "max": "2", "aliases": [] }])),
        ("dimensions", json!([{ "name": "width", "unit": "mm", "min": "9", "max": "2", "aliases": [] }])),
        ("dimensions", json!([{ "name": "quantity", "unit": "mm", "min": "1", "max": "2", "aliases": [] }])),
        ("min_quantity", json!("-1")),
        ("max_quantity", json!("0")),
        ("materials", json!([{ "code": "A", "name": "A", "rate": "-4", "aliases": [] }])),
    ] {
        let mut product = mails::products()[0].clone();
        product[field] = value;
        let answer = api.post("/v1/products", &product).await;
        assert_eq!(answer.status, 422, "{field}: {answer:#?}");
    }
    for (field, value) in [
        ("address", json!("not an address")),
        ("imap_port", json!(0)),
        ("imap_port", json!(70_000)),
        ("imap_security", json!("none")),
        ("daily_cap", json!(-1)),
        ("poll_interval_seconds", json!(0)),
        ("time_zone", json!("Nowhere")),
        ("password", json!("")),
    ] {
        let mut account = json!({
            "address": "a@b.example", "password": "x",
            "imap_host": "127.0.0.1", "imap_port": 1, "imap_security": "plain", "imap_username": "a",
            "smtp_host": "127.0.0.1", "smtp_port": 1, "smtp_security": "plain", "smtp_username": "a",
        });
        account[field] = value;
        let answer = api.post("/v1/accounts", &account).await;
        assert_eq!(answer.status, 422, "{field}: {answer:#?}");
    }
    platform.finish().await;
}
