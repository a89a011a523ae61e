//! Operations that are open to strangers: each opens for whoever proves something, and refuses whoever makes it up.

use postrider_api::auth::access::Access;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::start;
use crate::api::Api;
use crate::identity::{PASSWORD, digits, member, other_digits};
use crate::oidc::{a_forged_token, a_token};

/// The names of the operations that ask for no permission.
pub fn open() -> Vec<(String, Method, String)> {
    let document = postrider_api::router::document().unwrap();
    let open = document.operations().filter(|(_, path, _)| path.starts_with("/v1/"));
    open.filter(|(_, _, operation)| Access::of(operation) == Some(Access::Open))
        .map(|(method, path, operation)| (operation["operationId"].as_str().unwrap().to_owned(), method, path))
        .collect()
}

/// A body that proves something, and one that only looks so; what the latter is told. Asking for a mail proves nothing, and the
/// answer tells nothing.
async fn recipe(api: &Api, operation: &str, email: &str) -> (Value, Option<Value>) {
    let ask = async |path: &str, body: Value| {
        let asked = api.request(Method::POST, path).json(&body).send().await.unwrap();
        assert_eq!(asked.status(), StatusCode::ACCEPTED);
        let asked: Value = asked.json().await.unwrap();
        let code = digits(api, &asked).await;
        let with = |code: &str| json!({ "challenge": asked["challenge"], "code": code });
        (with(&code), with(other_digits(&code)))
    };
    let login = |password: &str| json!({ "email": email, "password": password });
    match operation {
        "register" => {
            let new =
                json!({ "email": "new@example.com", "name": "Jo", "password": PASSWORD, "tenant_name": "Plates" });
            (new, None)
        }
        "confirm_registration" => {
            let new =
                json!({ "email": "newer@example.com", "name": "Jo", "password": PASSWORD, "tenant_name": "Plates" });
            let (right, wrong) = ask("/v1/auth/register", new).await;
            (right, Some(wrong))
        }
        "login" => (login(PASSWORD), Some(login("something else"))),
        "ask_for_code" | "ask_for_password_reset" => (json!({ "email": email }), None),
        "verify_code" => {
            let (right, wrong) = ask("/v1/auth/otp", json!({ "email": email })).await;
            (right, Some(wrong))
        }
        "reset_password" => {
            let (mut right, mut wrong) = ask("/v1/auth/password-reset", json!({ "email": email })).await;
            right["password"] = json!(PASSWORD);
            wrong["password"] = json!(PASSWORD);
            (right, Some(wrong))
        }
        "refresh" => {
            let signed_in = api.request(Method::POST, "/v1/auth/login").json(&login(PASSWORD)).send().await.unwrap();
            let signed_in: Value = signed_in.json().await.unwrap();
            let made_up = format!("prr_{}", "0".repeat(64));
            (json!({ "refresh_token": signed_in["refresh_token"] }), Some(json!({ "refresh_token": made_up })))
        }
        "sign_in_with_id_token" => {
            let with = |token: String| json!({ "id_token": token, "tenant_name": "Plates" });
            (with(a_token()), Some(with(a_forged_token())))
        }
        "accept_invitation" => {
            let token = crate::identity::invited(api, "guest@example.com").await;
            (json!({ "token": token }), Some(json!({ "token": format!("pri_{}", "0".repeat(64)) })))
        }
        unknown => panic!("no recipe: what does {unknown} take from a stranger?"),
    }
}

#[tokio::test]
async fn what_is_open_to_strangers_opens_for_a_proof_only() {
    let api = start().await;
    let keys = api.tenant("Strangers").await;
    member(&api, &keys, "jo@example.com", "agent").await;
    let (operations, mut refused) = (open(), 0);
    for (operation, method, path) in &operations {
        let (right, wrong) = recipe(&api, operation, "jo@example.com").await;
        let call = |body: &Value| api.request(method.clone(), path).json(body);
        if let Some(wrong) = wrong {
            let answer = call(&wrong).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{operation}: {}", answer.text().await.unwrap());
            refused += 1;
        }
        let answer = call(&right).send().await.unwrap();
        assert!(answer.status().is_success(), "{operation}: {}", answer.text().await.unwrap());
    }
    println!("matrix: {} operations open to strangers, each 2xx, {refused} refuse what is made up", operations.len());
}
