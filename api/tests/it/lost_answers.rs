//! Whoever did not get the answer to a POST with an idempotency key sends it again: it is still done once.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use postrider_api::limits::Peer;
use postrider_api::router::router;
use reqwest::{RequestBuilder, StatusCode};
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::api::{Api, TenantKeys, answer, problem};
use crate::idempotency::keyed;
use crate::matrix::recipes::{body, fresh};
use crate::operations::operations;
use crate::resources::LOGO;
use crate::wait::until;

#[tokio::test]
async fn a_client_that_hangs_up_does_not_stop_the_work() {
    let api = Api::start().await;
    let body = json!({ "name": "Hasty" });
    let call = || keyed(api.post(&api.platform_key, "/v1/tenants", &body), "hasty");
    let cut = tokio::time::timeout(Duration::from_micros(700), call().send()).await;
    drop(cut);
    // Done by the cut request or by this one, but once.
    let (status, made) = repeated(call).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let all = answer(api.get(&api.platform_key, "/v1/tenants"), StatusCode::OK).await;
    assert_eq!(all["items"].as_array().unwrap().len(), 1);
}

/// The process ended between the commit and the note of its answer, a while ago.
async fn forget_answers(api: &Api) {
    let lost = "UPDATE idempotent_requests SET status = NULL, headers = NULL, body = NULL, \
                created_at = '2020-01-01 00:00:00+00:00', leased_until = '2020-01-01 00:00:00+00:00'";
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

/// Polls a future so often, and drops it: as if its caller had gone there.
struct CutAfter<F>(F, usize);

impl<F: Future + Unpin> Future for CutAfter<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.1 == 0 {
            return Poll::Ready(None);
        }
        self.1 -= 1;
        Pin::new(&mut self.0).poll(context).map(Some)
    }
}

/// Repeats a request until it is no longer said to be under way.
async fn repeated(request: impl Fn() -> RequestBuilder) -> (StatusCode, Value) {
    until("it is no longer in progress", async || {
        let response = request().send().await.unwrap();
        let (status, answer) = (response.status(), response.json::<Value>().await.unwrap_or_default());
        (answer["type"] != "/problems/request-in-progress").then_some((status, answer))
    })
    .await
}

#[tokio::test]
async fn a_client_may_be_cut_off_at_any_moment() {
    let api = Api::start().await;
    let keys = api.tenant("Cut").await;
    let routes = router(api.app.clone()).unwrap();
    let mut cuts = 0;
    // From the first poll to the one that answers.
    for polls in 1.. {
        let mut product = crate::resources::window();
        product["sku"] = json!(format!("CUT-{polls}"));
        let key = format!("cut {polls}");
        let mut request = axum::http::Request::post("/v1/products")
            .header("host", "localhost")
            .header("authorization", format!("Bearer {}", keys.admin))
            .header("content-type", "application/json")
            .header("idempotency-key", &key)
            .body(Body::from(product.to_string()))
            .unwrap();
        request.extensions_mut().insert(Peer([127, 0, 0, 1].into()));
        let answered = CutAfter(pin!(routes.clone().oneshot(request)), polls).await;
        let (status, made) = repeated(|| keyed(api.post(&keys.admin, "/v1/products", &product), &key)).await;
        assert_eq!(status, StatusCode::CREATED, "cut after {polls} polls: {made}");
        if answered.is_some() {
            break;
        }
        cuts += 1;
    }
    assert!(cuts >= 1, "only {cuts} moments");
    let all = answer(api.get(&keys.admin, "/v1/products?limit=200"), StatusCode::OK).await;
    assert_eq!(all["items"].as_array().unwrap().len(), cuts + 1, "one product for each request");
}

#[tokio::test]
async fn a_client_that_is_cut_off_leaves_no_logo_that_nobody_uses() {
    let api = Api::start().await;
    let keys = api.tenant("Cut").await;
    let routes = router(api.app.clone()).unwrap();
    let path = format!("/v1/tenants/{}", keys.id);
    for polls in 1.. {
        let mut request = axum::http::Request::patch(&path)
            .header("host", "localhost")
            .header("authorization", format!("Bearer {}", keys.admin))
            .header("content-type", "application/json")
            .body(Body::from(json!({ "logo": LOGO }).to_string()))
            .unwrap();
        request.extensions_mut().insert(Peer([127, 0, 0, 1].into()));
        if CutAfter(pin!(routes.clone().oneshot(request)), polls).await.is_some() {
            break;
        }
    }
    until("all is done", async || api.app.tasks().is_empty().then_some(())).await;
    let files = api.app.objects().delete_some(&keys.id, 1_000).await.unwrap();
    assert_eq!(files, 1, "the one that the tenant's row names");
    let changes = answer(api.get(&keys.admin, "/v1/audit-events?limit=200"), StatusCode::OK).await;
    let changes = changes["items"].as_array().unwrap();
    assert!(changes.iter().any(|change| change["operation"] == "change_tenant"), "{changes:?}");
}

#[tokio::test]
async fn sockets_that_break_at_random_moments_leave_one_effect() {
    let api = Api::start().await;
    let keys = api.tenant("Broken").await;
    for round in 0..40_u64 {
        let body = json!({ "name": format!("key {round}"), "role": "viewer" });
        let key = format!("broken {round}");
        let call = || keyed(api.post(&keys.admin, "/v1/api-keys", &body), &key);
        // Spread over the time that a request takes.
        let cut = tokio::time::timeout(Duration::from_micros(round * 317 % 12_000), call().send()).await;
        drop(cut);
        let (status, made) = repeated(call).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
    }
    let all = answer(api.get(&keys.admin, "/v1/api-keys?limit=200"), StatusCode::OK).await;
    assert_eq!(all["items"].as_array().unwrap().len(), 40 + 3, "one key for each request");
}

/// What the same request is answered twice, with the first answer lost on our side in between: it is worked on again, not replayed.
async fn twice(api: &Api, keys: &TenantKeys, path: &str, body: &Value) -> (Value, Value) {
    let post = || keyed(api.post(&keys.admin, path, body), "lost");
    let sent = async || {
        let response = post().send().await.unwrap();
        assert!(response.status().is_success(), "{path}: {}", response.text().await.unwrap());
        assert!(!response.headers().contains_key("idempotent-replayed"));
        response.json::<Value>().await.unwrap_or_default()
    };
    let first = sent().await;
    forget_answers(api).await;
    (first, sent().await)
}

#[tokio::test]
async fn what_was_done_before_a_kill_is_not_done_again() {
    let api = Api::start().await;
    let with = async |name: &str| {
        let operation = operations().into_iter().find(|operation| operation.id == name).unwrap();
        fresh(&api, &operation).await
    };
    let subject = with("rotate_api_key").await;
    let keys = &subject.keys;

    // A key that is rotated: the text that nobody was told makes way, and the one in use goes on opening.
    let (_, told) = twice(&api, keys, &subject.path("/v1/api-keys/{id}/rotate"), &json!({})).await;
    for text in [keys.viewer.as_str(), told["key"].as_str().unwrap()] {
        answer(api.get(text, "/v1/products"), StatusCode::OK).await;
    }

    for (path, body) in [
        ("/v1/batches", json!({})),
        ("/v1/dead-letters/discard", json!({ "group": "none" })),
        ("/v1/dead-letters/redrive", json!({ "group": "none" })),
        ("/v1/jobs/cancel", json!({ "kind": "none" })),
    ] {
        let (first, second) = twice(&api, keys, path, &body).await;
        assert_eq!(second["id"], first["id"], "{path}");
    }

    // What the state of a thing would refuse the second time.
    for (name, operation) in
        [("approve_quote", "/v1/quotes/{id}/approve"), ("settle_message", "/v1/messages/{id}/settle")]
    {
        let subject = with(name).await;
        let (first, second) = twice(&api, &subject.keys, &subject.path(operation), &body(name).unwrap()).await;
        assert_eq!(second["state"], first["state"], "{operation}");
    }
    // A job that waits for its time, and then does not any more: for another request it needs no retry.
    let subject = with("retry_job").await;
    let keys = &subject.keys;
    let retry = subject.path("/v1/jobs/{id}/retry");
    let (first, second) = twice(&api, keys, &retry, &Value::Null).await;
    assert_eq!((&second["id"], &second["state"]), (&first["id"], &first["state"]));
    problem(keyed(api.post(&keys.admin, &retry, &Value::Null), "another request"), "state-conflict").await;
    // Nor did a run retry it that never saw it waiting.
    forget_answers(&api).await;
    let unseen = "UPDATE idempotent_requests SET committed = FALSE";
    api.app.database().reader().execute_unprepared(unseen).await.unwrap();
    problem(keyed(api.post(&keys.admin, &retry, &Value::Null), "lost"), "state-conflict").await;

    // A quote that is offered again, and whose state would allow it once more.
    let subject = with("renew_quote").await;
    let keys = &subject.keys;
    let (first, _) = twice(&api, keys, &subject.path("/v1/quotes/{id}/renew"), &Value::Null).await;
    let quote = answer(api.get(&keys.admin, &subject.path("/v1/quotes/{id}")), StatusCode::OK).await;
    assert_eq!(quote["revision"], first["revision"], "one revision more, not two");
}

/// What the things derive from that a request makes.
async fn seeds(api: &Api) -> Vec<uuid::Uuid> {
    let reader = api.app.database().reader();
    let sql = Statement::from_string(reader.get_database_backend(), "SELECT seed FROM idempotent_requests");
    let rows = reader.query_all_raw(sql).await.unwrap();
    rows.iter().map(|row| row.try_get("", "seed").unwrap()).collect()
}

#[tokio::test]
async fn a_repeat_after_a_failure_carries_on_with_the_same_request() {
    let mut api = Api::start().await;
    let keys = api.tenant("Carries on").await;
    api.redis.kill();
    let body = json!({ "kind": "none" });
    let call = || keyed(api.post(&keys.admin, "/v1/jobs/cancel", &body), "carry on");
    // Whether the job came in, nobody knows.
    problem(call(), "queue-unavailable").await;
    let before = seeds(&api).await;
    assert_eq!(before.len(), 1, "the request is remembered");
    api.redis.restart().await;
    until("the queue is back", async || {
        let call = keyed(api.post(&keys.admin, "/v1/jobs/cancel", &body), "carry on");
        (call.send().await.unwrap().status() == StatusCode::ACCEPTED).then_some(())
    })
    .await;
    assert_eq!(seeds(&api).await, before, "what it makes has the same ids");
}
