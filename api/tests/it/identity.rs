//! People: registering, signing in, passwords, roles, invitations.

use postrider_api::audit::tally;
use postrider_shared::database::AllTenants;
use postrider_shared::ids::{CodeId, InvitationId, TenantId};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::api::{Api, TenantKeys, answer, problem};
use crate::audit_strangers::written;
use crate::wait::until;

/// What a person with a password signs in with.
pub const PASSWORD: &str = "correct horse battery";

pub fn open(api: &Api, path: &str, body: &Value) -> RequestBuilder {
    api.request(Method::POST, path).json(body)
}

/// The digits behind a challenge, as the mail would tell them.
pub async fn digits(api: &Api, challenge: &Value) -> String {
    let id: CodeId = challenge["challenge"].as_str().unwrap().parse().unwrap();
    let codes = &api.app.stores().one_time_codes;
    let row = until("the code is made", async || codes.get(AllTenants, id).await.unwrap()).await;
    codes.open(&row).unwrap().expose_secret().to_owned()
}

/// Digits that are not these.
pub fn other_digits(code: &str) -> &'static str {
    if code == "111111" { "222222" } else { "111111" }
}

/// Invites somebody and accepts for them.
pub async fn member(api: &Api, keys: &TenantKeys, email: &str, role: &str) -> Value {
    let body = json!({ "email": email, "role": role });
    let invited = answer(api.post(&keys.admin, "/v1/invitations", &body), StatusCode::CREATED).await;
    accept(api, &keys.id, &invited).await
}

async fn accept(api: &Api, tenant: &str, invited: &Value) -> Value {
    let token = token(api, tenant, invited).await;
    let body = json!({ "token": token, "name": "Jo", "password": PASSWORD });
    answer(open(api, "/v1/auth/invitations/accept", &body), StatusCode::OK).await
}

/// The token of an invitation to run the platform.
pub async fn invited(api: &Api, email: &str) -> String {
    let body = json!({ "email": email, "role": "platform_admin" });
    let invited = answer(api.post(&api.platform_key, "/v1/invitations", &body), StatusCode::CREATED).await;
    token(api, &TenantId::platform().to_string(), &invited).await
}

/// The token of an invitation, as the mail would tell it.
pub async fn token(api: &Api, tenant: &str, invited: &Value) -> String {
    assert!(!invited.to_string().contains("pri_"), "the token is in no answer");
    let _: TenantId = tenant.parse().unwrap();
    let id: InvitationId = invited["id"].as_str().unwrap().parse().unwrap();
    let row = api.app.stores().invitations.get(AllTenants, id).await.unwrap().unwrap();
    api.app.stores().invitations.open(&row).unwrap().expose_secret().to_owned()
}

pub async fn login(api: &Api, email: &str) -> Value {
    let body = json!({ "email": email, "password": PASSWORD });
    answer(open(api, "/v1/auth/login", &body), StatusCode::OK).await
}

pub fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

#[tokio::test]
async fn somebody_registers_proves_the_address_and_signs_in() {
    let api = Api::start().await;
    let body = json!({ "email": "Jo@Example.com", "name": "Jo", "password": PASSWORD, "tenant_name": "Jo's plates" });
    let asked = answer(open(&api, "/v1/auth/register", &body), StatusCode::ACCEPTED).await;
    problem(
        open(&api, "/v1/auth/login", &json!({ "email": "jo@example.com", "password": PASSWORD })),
        "sign-in-refused",
    )
    .await;
    let code = digits(&api, &asked).await;
    let wrong = other_digits(&code);
    let confirm = |code: &str| json!({ "challenge": asked["challenge"], "code": code });
    problem(open(&api, "/v1/auth/register/confirm", &confirm(wrong)), "sign-in-refused").await;
    let done = answer(open(&api, "/v1/auth/register/confirm", &confirm(&code)), StatusCode::CREATED).await;
    assert_eq!(done["tenant_state"], "active");
    let signed_in = login(&api, "JO@example.com").await;
    let me = answer(api.get(text(&signed_in, "access_token"), "/v1/me"), StatusCode::OK).await;
    assert_eq!((&me["role"], &me["tenant_id"]), (&json!("tenant_admin"), &done["tenant_id"]));
    assert_eq!(me["user"]["email"], "jo@example.com");
    assert_eq!(me["user"]["sessions"][0]["current"], true);

    // The address is taken now, which only its mailbox learns.
    let again = answer(open(&api, "/v1/auth/register", &body), StatusCode::ACCEPTED).await;
    let code = digits(&api, &again).await;
    let confirm = json!({ "challenge": again["challenge"], "code": code });
    problem(open(&api, "/v1/auth/register/confirm", &confirm), "sign-in-refused").await;
}

#[tokio::test]
async fn an_unknown_user_costs_and_reads_the_same_as_a_wrong_password() {
    let api = Api::start().await;
    let keys = api.tenant("Guess").await;
    member(&api, &keys, "jo@example.com", "agent").await;
    let passwords = api.app.passwords();
    // The hash that stands for nobody's is made once.
    problem(open(&api, "/v1/auth/login", &json!({ "email": "x@example.com", "password": "x" })), "sign-in-refused")
        .await;
    let mut seen = Vec::new();
    for email in ["jo@example.com", "nobody@example.com"] {
        let before = passwords.computations();
        let body = json!({ "email": email, "password": "wrong password" });
        let mut refused = problem(open(&api, "/v1/auth/login", &body), "sign-in-refused").await;
        refused["request_id"] = Value::Null;
        seen.push((passwords.computations() - before, refused));
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0].0, 1, "one hash each");
    for path in ["/v1/auth/otp", "/v1/auth/password-reset"] {
        for email in ["jo@example.com", "nobody@example.com"] {
            let asked = answer(open(&api, path, &json!({ "email": email })), StatusCode::ACCEPTED).await;
            let members: Vec<&String> = asked.as_object().unwrap().keys().collect();
            assert_eq!(members, ["challenge"]);
        }
    }
    // Known or not, an address is tried so often and no more.
    for email in ["jo@example.com", "nobody@example.com"] {
        let body = json!({ "email": email, "password": "wrong password" });
        let mut refused = 0;
        let response: Response = loop {
            let response = open(&api, "/v1/auth/login", &body).send().await.unwrap();
            if response.status() != StatusCode::UNAUTHORIZED {
                break response;
            }
            refused += 1;
        };
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert!(response.headers().contains_key("retry-after"));
        assert!((8..=12).contains(&refused), "{refused} tries of {email}");
    }
}

#[tokio::test]
async fn fifty_guesses_of_a_code_at_once_count_as_five() {
    let api = Api::start().await;
    let keys = api.tenant("Codes").await;
    member(&api, &keys, "jo@example.com", "agent").await;
    let asked = answer(open(&api, "/v1/auth/otp", &json!({ "email": "jo@example.com" })), StatusCode::ACCEPTED).await;
    let code = digits(&api, &asked).await;
    let wrong = other_digits(&code);
    let body = |code: &str| json!({ "challenge": asked["challenge"], "code": code });
    let mut guesses = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let guess = open(&api, "/v1/auth/otp/verify", &body(wrong));
        guesses.spawn(async move { guess.send().await.unwrap().status() });
    }
    assert!(guesses.join_all().await.iter().all(|status| *status == StatusCode::UNAUTHORIZED));
    let id: CodeId = text(&asked, "challenge").parse().unwrap();
    assert_eq!(api.app.stores().one_time_codes.get(AllTenants, id).await.unwrap().unwrap().tries, 5);
    problem(open(&api, "/v1/auth/otp/verify", &body(&code)), "sign-in-refused").await;
    let asked = answer(open(&api, "/v1/auth/otp", &json!({ "email": "jo@example.com" })), StatusCode::ACCEPTED).await;
    let body = json!({ "challenge": asked["challenge"], "code": digits(&api, &asked).await });
    let signed_in = answer(open(&api, "/v1/auth/otp/verify", &body), StatusCode::OK).await;
    answer(api.get(text(&signed_in, "access_token"), "/v1/jobs"), StatusCode::OK).await;
    problem(open(&api, "/v1/auth/otp/verify", &body), "sign-in-refused").await;
}

#[tokio::test]
async fn a_reset_ends_all_sessions_and_a_change_all_others() {
    let api = Api::start().await;
    let keys = api.tenant("Reset").await;
    member(&api, &keys, "jo@example.com", "agent").await;
    let (one, two) = (login(&api, "jo@example.com").await, login(&api, "jo@example.com").await);
    let change = |current: &str, new: &str| json!({ "current_password": current, "new_password": new });
    let access = text(&one, "access_token");
    problem(api.post(access, "/v1/me/password", &change("wrong password", "another password")), "sign-in-refused")
        .await;
    problem(api.post(access, "/v1/me/password", &change(PASSWORD, "short")), "invalid-body").await;
    answer(api.post(access, "/v1/me/password", &change(PASSWORD, "another password")), StatusCode::NO_CONTENT).await;
    answer(api.get(access, "/v1/me"), StatusCode::OK).await;
    problem(api.get(text(&two, "access_token"), "/v1/me"), "unauthenticated").await;

    let ask = json!({ "email": "jo@example.com" });
    let asked = answer(open(&api, "/v1/auth/password-reset", &ask), StatusCode::ACCEPTED).await;
    let body = json!({ "challenge": asked["challenge"], "code": digits(&api, &asked).await, "password": PASSWORD });
    problem(
        open(&api, "/v1/auth/otp/verify", &json!({ "challenge": body["challenge"], "code": body["code"] })),
        "sign-in-refused",
    )
    .await;
    answer(open(&api, "/v1/auth/password-reset/confirm", &body), StatusCode::NO_CONTENT).await;
    problem(api.get(access, "/v1/me"), "unauthenticated").await;
    problem(open(&api, "/v1/auth/password-reset/confirm", &body), "sign-in-refused").await;
    let three = login(&api, "jo@example.com").await;
    let four = login(&api, "jo@example.com").await;
    let access = text(&three, "access_token");
    let session = format!("/v1/me/sessions/{}", text(&four, "session_id"));
    answer(api.request(Method::DELETE, &session).bearer_auth(access), StatusCode::NO_CONTENT).await;
    problem(api.get(text(&four, "access_token"), "/v1/me"), "unauthenticated").await;
    answer(api.post(access, "/v1/auth/logout", &json!({})), StatusCode::NO_CONTENT).await;
    problem(api.get(access, "/v1/me"), "unauthenticated").await;
}

#[tokio::test]
async fn who_does_not_prove_to_be_the_owner_leaves_an_event() {
    let api = Api::start().await;
    let keys = api.tenant("Proofs").await;
    let jo = member(&api, &keys, "jo@example.com", "agent").await;
    let session = login(&api, "jo@example.com").await;
    let access = text(&session, "access_token");
    let wrong = "wrong horse battery";
    let leave = || api.request(Method::DELETE, "/v1/me").bearer_auth(access).json(&json!({ "password": wrong }));
    let email = json!({ "email": "new@example.com", "password": wrong });
    let password = json!({ "current_password": wrong, "new_password": "another password" });
    for _ in 0..3 {
        problem(leave(), "sign-in-refused").await;
    }
    problem(api.post(access, "/v1/me/email", &email), "sign-in-refused").await;
    problem(api.post(access, "/v1/me/password", &password).header("Idempotency-Key", "one"), "sign-in-refused").await;
    // The first of each at once, the others when the hour or the process ends.
    written(&api, "operation=delete_me", 1).await;
    tally::close(&api.app).await;
    for (operation, times) in [("delete_me", vec![2, 1]), ("change_my_email", vec![1]), ("change_my_password", vec![1])]
    {
        let found = written(&api, &format!("operation={operation}"), times.len()).await;
        assert_eq!(found.iter().map(|event| event["times"].as_i64().unwrap()).collect::<Vec<_>>(), times);
        for event in &found {
            assert_eq!((&event["kind"], &event["outcome"]), (&json!("change"), &json!("refused")), "{event:#}");
            let about = (&event["actor_id"], &event["subject_id"], &event["tenant_id"]);
            assert_eq!(about, (&jo["user_id"], &jo["user_id"], &json!(keys.id)), "{event:#}");
            assert!(!event.to_string().contains("horse") && !event.to_string().contains("new@"), "{event:#}");
        }
    }
    // A wrong current password is tried as often as one to sign in, and no more.
    let mut statuses = Vec::new();
    for _ in 0..12 {
        statuses.push(api.post(access, "/v1/me/password", &password).send().await.unwrap().status());
    }
    assert_eq!(statuses.last(), Some(&StatusCode::TOO_MANY_REQUESTS), "{statuses:?}");
}

#[tokio::test]
async fn a_person_acts_for_the_tenant_they_name_in_the_role_they_have_there() {
    let api = Api::start().await;
    let (first, second) = (api.tenant("First").await, api.tenant("Second").await);
    let third = api.tenant("Third").await;
    member(&api, &first, "jo@example.com", "viewer").await;
    let jo = member(&api, &second, "jo@example.com", "tenant_admin").await;
    let signed_in = login(&api, "jo@example.com").await;
    let access = text(&signed_in, "access_token");
    problem(api.get(access, "/v1/jobs"), "tenant-required").await;
    problem(api.get(access, "/v1/tenants"), "tenant-required").await;
    answer(api.get(access, "/v1/me"), StatusCode::OK).await;
    let as_of = |tenant: &TenantKeys, path: &str| api.get(access, path).header("Postrider-Tenant", &tenant.id);
    answer(as_of(&first, "/v1/jobs"), StatusCode::OK).await;
    problem(as_of(&first, "/v1/users"), "forbidden").await;
    answer(as_of(&second, "/v1/users"), StatusCode::OK).await;
    problem(as_of(&third, "/v1/jobs"), "not-found").await;
    let path = format!("/v1/users/{}", text(&jo, "user_id"));
    // The last administrator stays, and a change of role shows at once.
    problem(api.request(Method::DELETE, &path).bearer_auth(&second.admin), "state-conflict").await;
    let change = |role: &str| json!({ "role": role });
    let give =
        |keys: &TenantKeys, role: &str| api.request(Method::PATCH, &path).bearer_auth(&keys.admin).json(&change(role));
    problem(give(&second, "agent"), "state-conflict").await;
    problem(give(&second, "platform_admin"), "forbidden").await;
    problem(give(&third, "agent"), "not-found").await;
    answer(give(&first, "tenant_admin"), StatusCode::OK).await;
    answer(as_of(&first, "/v1/users"), StatusCode::OK).await;
    answer(give(&first, "tenant_admin"), StatusCode::OK).await;
    member(&api, &first, "ann@example.com", "tenant_admin").await;
    answer(api.request(Method::DELETE, &path).bearer_auth(&first.admin), StatusCode::NO_CONTENT).await;
    problem(as_of(&first, "/v1/jobs"), "not-found").await;
    answer(api.get(access, "/v1/jobs"), StatusCode::OK).await;
}

#[tokio::test]
async fn who_runs_the_platform_is_invited_by_who_does() {
    let api = Api::start().await;
    let keys = api.tenant("Any").await;
    let body = json!({ "email": "root@example.com", "role": "platform_admin" });
    problem(api.post(&keys.admin, "/v1/invitations", &body), "forbidden").await;
    let invited = answer(api.post(&api.platform_key, "/v1/invitations", &body), StatusCode::CREATED).await;
    accept(&api, &keys.id, &invited).await;
    let signed_in = login(&api, "root@example.com").await;
    let access = text(&signed_in, "access_token");
    answer(api.get(access, "/v1/tenants"), StatusCode::OK).await;
    problem(api.get(access, "/v1/jobs"), "tenant-required").await;
    answer(api.get(access, "/v1/jobs").header("Postrider-Tenant", &keys.id), StatusCode::OK).await;
    let revoked = answer(api.post(&api.platform_key, "/v1/invitations", &body), StatusCode::CREATED).await;
    let token = token(&api, &keys.id, &revoked).await;
    let path = format!("/v1/invitations/{}", text(&revoked, "id"));
    problem(api.request(Method::DELETE, &path).bearer_auth(&keys.admin), "not-found").await;
    answer(api.request(Method::DELETE, &path).bearer_auth(&api.platform_key), StatusCode::OK).await;
    problem(open(&api, "/v1/auth/invitations/accept", &json!({ "token": token })), "sign-in-refused").await;
}
