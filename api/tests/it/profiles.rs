//! What people do with their own account, and takes more than being signed in.

use postrider_shared::ids::UserId;
use postrider_shared::roles::Role;
use reqwest::{Method, StatusCode};
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use serde_json::{Value, json};

use crate::api::{Api, answer, problem};
use crate::audit::events;
use crate::audit_strangers::written;
use crate::identity::{PASSWORD, digits, login, member, open, other_digits, text};
use crate::leaving::delete;
use crate::matrix::people::person;
use crate::oidc::{ISSUER, a_token, with_keys};

/// A challenge and its digits, for this purpose.
pub async fn own_code(api: &Api, access: &str, purpose: &str) -> (Value, String) {
    let asked = answer(api.post(access, "/v1/me/code", &json!({ "purpose": purpose })), StatusCode::ACCEPTED).await;
    let code = digits(api, &asked).await;
    (asked["challenge"].clone(), code)
}

/// What the notices say, and to whom they go.
async fn notices(api: &Api) -> Vec<(String, String, Option<String>)> {
    let reader = api.app.database().reader();
    let sql = "SELECT kind, email, issuer FROM notices ORDER BY created_at, id";
    let rows = reader.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await.unwrap();
    let read = |row: &sea_orm::QueryResult| {
        (row.try_get("", "kind").unwrap(), row.try_get("", "email").unwrap(), row.try_get("", "issuer").unwrap())
    };
    rows.iter().map(read).collect()
}

fn new_email(email: &str, password: &str) -> Value {
    json!({ "email": email, "password": password })
}

#[tokio::test]
async fn a_person_gets_another_address_and_the_old_one_is_told() {
    let api = Api::start_with(&[("RATE_LIMIT_SIGN_IN_ACCOUNT", "off")]).await;
    let keys = api.tenant("Moving").await;
    let jo = member(&api, &keys, "jo@example.com", "agent").await;
    let ann = person(&api, Some(&keys.id), Role::Agent).await;
    let (one, two) = (login(&api, "jo@example.com").await, login(&api, "jo@example.com").await);
    let access = text(&one, "access_token");
    let ask = |body: &Value| api.post(access, "/v1/me/email", body);
    problem(ask(&new_email("new@example.com", "wrong password")), "sign-in-refused").await;
    problem(ask(&json!({ "email": "new@example.com" })), "invalid-body").await;
    for wrong in ["jo", " JO@example.com", ""] {
        problem(ask(&new_email(wrong, PASSWORD)), "invalid-body").await;
    }
    let reset =
        answer(open(&api, "/v1/auth/password-reset", &json!({ "email": "jo@example.com" })), StatusCode::ACCEPTED)
            .await;
    let reset =
        json!({ "challenge": reset["challenge"], "code": digits(&api, &reset).await, "password": "a stolen one" });

    let request = || ask(&new_email("New@example.com", PASSWORD)).header("Idempotency-Key", "move");
    let asked = answer(request(), StatusCode::ACCEPTED).await;
    assert_eq!(answer(request(), StatusCode::ACCEPTED).await, asked, "one mail for one request");
    let code = digits(&api, &asked).await;
    let confirm = |key: &str, code: &str| {
        api.post(key, "/v1/me/email/confirm", &json!({ "challenge": asked["challenge"], "code": code }))
    };
    login(&api, "jo@example.com").await;
    problem(confirm(access, other_digits(&code)), "sign-in-refused").await;
    problem(confirm(&ann.access, &code), "sign-in-refused").await;
    problem(confirm(&keys.agent, &code), "not-found").await;
    assert_eq!(notices(&api).await, vec![]);
    let me = answer(confirm(access, &code), StatusCode::OK).await;
    assert_eq!(
        (&me["user"]["email"], me["user"]["sessions"].as_array().unwrap().len()),
        (&json!("new@example.com"), 1)
    );
    problem(confirm(access, &code), "sign-in-refused").await;
    problem(api.get(text(&two, "access_token"), "/v1/me"), "unauthenticated").await;
    problem(open(&api, "/v1/auth/login", &new_email("jo@example.com", PASSWORD)), "sign-in-refused").await;
    problem(open(&api, "/v1/auth/password-reset/confirm", &reset), "sign-in-refused").await;
    login(&api, "new@example.com").await;
    assert_eq!(notices(&api).await, [("email_changed".to_owned(), "jo@example.com".to_owned(), None)]);

    let found = events(&api, "operation=confirm_my_email&outcome=done").await;
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!((&found[0]["actor_id"], &found[0]["tenant_id"]), (&jo["user_id"], &json!(keys.id)));
    assert_eq!(
        (&found[0]["before"]["email"], &found[0]["after"]["email"]),
        (&json!("jo@example.com"), &json!("new@example.com"))
    );
    let asked = written(&api, "operation=change_my_email", 2).await;
    assert_eq!(asked.iter().filter(|asked| asked["outcome"] == "attempted").count(), 1, "{asked:#?}");
    assert!(!json!(asked).to_string().contains("new@"), "not before it is proven");
    let all = answer(api.get(&api.platform_key, "/v1/audit-events?limit=200"), StatusCode::OK).await.to_string();
    assert!(!all.contains("horse") && !all.contains("argon2") && !all.contains(&format!("\"{code}\"")), "{all}");
}

#[tokio::test]
async fn whether_an_address_is_taken_only_its_mailbox_learns() {
    let api = Api::start().await;
    let keys = api.tenant("Guess").await;
    for email in ["jo@example.com", "ann@example.com", "eve@example.com"] {
        member(&api, &keys, email, "agent").await;
    }
    let passwords = api.app.passwords();
    let mut seen = Vec::new();
    for (asker, wanted) in [("jo@example.com", "ann@example.com"), ("eve@example.com", "nobody@example.com")] {
        let session = login(&api, asker).await;
        let access = text(&session, "access_token");
        let (before, outbox) = (passwords.computations(), waiting(&api).await);
        let asked = answer(api.post(access, "/v1/me/email", &new_email(wanted, PASSWORD)), StatusCode::ACCEPTED).await;
        let members: Vec<String> = asked.as_object().unwrap().keys().cloned().collect();
        let did = (passwords.computations() - before, waiting(&api).await - outbox, members);
        let code = digits(&api, &asked).await;
        let guess = json!({ "challenge": asked["challenge"], "code": other_digits(&code) });
        let mut refused = problem(api.post(access, "/v1/me/email/confirm", &guess), "sign-in-refused").await;
        refused["request_id"] = Value::Null;
        let right = json!({ "challenge": asked["challenge"], "code": code });
        if wanted == "ann@example.com" {
            problem(api.post(access, "/v1/me/email/confirm", &right), "sign-in-refused").await;
        }
        // So often, and no more.
        let mut statuses = Vec::new();
        for _ in 0..14 {
            let again = api.post(access, "/v1/me/email", &new_email(wanted, PASSWORD)).send().await.unwrap();
            statuses.push(again.status());
        }
        assert_eq!(statuses.last(), Some(&StatusCode::TOO_MANY_REQUESTS));
        statuses.dedup();
        seen.push((did, refused, statuses));
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!((seen[0].0.0, seen[0].0.1), (1, 1), "one hash, and one mail, each");
}

/// How many jobs the outbox got.
async fn waiting(api: &Api) -> i64 {
    let sql = Statement::from_string(DbBackend::Sqlite, "SELECT COUNT(*) AS many FROM outbox");
    api.app.database().reader().query_one_raw(sql).await.unwrap().unwrap().try_get("", "many").unwrap()
}

#[tokio::test]
async fn an_address_that_was_taken_meanwhile_is_told_to_who_proved_it() {
    let api = Api::start().await;
    let keys = api.tenant("Late").await;
    let jo = person(&api, Some(&keys.id), Role::Agent).await;
    let (challenge, code) = own_code(&api, &jo.access, "change_email").await;
    let wrong_purpose = json!({ "challenge": challenge, "code": code });
    problem(delete(&api, &jo.access, &wrong_purpose), "sign-in-refused").await;
    let body = json!({ "email": "wanted@example.com", "challenge": challenge, "code": code });
    let asked = answer(api.post(&jo.access, "/v1/me/email", &body), StatusCode::ACCEPTED).await;
    problem(api.post(&jo.access, "/v1/me/email", &body), "sign-in-refused").await;
    let confirm = json!({ "challenge": asked["challenge"], "code": digits(&api, &asked).await });
    member(&api, &keys, "wanted@example.com", "viewer").await;
    problem(api.post(&jo.access, "/v1/me/email/confirm", &confirm), "already-exists").await;
    let me = answer(api.get(&jo.access, "/v1/me"), StatusCode::OK).await;
    assert_eq!(me["user"]["email"], json!(jo.email));
}

#[tokio::test]
async fn who_runs_the_platform_lets_others_do_so_and_takes_it_back_at_once() {
    let api = Api::start().await;
    let keys = api.tenant("Platform").await;
    let root = person(&api, None, Role::PlatformAdmin).await;
    let jo = person(&api, Some(&keys.id), Role::TenantAdmin).await;
    let path = |id: &UserId| format!("/v1/platform/users/{id}");
    let call = |method: Method, key: &str, id: &UserId| api.request(method, &path(id)).bearer_auth(key);
    problem(call(Method::PUT, &jo.access, &jo.id), "forbidden").await;
    problem(api.get(&jo.access, "/v1/platform/api-keys"), "forbidden").await;
    // A key that may do this and no more makes nobody greater than itself.
    let narrow = json!({ "name": "narrow", "scopes": ["platform_users:write"] });
    let narrow = answer(api.post(&api.platform_key, "/v1/platform/api-keys", &narrow), StatusCode::CREATED).await;
    problem(call(Method::PUT, text(&narrow, "key"), &jo.id), "forbidden").await;

    let added = answer(call(Method::PUT, &root.access, &jo.id), StatusCode::OK).await;
    assert_eq!((&added["id"], &added["email"]), (&json!(jo.id), &json!(jo.email)));
    answer(call(Method::PUT, &api.platform_key, &jo.id), StatusCode::OK).await;
    for proof in jo.proofs() {
        answer(proof.sign(api.request(Method::GET, "/v1/platform/api-keys")), StatusCode::OK).await;
    }
    let listed = answer(api.get(&jo.access, "/v1/platform/users"), StatusCode::OK).await;
    let ids: Vec<&Value> = listed["items"].as_array().unwrap().iter().map(|user| &user["id"]).collect();
    assert!(ids.len() == 2 && ids.contains(&&json!(jo.id)) && ids.contains(&&json!(root.id)), "{listed}");

    answer(call(Method::DELETE, &jo.access, &root.id), StatusCode::NO_CONTENT).await;
    for proof in root.proofs() {
        problem(proof.sign(api.request(Method::GET, "/v1/platform/api-keys")), "forbidden").await;
    }
    problem(call(Method::DELETE, &jo.access, &root.id), "not-found").await;
    let refused = problem(call(Method::DELETE, &jo.access, &jo.id), "state-conflict").await;
    assert!(text(&refused, "detail").contains("the only one who runs the platform"), "{refused}");
    answer(call(Method::PUT, &jo.access, &root.id), StatusCode::OK).await;
    answer(call(Method::DELETE, text(&narrow, "key"), &jo.id), StatusCode::NO_CONTENT).await;
    problem(api.get(&jo.access, "/v1/platform/api-keys"), "forbidden").await;
    answer(api.get(&jo.access, "/v1/users"), StatusCode::OK).await;
    let found = events(&api, &format!("operation=remove_platform_user&subject={}", jo.id)).await;
    assert_eq!(
        (&found[0]["before"], &found[0]["after"]),
        (&json!({ "platform_admin": true }), &json!({ "platform_admin": false }))
    );
}

#[tokio::test]
async fn people_are_told_of_a_new_password_and_of_identities() {
    let api = Api::start_with(&[ISSUER]).await;
    with_keys(&api).await;
    let keys = api.tenant("Told").await;
    member(&api, &keys, "jo@example.com", "agent").await;
    assert_eq!(notices(&api).await, vec![], "a first password, with an invitation, is no news");
    let session = login(&api, "jo@example.com").await;
    let access = text(&session, "access_token");
    let issuer = "https://login.example.com".to_owned();
    let token = json!({ "id_token": a_token() });
    let told = async |kind: &str, issuer: Option<&String>| {
        let newest = notices(&api).await.pop().unwrap();
        assert_eq!(newest, (kind.to_owned(), "jo@example.com".to_owned(), issuer.cloned()));
        notices(&api).await.len()
    };
    let linked = answer(api.post(access, "/v1/me/identities", &token), StatusCode::CREATED).await;
    assert_eq!(told("identity_linked", Some(&issuer)).await, 1);
    answer(api.post(access, "/v1/me/identities", &token), StatusCode::CREATED).await;
    let path = format!("/v1/me/identities/{}", text(&linked, "id"));
    let unlink = || api.request(Method::DELETE, &path).bearer_auth(access);
    answer(unlink(), StatusCode::NO_CONTENT).await;
    problem(unlink(), "not-found").await;
    assert_eq!(told("identity_removed", Some(&issuer)).await, 2, "once for what was done, and not for what was not");

    let change = |current: &str| json!({ "current_password": current, "new_password": "another password" });
    problem(api.post(access, "/v1/me/password", &change("wrong password")), "sign-in-refused").await;
    answer(api.post(access, "/v1/me/password", &change(PASSWORD)), StatusCode::NO_CONTENT).await;
    assert_eq!(told("password_changed", None).await, 3);
    let ask = json!({ "email": "jo@example.com" });
    let asked = answer(open(&api, "/v1/auth/password-reset", &ask), StatusCode::ACCEPTED).await;
    let body = json!({ "challenge": asked["challenge"], "code": digits(&api, &asked).await, "password": PASSWORD });
    answer(open(&api, "/v1/auth/password-reset/confirm", &body), StatusCode::NO_CONTENT).await;
    assert_eq!(told("password_changed", None).await, 4);
    // The mails' jobs carry an id, and no address.
    let sql = Statement::from_string(DbBackend::Sqlite, "SELECT job FROM outbox WHERE job LIKE '%mail_notice%'");
    let jobs = api.app.database().reader().query_all_raw(sql).await.unwrap();
    assert_eq!(jobs.len(), 4);
    for job in jobs {
        let job: String = job.try_get("", "job").unwrap();
        assert!(!job.contains("jo@") && !job.contains("horse"), "{job}");
    }
}
