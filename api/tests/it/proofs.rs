//! Showing that it is the account's owner who asks: how often it may be tried.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::api::{Api, answer, problem, shaped};
use crate::identity::{PASSWORD, login, member, open, text};

/// Whoever has a session guesses the password no more often than whoever has none, wherever it is asked for.
#[tokio::test]
async fn proofs_of_the_owner_are_counted_like_attempts_to_sign_in() {
    let api = Api::start_with(&[("RATE_LIMIT_SIGN_IN_ACCOUNT", "1/h burst 4")]).await;
    let keys = api.tenant("Counted").await;
    let wrong = "wrong horse battery";
    let with = |password: &str| {
        [
            (
                Method::POST,
                "/v1/me/password",
                json!({ "current_password": password, "new_password": "another password" }),
            ),
            (Method::POST, "/v1/me/email", json!({ "email": "other@example.com", "password": password })),
            (Method::DELETE, "/v1/me", json!({ "password": password })),
        ]
    };
    for (number, ((method, path, guess), (.., right))) in with(wrong).into_iter().zip(with(PASSWORD)).enumerate() {
        let email = format!("jo{number}@example.com");
        member(&api, &keys, &email, "agent").await;
        let session = login(&api, &email).await;
        let call =
            |body: &Value| api.request(method.clone(), path).bearer_auth(text(&session, "access_token")).json(body);
        for _ in 0..3 {
            problem(call(&guess), "sign-in-refused").await;
        }
        let refused = call(&right).send().await.unwrap();
        let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((3_500..=3_600).contains(&wait), "{path}: {wait}");
        shaped(refused, "too-many-requests").await;
        let sign_in = json!({ "email": email, "password": PASSWORD });
        problem(open(&api, "/v1/auth/login", &sign_in), "too-many-requests").await;
    }
    // An address is asked about so often, whoever asks.
    let ask = json!({ "email": "wanted@example.com", "password": PASSWORD });
    for number in 3..6 {
        let email = format!("jo{number}@example.com");
        member(&api, &keys, &email, "agent").await;
        let session = login(&api, &email).await;
        let call = || api.post(text(&session, "access_token"), "/v1/me/email", &ask);
        for _ in 0..if number == 5 { 0 } else { 2 } {
            answer(call(), StatusCode::ACCEPTED).await;
        }
        if number == 5 {
            problem(call(), "too-many-requests").await;
        }
    }
}
