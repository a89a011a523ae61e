//! A POST with an idempotency key is done once.

use postrider_shared::seal::KeyRing;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::api::{Api, answer, problem};
use crate::matrix::recipes::{OF_PEOPLE, Subject, body, fresh};
use crate::matrix::start;
use crate::matrix::strangers::open;
use crate::operations::{Operation, operations};

pub fn keyed(request: RequestBuilder, key: &str) -> RequestBuilder {
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

/// A call of an operation by somebody who may do it, on the subject's things.
fn call(api: &Api, subject: &Subject, operation: &Operation, body: Option<&Value>) -> RequestBuilder {
    let call = api.request(operation.method.clone(), &subject.path(&operation.path));
    let call = call.bearer_auth(&api.platform_key).header("Postrider-Tenant", &subject.keys.id);
    body.into_iter().fold(call, RequestBuilder::json)
}

/// Takes out of an answer what a repeat has not: a key's text is shown once, and a job says whether it was there.
fn what_may_differ(answer: &mut Value) {
    if let Some(members) = answer.as_object_mut() {
        for name in ["key", "existed"] {
            members.remove(name);
        }
        members.values_mut().for_each(what_may_differ);
    } else if let Some(items) = answer.as_array_mut() {
        items.iter_mut().for_each(what_may_differ);
    }
}

#[tokio::test]
async fn every_post_is_done_once() {
    let api = start().await;
    let mut tried = 0;
    let posts = operations().into_iter().filter(|operation| operation.method == Method::POST);
    for operation in posts.filter(|operation| !OF_PEOPLE.contains(&operation.id.as_str())) {
        let name = &operation.id;
        let subject = &fresh(&api, &operation).await;
        let post = |body: Option<Value>, key: &str| keyed(call(&api, subject, &operation, body.as_ref()), key);
        let sent = async |request: RequestBuilder| {
            let response = request.send().await.unwrap();
            let replayed = response.headers().contains_key("idempotent-replayed");
            (response.status(), replayed, response.json::<Value>().await.unwrap_or(Value::Null))
        };
        let key = format!("once {name}");
        let (status, replayed, mut first) = sent(post(body(name), &key)).await;
        assert!(status.is_success() && !replayed, "{name}: {status} {first}");
        let (again, replayed, mut second) = sent(post(body(name), &key)).await;
        assert_eq!(again, status, "{name}: {second}");
        let queued = matches!(name.as_str(), "submit_job" | "submit_jobs");
        assert!(replayed || queued, "{name}: not the first answer again");
        what_may_differ(&mut first);
        what_may_differ(&mut second);
        assert_eq!(second, first, "{name}");

        // The same key for something else.
        let other = match name.as_str() {
            "submit_job" => json!({ "kind": "diagnostic.sleep", "payload": { "ms": 1 } }),
            "submit_jobs" => json!([{ "kind": "diagnostic.sleep", "payload": { "ms": 1 } }]),
            _ => json!({ "another": "request" }),
        };
        let (status, _, answered) = sent(post(Some(other), &key)).await;
        let conflict = if name == "submit_jobs" { &answered["items"][0]["problem"] } else { &answered };
        let expected = if name == "submit_jobs" { 207 } else { 409 };
        assert_eq!(status.as_u16(), expected, "{name}: {answered}");
        assert_eq!(conflict["type"], "/problems/idempotency-key-reused", "{name}: {answered}");

        // The same key from another caller is another request. Jobs are the tenant's: whoever repeats, it is the same job.
        if !queued && operation.permission.roles().contains(&postrider_shared::roles::Role::TenantAdmin) {
            let request = api.request(Method::POST, &subject.path(&operation.path)).bearer_auth(&subject.keys.admin);
            let request = body(name).iter().fold(keyed(request, &key), RequestBuilder::json);
            let (status, replayed, answered) = sent(request).await;
            assert!(!replayed, "{name}: {status} {answered}");
            assert_ne!(answered["type"], "/problems/idempotency-key-reused", "{name}: {answered}");
        }
        tried += 1;
    }
    assert!(tried > 25, "only {tried} operations");
}

#[tokio::test]
async fn what_strangers_send_takes_no_key_that_nothing_heeds() {
    let api = start().await;
    let mut refused = Vec::new();
    for (operation, method, path) in open().into_iter().filter(|(_, method, _)| *method == Method::POST) {
        let sent = || api.request(method.clone(), &path).json(&json!({}));
        problem(sent(), "invalid-body").await;
        if operation == "refresh" {
            problem(keyed(sent(), "k"), "invalid-body").await;
            continue;
        }
        let problem = problem(keyed(sent(), "k"), "invalid-header").await;
        assert!(problem["detail"].as_str().unwrap().contains("Idempotency-Key"), "{operation}: {problem}");
        refused.push(operation);
    }
    assert!(refused.len() >= 9, "{refused:?}");
}

#[tokio::test]
async fn a_key_is_for_one_path_and_its_answer_says_where_again() {
    let api = Api::start().await;
    let keys = api.tenant("Paths").await;
    let cancel = || keyed(api.post(&keys.admin, "/v1/jobs/cancel", &json!({ "kind": "none" })), "where");
    let mut places = Vec::new();
    for _ in 0..2 {
        let response = cancel().send().await.unwrap();
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        places.push(response.headers()["location"].clone());
    }
    assert_eq!(places[0], places[1]);

    // The path's pattern is the same, and what is meant is not.
    let mut accounts = Vec::new();
    for address in ["one@example.com", "two@example.com"] {
        let made = api.post(&keys.admin, "/v1/accounts", &crate::resources::mailbox(address));
        accounts.push(answer(made, StatusCode::CREATED).await["id"].as_str().unwrap().to_owned());
    }
    let pause = |id: &str| {
        let reason = json!({ "reason": "holidays" });
        keyed(api.post(&keys.admin, &format!("/v1/accounts/{id}/pause"), &reason), "pause")
    };
    answer(pause(&accounts[0]), StatusCode::OK).await;
    problem(pause(&accounts[1]), "idempotency-key-reused").await;
}

#[tokio::test]
async fn a_persons_repeat_is_the_same_whatever_token_it_comes_with() {
    let api = Api::start().await;
    let keys = api.tenant("Refreshed").await;
    crate::identity::member(&api, &keys, "jo@example.com", "tenant_admin").await;
    let first = crate::identity::login(&api, "jo@example.com").await;
    let refresh = json!({ "refresh_token": first["refresh_token"] });
    let second = answer(crate::identity::open(&api, "/v1/auth/refresh", &refresh), StatusCode::OK).await;
    let elsewhere = crate::identity::login(&api, "jo@example.com").await;
    let mut made = Vec::new();
    for signed_in in [&first, &second, &elsewhere] {
        let token = crate::identity::text(signed_in, "access_token");
        let post = keyed(api.post(token, "/v1/products", &crate::resources::window()), "window");
        made.push(answer(post, StatusCode::CREATED).await);
    }
    assert!(made[0] == made[1] && made[0] == made[2], "{made:#?}");
    // Another person's is another request.
    crate::identity::member(&api, &keys, "ann@example.com", "tenant_admin").await;
    let ann = crate::identity::login(&api, "ann@example.com").await;
    let token = crate::identity::text(&ann, "access_token");
    problem(keyed(api.post(token, "/v1/products", &crate::resources::window()), "window"), "already-exists").await;
}

/// While `SECRET_KEYS` is rotated, processes differ in which key comes first.
#[tokio::test]
async fn a_persons_repeat_is_the_same_on_either_side_of_a_rotation_of_keys() {
    let mut api = Api::start().await;
    let old = format!("test:{}", "A".repeat(43) + "=");
    let new = "new:HxECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let clock = api.app.clock().clone();
    let mut rings = Vec::new();
    for ring in [format!("{old},{new}"), format!("{new},{old}")] {
        rings.push(api.replica_at(clock.clone(), KeyRing::parse(&ring).unwrap()).await);
    }
    let [before, after] = rings.try_into().unwrap();
    let keys = api.tenant("Rotated").await;
    crate::identity::member(&api, &keys, "jo@example.com", "tenant_admin").await;
    let signed_in = crate::identity::login(&api, "jo@example.com").await;
    let token = crate::identity::text(&signed_in, "access_token");
    for (first, second, key) in [(before, after, "forward"), (after, before, "back")] {
        let product = json!({ "sku": key, "name": "Window", "formula": "quantity" });
        let post = |address, body: &Value| {
            let call = api.client.post(format!("http://{address}/v1/products")).bearer_auth(token).json(body);
            keyed(call, key)
        };
        let made = answer(post(first, &product), StatusCode::CREATED).await;
        assert_eq!(answer(post(second, &product), StatusCode::CREATED).await, made, "{key}");
        let other = json!({ "sku": key, "name": "Door", "formula": "quantity" });
        problem(post(second, &other), "idempotency-key-reused").await;
    }
}
