//! A POST with an idempotency key is done once.

use reqwest::{RequestBuilder, StatusCode};
use serde_json::json;

use sea_orm::ConnectionTrait as _;

use crate::api::{Api, answer, problem};

fn keyed(request: RequestBuilder, key: &str) -> RequestBuilder {
    request.header("Idempotency-Key", key)
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer() {
    let api = Api::start().await;
    let keys = api.tenant("Once").await;
    let product = crate::resources::window();
    let post = |key: &str| keyed(api.post(&keys.admin, "/v1/products", &product), key);
    let first = post("order 1").send().await.unwrap();
    assert_eq!(first.status(), StatusCode::CREATED);
    assert!(!first.headers().contains_key("idempotent-replayed"));
    let first = first.text().await.unwrap();
    let second = post("order 1").send().await.unwrap();
    assert_eq!(second.status(), StatusCode::CREATED);
    assert_eq!(second.headers()["idempotent-replayed"], "true");
    assert_eq!(second.headers()["content-type"], "application/json");
    assert_eq!(second.text().await.unwrap(), first);

    // Another key is another request, which meets the product of the first.
    problem(post("order 2"), "already-exists").await;
    let mut other = product.clone();
    other["name"] = json!("Another window");
    problem(keyed(api.post(&keys.admin, "/v1/products", &other), "order 1"), "idempotency-key-reused").await;
    problem(post("ü"), "invalid-header").await;
    problem(post(&"x".repeat(256)), "invalid-header").await;
}

#[tokio::test]
async fn a_refusal_does_not_use_the_key_up() {
    let api = Api::start().await;
    let keys = api.tenant("Again").await;
    let mut product = crate::resources::window();
    product["formula"] = json!("1 +");
    problem(keyed(api.post(&keys.admin, "/v1/products", &product), "k"), "invalid-formula").await;
    let good = crate::resources::window();
    answer(keyed(api.post(&keys.admin, "/v1/products", &good), "k"), StatusCode::CREATED).await;
}

#[tokio::test]
async fn many_at_once_are_done_once() {
    let api = Api::start().await;
    let path = "/v1/tenants";
    let body = json!({ "name": "Stampede" });
    let calls = (0..16).map(|_| keyed(api.post(&api.platform_key, path, &body), "stampede").send());
    let mut made = 0;
    for found in futures::future::join_all(calls).await {
        let found = found.unwrap();
        match found.status() {
            StatusCode::CREATED => made += usize::from(!found.headers().contains_key("idempotent-replayed")),
            StatusCode::CONFLICT => drop(crate::api::shaped(found, "request-in-progress").await),
            other => panic!("{other}: {}", found.text().await.unwrap()),
        }
    }
    assert_eq!(made, 1);
    let all = answer(api.get(&api.platform_key, path), StatusCode::OK).await;
    assert_eq!(all["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_secret_is_not_shown_twice() {
    let api = Api::start().await;
    let keys = api.tenant("Secret").await;
    let post = || keyed(api.post(&keys.admin, "/v1/api-keys", &json!({ "name": "n", "role": "viewer" })), "k");
    let first = answer(post(), StatusCode::CREATED).await;
    let second = answer(post(), StatusCode::CREATED).await;
    assert!(first["key"].is_string());
    assert!(second["key"].is_null());
    assert_eq!(first["id"], second["id"]);
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_stop_the_work() {
    let api = Api::start().await;
    let body = json!({ "name": "Hasty" });
    let call = || keyed(api.post(&api.platform_key, "/v1/tenants", &body), "hasty");
    let cut = tokio::time::timeout(std::time::Duration::from_micros(700), call().send()).await;
    drop(cut);
    // Done by the cut request or by this one, but once.
    let made = loop {
        let found = call().send().await.unwrap();
        if found.status() != StatusCode::CONFLICT {
            break found.status();
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(made, StatusCode::CREATED);
    let all = answer(api.get(&api.platform_key, "/v1/tenants"), StatusCode::OK).await;
    assert_eq!(all["items"].as_array().unwrap().len(), 1);
}

/// The process ended between the commit and the note of its answer, more than a minute ago.
async fn forget_answers(api: &Api) {
    let lost = "UPDATE idempotent_requests SET status = NULL, headers = NULL, body = NULL, \
                created_at = '2020-01-01 00:00:00+00:00'";
    let done = api.app.database().reader().execute_unprepared(lost).await.unwrap();
    assert!(done.rows_affected() > 0);
}

#[tokio::test]
async fn a_repeat_after_a_lost_answer_finds_what_was_made() {
    let api = Api::start().await;
    let keys = api.tenant("Crash").await;
    let product = crate::resources::window();
    let mailbox = crate::resources::mailbox("crash@example.com");
    let new_key = json!({ "name": "shop", "role": "viewer" });
    let cases = [
        (&api.platform_key, "/v1/tenants", json!({ "name": "Once only" })),
        (&keys.admin, "/v1/products", product),
        (&keys.admin, "/v1/accounts", mailbox),
        (&keys.admin, "/v1/api-keys", new_key),
    ];
    for (key, path, body) in cases {
        let post = || keyed(api.post(key, path, &body), "crash");
        let count = async || answer(api.get(key, path), StatusCode::OK).await["items"].as_array().unwrap().len();
        let before = count().await;
        let first = answer(post(), StatusCode::CREATED).await;
        forget_answers(&api).await;
        let second = answer(post(), StatusCode::CREATED).await;
        assert_eq!(second["id"], first["id"], "{path}");
        assert_eq!(count().await, before + 1, "{path}");
        if let Some(text) = second["key"].as_str() {
            // The first text was never shown to anybody; the second opens.
            answer(api.get(text, "/v1/products"), StatusCode::OK).await;
        }
        // A later request under the same key, after the first was forgotten, is another request.
        if path == "/v1/tenants" {
            api.app.database().reader().execute_unprepared("DELETE FROM idempotent_requests").await.unwrap();
            let third = answer(post(), StatusCode::CREATED).await;
            assert_ne!(third["id"], first["id"]);
        }
    }
}
