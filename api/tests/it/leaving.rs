//! People who delete their account: what proves that it is they, what goes with them, and who has to stay.

use postrider_shared::ids::{TenantId, UserId};
use postrider_shared::roles::Role;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::api::{Api, answer, problem};
use crate::audit::events;
use crate::audit_strangers::written;
use crate::identity::{PASSWORD, digits, login, member, open, other_digits, text};
use crate::matrix::people::person;
use crate::profiles::own_code;
use crate::wait::until;

/// A body with the password.
fn with_password(password: &str) -> Value {
    json!({ "password": password })
}

pub fn delete(api: &Api, key: &str, proof: &Value) -> RequestBuilder {
    api.request(Method::DELETE, "/v1/me").bearer_auth(key).json(proof)
}

#[tokio::test]
async fn who_deletes_their_account_is_signed_out_everywhere_and_gone() {
    let mut api = Api::start().await;
    let keys = api.tenant("Leaving").await;
    member(&api, &keys, "ann@example.com", "tenant_admin").await;
    let jo = member(&api, &keys, "jo@example.com", "agent").await;
    let user: UserId = text(&jo, "user_id").parse().unwrap();
    let (one, two) = (login(&api, "jo@example.com").await, login(&api, "jo@example.com").await);
    let access = text(&one, "access_token");
    let replica = api.replica().await;
    answer(api.client.get(format!("http://{replica}/v1/me")).bearer_auth(access), StatusCode::OK).await;

    for unclear in [json!({}), json!({ "password": PASSWORD, "code": "123456" }), json!({ "code": "123456" })] {
        problem(delete(&api, access, &unclear), "invalid-body").await;
    }
    problem(delete(&api, access, &with_password("wrong password")), "sign-in-refused").await;
    problem(delete(&api, &keys.agent, &with_password(PASSWORD)), "not-found").await;
    assert_eq!(events(&api, "operation=delete_me&outcome=done").await, Vec::<Value>::new());

    let gone = delete(&api, access, &with_password(PASSWORD)).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    assert!(gone.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0;"));
    for session in [&one, &two] {
        problem(api.get(text(session, "access_token"), "/v1/me"), "unauthenticated").await;
        let refresh = json!({ "refresh_token": text(session, "refresh_token") });
        problem(open(&api, "/v1/auth/refresh", &refresh), "sign-in-refused").await;
    }
    // Another process may believe for a second what it has read.
    until("the session ends elsewhere", async || {
        let elsewhere = api.client.get(format!("http://{replica}/v1/me")).bearer_auth(access).send().await.unwrap();
        (elsewhere.status() == StatusCode::UNAUTHORIZED).then_some(())
    })
    .await;
    problem(
        open(&api, "/v1/auth/login", &json!({ "email": "jo@example.com", "password": PASSWORD })),
        "sign-in-refused",
    )
    .await;
    assert!(api.app.stores().users.get(user).await.unwrap().is_none());
    let left = answer(api.get(&keys.admin, "/v1/users"), StatusCode::OK).await.to_string();
    let invitations = answer(api.get(&keys.admin, "/v1/invitations"), StatusCode::OK).await.to_string();
    assert!(!left.contains("jo@example.com") && !invitations.contains("jo@example.com"), "{left} {invitations}");
    assert!(left.contains("ann@example.com") && invitations.contains("ann@example.com"));
    // The tenant's keys are the tenant's.
    answer(api.get(&keys.agent, "/v1/jobs"), StatusCode::OK).await;

    // The tenant's log tells who left, and no address.
    let found = events(&api, &format!("operation=delete_me&outcome=done&subject={user}")).await;
    assert_eq!(found.len(), 1, "{found:#?}");
    let event = &found[0];
    assert_eq!((&event["actor_id"], &event["tenant_id"]), (&json!(user), &json!(keys.id)));
    assert_eq!((&event["outcome"], &event["after"]), (&json!("done"), &json!({ "role": null })));
    assert!(!event.to_string().contains("jo@") && !event.to_string().contains("horse"), "{event:#}");
    // The address is free.
    let again = member(&api, &keys, "jo@example.com", "viewer").await;
    assert_ne!(again["user_id"], jo["user_id"]);
}

#[tokio::test]
async fn who_has_no_password_deletes_their_account_with_a_code() {
    let api = Api::start_with(&[("RATE_LIMIT_SIGN_IN_ACCOUNT", "off")]).await;
    let keys = api.tenant("Codes").await;
    let (jo, ann) = (person(&api, Some(&keys.id), Role::Agent).await, person(&api, Some(&keys.id), Role::Viewer).await);
    problem(delete(&api, &jo.access, &with_password("")), "sign-in-refused").await;
    problem(api.post(&keys.agent, "/v1/me/code", &json!({ "purpose": "delete_account" })), "not-found").await;
    problem(api.post(&jo.access, "/v1/me/code", &json!({ "purpose": "sign_in" })), "invalid-body").await;

    let (challenge, code) = own_code(&api, &jo.access, "delete_account").await;
    let proof = |code: &str| json!({ "challenge": challenge, "code": code });
    problem(delete(&api, &jo.access, &proof(other_digits(&code))), "sign-in-refused").await;
    problem(delete(&api, &ann.access, &proof(&code)), "sign-in-refused").await;
    problem(open(&api, "/v1/auth/otp/verify", &proof(&code)), "sign-in-refused").await;
    let refused = written(&api, "operation=delete_me", 3).await;
    assert!(refused.iter().all(|event| event["outcome"] == "refused"), "each try is told: {refused:#?}");
    answer(delete(&api, &jo.access, &proof(&code)), StatusCode::NO_CONTENT).await;
    problem(api.get(&jo.access, "/v1/me"), "unauthenticated").await;
    answer(api.get(&ann.access, "/v1/me"), StatusCode::OK).await;

    // Five an hour, as for other codes; here whoever asks may know.
    let mut many = 0;
    let refused = loop {
        let ask = api.post(&ann.access, "/v1/me/code", &json!({ "purpose": "delete_account" })).send().await.unwrap();
        if ask.status() != StatusCode::ACCEPTED {
            break ask;
        }
        many += 1;
    };
    assert_eq!(
        (refused.status(), refused.headers().contains_key("retry-after")),
        (StatusCode::TOO_MANY_REQUESTS, true)
    );
    assert!((5..=9).contains(&many), "{many} in an hour of the clock, or at its end and the next one's beginning");
}

#[tokio::test]
async fn passwords_are_not_guessed_with_somebodys_session() {
    let api = Api::start().await;
    let keys = api.tenant("Guess").await;
    member(&api, &keys, "jo@example.com", "agent").await;
    let session = login(&api, "jo@example.com").await;
    let mut tries = 0;
    let refused = loop {
        let guess =
            delete(&api, text(&session, "access_token"), &with_password("wrong password")).send().await.unwrap();
        if guess.status() != StatusCode::UNAUTHORIZED {
            break guess.status();
        }
        tries += 1;
    };
    assert_eq!(refused, StatusCode::TOO_MANY_REQUESTS);
    assert!((6..=12).contains(&tries), "{tries}");
}

#[tokio::test]
async fn the_last_administrator_is_told_what_to_do_and_a_business_of_one_goes_with_its_owner() {
    let api = Api::start().await;
    let body = json!({ "email": "jo@example.com", "name": "Jo", "password": PASSWORD, "tenant_name": "Jo's plates" });
    let asked = answer(open(&api, "/v1/auth/register", &body), StatusCode::ACCEPTED).await;
    let confirm = json!({ "challenge": asked["challenge"], "code": digits(&api, &asked).await });
    let made = answer(open(&api, "/v1/auth/register/confirm", &confirm), StatusCode::CREATED).await;
    let (tenant, session) = (text(&made, "tenant_id").to_owned(), login(&api, "jo@example.com").await);
    let access = text(&session, "access_token");
    let key = json!({ "name": "shop", "role": "agent" });
    let key = answer(api.post(access, "/v1/api-keys", &key), StatusCode::CREATED).await;
    let refused = problem(delete(&api, access, &with_password(PASSWORD)), "state-conflict").await;
    let detail = text(&refused, "detail");
    assert!(detail.contains("only member of Jo's plates") && detail.contains("revoke its keys"), "{detail}");
    answer(api.get(text(&key, "key"), "/v1/jobs"), StatusCode::OK).await;
    let path = format!("/v1/api-keys/{}", text(&key, "id"));
    answer(api.request(Method::DELETE, &path).bearer_auth(access), StatusCode::OK).await;

    let guest = person(&api, Some(&tenant), Role::Viewer).await;
    let refused = problem(delete(&api, access, &with_password(PASSWORD)), "state-conflict").await;
    assert!(text(&refused, "detail").contains("make one of the others its administrator"), "{refused}");
    let path = format!("/v1/users/{}", guest.id);
    answer(api.request(Method::DELETE, &path).bearer_auth(access), StatusCode::NO_CONTENT).await;

    answer(delete(&api, access, &with_password(PASSWORD)), StatusCode::NO_CONTENT).await;
    let path = format!("/v1/tenants/{tenant}");
    let deleting = answer(api.get(&api.platform_key, &path), StatusCode::OK).await;
    assert_eq!(deleting["state"], "deleting");
    let paused = api.app.queue().paused_tenants(0).await.unwrap();
    let shards = api.app.queue().shards();
    let mut all = paused;
    for shard in 1..shards {
        all.extend(api.app.queue().paused_tenants(shard).await.unwrap());
    }
    let id: TenantId = tenant.parse().unwrap();
    assert!(all.contains(&id.to_string()), "its jobs wait at once: {all:?}");
    let found = events(&api, "operation=delete_me").await;
    assert_eq!((&found[0]["tenant_id"], &found[0]["after"]["tenant_state"]), (&json!(tenant), &json!("deleting")));
    // Those who run the platform can take it back, for a week.
    let restored = api.request(Method::POST, &format!("{path}/restore")).bearer_auth(&api.platform_key);
    assert_eq!(answer(restored, StatusCode::OK).await["state"], "suspended");
}

#[tokio::test]
async fn the_last_who_runs_the_platform_stays() {
    let api = Api::start().await;
    let one = person(&api, None, Role::PlatformAdmin).await;
    let (challenge, code) = own_code(&api, &one.access, "delete_account").await;
    let proof = json!({ "challenge": challenge, "code": code });
    let refused = problem(delete(&api, &one.access, &proof), "state-conflict").await;
    assert!(text(&refused, "detail").contains("the only one who runs the platform"), "{refused}");
    let two = person(&api, None, Role::PlatformAdmin).await;
    // A refusal uses nothing up.
    answer(delete(&api, &one.access, &proof), StatusCode::NO_CONTENT).await;
    answer(api.get(&two.access, "/v1/tenants"), StatusCode::OK).await;
    let found = events(&api, &format!("operation=delete_me&subject={}", one.id)).await;
    assert_eq!((found.len(), &found[0]["tenant_id"]), (1, &Value::Null));
}
