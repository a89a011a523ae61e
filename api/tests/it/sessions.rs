//! Sessions: the tokens and the cookie that carry them, stolen, lost, forged, or shown where the clock is another.

use chrono::TimeDelta;
use postrider_shared::clock::Clock;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::api::{Api, answer, problem, shaped};
use crate::identity::{PASSWORD, login, member, open, text};
use crate::wait::until;

#[tokio::test]
async fn a_stolen_refresh_token_leaves_no_valid_token() {
    let api = Api::start().await;
    let keys = api.tenant("Theft").await;
    member(&api, &keys, "jo@example.com", "agent").await;
    let other = login(&api, "jo@example.com").await;
    let mut tokens = vec![login(&api, "jo@example.com").await];
    for _ in 0..3 {
        let body = json!({ "refresh_token": text(tokens.last().unwrap(), "refresh_token") });
        tokens.push(answer(open(&api, "/v1/auth/refresh", &body), StatusCode::OK).await);
    }
    for token in &tokens {
        answer(api.get(text(token, "access_token"), "/v1/me"), StatusCode::OK).await;
    }
    // The thief comes with the second one.
    let stolen = json!({ "refresh_token": text(&tokens[1], "refresh_token") });
    problem(open(&api, "/v1/auth/refresh", &stolen), "sign-in-refused").await;
    let mut valid = 0;
    for token in &tokens {
        let access = api.get(text(token, "access_token"), "/v1/me").send().await.unwrap();
        let body = json!({ "refresh_token": text(token, "refresh_token") });
        let refresh = open(&api, "/v1/auth/refresh", &body).send().await.unwrap();
        valid += usize::from(access.status() != 401) + usize::from(refresh.status() != 401);
    }
    assert_eq!(valid, 0, "of {} tokens", tokens.len() * 2);
    println!("tokens of the family: {}, valid after the theft was noticed: {valid}", tokens.len() * 2);
    answer(api.get(text(&other, "access_token"), "/v1/me"), StatusCode::OK).await;
}

#[tokio::test]
async fn who_lost_the_answer_of_a_refresh_gets_it_again_with_its_own_key() {
    let api = Api::start().await;
    let keys = api.tenant("Lost").await;
    member(&api, &keys, "jo@example.com", "agent").await;
    let first = login(&api, "jo@example.com").await;
    let refresh = |key: &str| {
        let body = json!({ "refresh_token": text(&first, "refresh_token") });
        open(&api, "/v1/auth/refresh", &body).header("Idempotency-Key", key)
    };
    let second = answer(refresh("one"), StatusCode::OK).await;
    let again = answer(refresh("one"), StatusCode::OK).await;
    assert_eq!(again["refresh_token"], second["refresh_token"]);
    problem(refresh("two"), "sign-in-refused").await;
    problem(api.get(text(&again, "access_token"), "/v1/me"), "unauthenticated").await;
}

#[tokio::test]
async fn a_cookie_is_for_pages_of_this_site() {
    let api = Api::start().await;
    let keys = api.tenant("Cookie").await;
    member(&api, &keys, "jo@example.com", "tenant_admin").await;
    let body = json!({ "email": "jo@example.com", "password": PASSWORD, "carry": "cookie" });
    problem(open(&api, "/v1/auth/login", &body).header("Sec-Fetch-Site", "cross-site"), "forbidden").await;
    let signed_in = open(&api, "/v1/auth/login", &body).header("Sec-Fetch-Site", "same-origin").send().await.unwrap();
    assert_eq!(signed_in.status(), StatusCode::OK);
    assert_eq!(signed_in.headers()["cache-control"], "no-store");
    let set = signed_in.headers()["set-cookie"].to_str().unwrap().to_owned();
    for attribute in ["__Host-postrider=prs_", "; Path=/;", "; Secure;", "; HttpOnly;", "; SameSite=Lax"] {
        assert!(set.contains(attribute), "{set}");
    }
    let body: Value = signed_in.json().await.unwrap();
    assert_eq!((&body["access_token"], &body["refresh_token"]), (&Value::Null, &Value::Null));
    let cookie = set.split(';').next().unwrap().to_owned();
    let call = |method: Method, path: &str| api.request(method, path).header("Cookie", &cookie);
    answer(call(Method::GET, "/v1/users"), StatusCode::OK).await;
    let invite = json!({ "email": "ann@example.com", "role": "agent" });
    problem(call(Method::POST, "/v1/invitations").json(&invite), "forbidden").await;
    let elsewhere = call(Method::POST, "/v1/invitations").header("Origin", "https://evil.example").json(&invite);
    problem(elsewhere, "forbidden").await;
    let here = format!("http://{}", api.address);
    answer(call(Method::POST, "/v1/invitations").header("Origin", &here).json(&invite), StatusCode::CREATED).await;
    let out = call(Method::POST, "/v1/auth/logout").header("Sec-Fetch-Site", "same-origin").send().await.unwrap();
    assert!(out.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0;"));
    problem(call(Method::GET, "/v1/users"), "unauthenticated").await;
}

#[tokio::test]
async fn forged_tokens_open_nothing() {
    let api = Api::start().await;
    let keys = api.tenant("Forged").await;
    member(&api, &keys, "jo@example.com", "agent").await;
    let signed_in = login(&api, "jo@example.com").await;
    let access = text(&signed_in, "access_token");
    let parts: Vec<&str> = access.split('.').collect();
    // {"alg":"none","typ":"JWT","kid":"test"}
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIiwia2lkIjoidGVzdCJ9";
    let mut altered = access.to_owned();
    altered.replace_range(access.len() - 2.., if access.ends_with("AA") { "BA" } else { "AA" });
    for wrong in [
        format!("{none}.{}.", parts[1]),
        format!("{none}.{}.{}", parts[1], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        altered,
        text(&signed_in, "refresh_token").to_owned(),
    ] {
        let refused = api.get(&wrong, "/v1/me").send().await.unwrap();
        assert_eq!(refused.headers()["www-authenticate"], "Bearer realm=\"postrider\"");
        shaped(refused, "unauthenticated").await;
    }
    until("the tasks end", async || api.app.tasks().is_empty().then_some(())).await;
}

/// Behind one address answer several machines, and no two clocks are the same.
#[tokio::test]
async fn who_signed_in_where_the_clock_is_ahead_is_known_where_it_is_behind() {
    let mut api = Api::start().await;
    let keys = api.tenant("Clocks").await;
    member(&api, &keys, "jo@example.com", "viewer").await;
    let behind = Clock::manual(api.app.clock().now() - TimeDelta::seconds(20));
    let behind = api.replica_at(behind, api.app.keys().clone()).await;
    let signed_in = login(&api, "jo@example.com").await;
    let me = api.client.get(format!("http://{behind}/v1/me")).bearer_auth(text(&signed_in, "access_token"));
    answer(me, StatusCode::OK).await;
}
