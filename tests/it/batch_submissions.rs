//! `POST /v1/jobs/batch`.

use postrider_tests::client::Answer;
use postrider_tests::{Api, Platform};
use serde_json::{Value, json};

async fn lines(api: &Api, body: String, key: Option<&str>) -> Answer {
    let mut request =
        api.request(reqwest::Method::POST, "/v1/jobs/batch").header("content-type", "application/x-ndjson");
    if let Some(key) = key {
        request = request.header("Idempotency-Key", key);
    }
    Answer::of(request.body(body)).await
}

/// A body of lines: one JSON value each.
fn results(answer: &Answer) -> Vec<Value> {
    match &answer.body {
        Value::String(text) => text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
        one => vec![one.clone()],
    }
}

#[tokio::test]
async fn an_array_of_jobs_is_accepted_one_by_one() {
    let platform = Platform::start().await;
    let api = platform.tenant("Wholesale").await;
    let jobs = json!([
        { "kind": "diagnostic.echo", "payload": { "data": 0 } },
        { "kind": "diagnostic.unheard_of" },
        { "kind": "diagnostic.echo", "payload": { "data": 2 } },
        { "kind": "diagnostic.sleep", "payload": { "ms": "long" } },
    ]);
    let answer = api.post("/v1/jobs/batch", &jobs).await.expect_status(207).body;
    assert_eq!((&answer["accepted"], &answer["refused"]), (&json!(2), &json!(2)), "{answer:#}");
    let statuses: Vec<u64> = (0..4).map(|index| answer["items"][index]["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [202, 422, 202, 422]);
    for index in [0, 2] {
        let done = api.finished(answer["items"][index]["id"].as_str().unwrap()).await;
        assert_eq!(done.output, Some(json!(index)));
    }
    platform.finish().await;
}

#[tokio::test]
async fn lines_of_jobs_are_accepted_and_a_repeat_adds_what_is_missing() {
    let platform = Platform::start().await;
    let api = platform.tenant("Streamers").await;
    let line = |n: usize| format!("{{\"kind\":\"diagnostic.echo\",\"payload\":{{\"data\":{n}}}}}\n");
    let some: String = (0..700).map(line).collect();
    let all: String = (0..1500).map(line).collect();
    let first = results(&lines(&api, some, Some("import-1")).await.expect_status(202));
    let second = results(&lines(&api, all, Some("import-1")).await.expect_status(202));
    assert_eq!((first.len(), second.len()), (700, 1500));
    for (index, result) in second.iter().enumerate() {
        assert_eq!(result["index"], index);
        assert_eq!(result["existed"], index < 700, "{result}");
        assert!(index >= 700 || result["id"] == first[index]["id"], "{result}");
    }
    let last = second.last().unwrap()["id"].as_str().unwrap().to_owned();
    assert_eq!(api.finished(&last).await.output, Some(json!(1499)));
    platform.finish().await;
}

#[tokio::test]
async fn a_bad_line_harms_only_itself() {
    let platform = Platform::start().await;
    let api = platform.tenant("Sloppy").await;
    let good = "{\"kind\":\"diagnostic.echo\"}";
    // Longer than PAYLOAD_LIMIT_BYTES.
    let long = format!("{{\"kind\":\"diagnostic.echo\",\"payload\":{{\"data\":\"{}\"}}}}", "x".repeat(11 << 20));
    let body = format!("{good}\n\nnot json\n{long}\n{good}\n");
    let answer = lines(&api, body, None).await.expect_status(207);
    let found: Vec<(Value, Value)> =
        results(&answer).into_iter().map(|item| (item["index"].clone(), item["status"].clone())).collect();
    let wanted = [(0, 202), (1, 400), (2, 413), (3, 202)].map(|(index, status)| (json!(index), json!(status)));
    assert_eq!(found, wanted);
    platform.finish().await;
}
