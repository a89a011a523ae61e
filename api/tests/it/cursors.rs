//! Cursors that a list did not give out: of another tenant, of another list, of another filter, made up.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::api::{Api, answer, problem};

#[tokio::test]
async fn a_cursor_of_somebody_else_shows_nothing_of_theirs() {
    let api = Api::start().await;
    let (one, other) = (api.tenant("One").await, api.tenant("Other").await);
    for number in 0..3 {
        let mut product = crate::resources::window();
        product["name"] = json!(format!("secret {number}"));
        product["sku"] = json!(format!("S-{number}"));
        answer(api.post(&other.admin, "/v1/products", &product), StatusCode::CREATED).await;
        answer(api.post(&other.agent, "/v1/jobs", &json!({ "kind": "diagnostic.echo" })), StatusCode::ACCEPTED).await;
    }
    for list in ["products", "jobs"] {
        let page = answer(api.get(&other.viewer, &format!("/v1/{list}?limit=1")), StatusCode::OK).await;
        let cursor = page["next_cursor"].as_str().unwrap();
        let response = api.get(&one.viewer, &format!("/v1/{list}?cursor={cursor}")).send().await.unwrap();
        let text = response.text().await.unwrap();
        assert!(!text.contains("secret") && !text.contains(&other.id), "{list}: {text}");
        let body: Value = serde_json::from_str(&text).unwrap();
        assert!(body["items"].as_array().is_none_or(Vec::is_empty), "{list}: {text}");
        // Turned and cut, it is a refusal or a page of one's own.
        for wrong in
            [cursor.chars().rev().collect::<String>(), cursor[..cursor.len() / 2].to_owned(), cursor.repeat(50)]
        {
            let status = api.get(&other.viewer, &format!("/v1/{list}?cursor={wrong}")).send().await.unwrap().status();
            assert!(
                status == StatusCode::OK
                    || status == StatusCode::BAD_REQUEST
                    || status == StatusCode::UNPROCESSABLE_ENTITY,
                "{list} {wrong}: {status}"
            );
        }
    }
}

/// A cursor of these times and ids, as the database's lists have them.
fn place(micros: i64) -> String {
    let id = postrider_shared::ids::ProductId::random();
    URL_SAFE_NO_PAD.encode([&micros.to_be_bytes()[..], id.0.as_bytes()].concat())
}

#[tokio::test]
async fn a_made_up_cursor_is_a_place_or_none() {
    let api = Api::start().await;
    let keys = api.tenant("Made up").await;
    let mut ids = Vec::new();
    for number in 0..3 {
        let mut product = crate::resources::window();
        product["sku"] = json!(format!("S-{number}"));
        product["name"] = json!(format!("Window {number}"));
        answer(api.post(&keys.admin, "/v1/products", &product), StatusCode::CREATED).await;
        ids.push(crate::jobs::submit(&api, &keys, &json!({ "kind": "diagnostic.echo" })).await);
    }
    let mut made_up = Vec::new();
    for number in [0, 1, -1, 1 << 53, -(1 << 53), 10_i64.pow(17), -(10_i64.pow(17)), i64::MAX, i64::MIN] {
        made_up.push(("products", place(number)));
        for sort in ["newest", "oldest"] {
            made_up.push(("jobs", format!("{}.{number}&sort={sort}", ids[1])));
        }
    }
    for (list, cursor) in made_up {
        let response = api.get(&keys.viewer, &format!("/v1/{list}?cursor={cursor}")).send().await.unwrap();
        let (status, text) = (response.status(), response.text().await.unwrap());
        assert!(matches!(status, StatusCode::OK | StatusCode::BAD_REQUEST), "{list} {cursor}: {status} {text}");
        // Of a job that is there, its place counts, whatever is said of the distance.
        if let Some((_, sort)) = cursor.split_once("&sort=") {
            let page: Value = serde_json::from_str(&text).unwrap();
            let found: Vec<&str> =
                page["items"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap()).collect();
            assert_eq!(found, [&ids[if sort == "oldest" { 2 } else { 0 }]], "{cursor}");
        }
    }
}

#[tokio::test]
async fn a_cursor_of_another_list_or_filter_shows_what_this_one_has() {
    let api = Api::start().await;
    let keys = api.tenant("Places").await;
    for number in 0..3 {
        let mut product = crate::resources::window();
        product["sku"] = json!(format!("S-{number}"));
        product["name"] = json!(format!("Window {number}"));
        answer(api.post(&keys.admin, "/v1/products", &product), StatusCode::CREATED).await;
        for kind in ["echo", "sleep", "fail"] {
            let payload = json!({ "sleep": { "ms": 1 }, "fail": { "times": 1 }, "echo": {} })[kind].clone();
            let job = json!({ "kind": format!("diagnostic.{kind}"), "payload": payload });
            answer(api.post(&keys.agent, "/v1/jobs", &job), StatusCode::ACCEPTED).await;
        }
    }
    let cursor = async |list: &str| {
        let and = if list.contains('?') { '&' } else { '?' };
        let page = answer(api.get(&keys.admin, &format!("/v1/{list}{and}limit=1")), StatusCode::OK).await;
        page["next_cursor"].as_str().unwrap().to_owned()
    };
    // Another list's rows are of another kind, and none of them comes.
    for (from, to, member) in [("products", "api-keys", "role"), ("api-keys", "products", "sku")] {
        let place = cursor(from).await;
        let page = answer(api.get(&keys.admin, &format!("/v1/{to}?cursor={place}")), StatusCode::OK).await;
        let items = page["items"].as_array().unwrap();
        assert!(items.iter().all(|item| !item[member].is_null()), "{from} on {to}: {page:#}");
    }
    problem(api.get(&keys.admin, &format!("/v1/products?cursor={}", cursor("jobs").await)), "invalid-query").await;
    problem(api.get(&keys.admin, &format!("/v1/jobs?cursor={}", cursor("products").await)), "invalid-query").await;
    // Another filter's place is one in the same order, or none of this filter's.
    for sort in ["newest", "oldest"] {
        let place = cursor(&format!("jobs?kind=diagnostic.sleep&sort={sort}")).await;
        for (filter, kinds) in [
            ("kind=diagnostic.echo", &["diagnostic.echo"][..]),
            ("kind=diagnostic.fail&state=available", &["diagnostic.fail"]),
            ("state=scheduled", &[]),
            ("queue=mail", &[]),
            ("limit=200", &["diagnostic.echo", "diagnostic.sleep", "diagnostic.fail"]),
        ] {
            let path = format!("/v1/jobs?{filter}&sort={sort}&cursor={place}");
            let page = answer(api.get(&keys.viewer, &path), StatusCode::OK).await;
            for job in page["items"].as_array().unwrap() {
                assert!(kinds.contains(&job["kind"].as_str().unwrap()), "{path}: {job:#}");
            }
        }
    }
}
