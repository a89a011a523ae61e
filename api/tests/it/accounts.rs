//! Mailboxes: their passwords, their servers, their limits, and what stays when they go.

use postrider_shared::ids::TenantId;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::api::{Api, TenantKeys, answer, problem};
use crate::resources::{mailbox, rows};

/// A connected mailbox; its id.
pub async fn account(api: &Api, keys: &TenantKeys) -> String {
    let made = answer(api.post(&keys.admin, "/v1/accounts", &mailbox("quotes@example.com")), StatusCode::CREATED).await;
    made["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_password_goes_in_and_never_out() {
    let api = Api::start().await;
    let keys = api.tenant("Sealed").await;
    let id = account(&api, &keys).await;
    let path = format!("/v1/accounts/{id}");
    for answer_text in [
        answer(api.get(&keys.admin, &path), StatusCode::OK).await.to_string(),
        answer(api.get(&keys.admin, "/v1/accounts"), StatusCode::OK).await.to_string(),
    ] {
        assert!(!answer_text.contains("correct horse") && !answer_text.contains("\"password\":"), "{answer_text}");
    }
    let found = answer(api.get(&keys.admin, &path), StatusCode::OK).await;
    assert_eq!((&found["imap_port"], &found["smtp_port"]), (&json!(993), &json!(465)));
    assert_eq!((&found["daily_cap"], &found["poll_interval_seconds"]), (&json!(250), &json!(600)));
    assert_eq!((&found["state"], &found["identity"]), (&json!("active"), &json!("quotes@example.com")));
    let tenant: TenantId = keys.id.parse().unwrap();
    let row = api.app.stores().accounts.get(tenant, id.parse().unwrap()).await.unwrap();
    let scope = api.app.queue().scope(&tenant.into(), &row.scope()).await.unwrap().unwrap();
    assert_eq!((scope.paused, scope.caps[0].limit), (false, 250));

    let change = |body: Value| api.request(Method::PATCH, &path).bearer_auth(&keys.admin).json(&body);
    let changed = answer(change(json!({ "password": "new", "daily_cap": 10 })), StatusCode::OK).await;
    assert_eq!(changed["daily_cap"], 10);
    let scope = api.app.queue().scope(&tenant.into(), &row.scope()).await.unwrap().unwrap();
    assert_eq!(scope.caps[0].limit, 10);
    problem(change(json!({ "password": "" })), "invalid-body").await;
    problem(change(json!({ "time_zone": "Mars/Olympus" })), "invalid-body").await;
    problem(change(json!({ "address": "nobody" })), "invalid-body").await;

    let pause = api.post(&keys.admin, &format!("{path}/pause"), &json!({ "reason": "holidays" }));
    let paused = answer(pause, StatusCode::OK).await;
    assert_eq!((&paused["state"], &paused["pause_reason"]), (&json!("paused"), &json!("holidays")));
    assert!(api.app.queue().scope(&tenant.into(), &row.scope()).await.unwrap().unwrap().paused);
    let resume = api.request(Method::POST, &format!("{path}/resume")).bearer_auth(&keys.admin);
    assert_eq!(answer(resume, StatusCode::OK).await["state"], "active");
    assert!(!api.app.queue().scope(&tenant.into(), &row.scope()).await.unwrap().unwrap().paused);
}

#[tokio::test]
async fn a_disconnected_mailbox_is_gone_and_its_mails_stay() {
    let api = Api::start().await;
    let keys = api.tenant("Leaving").await;
    let id = account(&api, &keys).await;
    let ids = rows(&api, &keys, &id).await;
    let path = format!("/v1/accounts/{id}");
    let delete = || api.request(Method::DELETE, &path).bearer_auth(&keys.admin);
    answer(delete(), StatusCode::NO_CONTENT).await;
    problem(api.get(&keys.admin, &path), "not-found").await;
    problem(delete(), "not-found").await;
    answer(api.get(&keys.viewer, &format!("/v1/mails/{}", ids["mails"])), StatusCode::OK).await;
    let listed = answer(api.get(&keys.viewer, "/v1/accounts"), StatusCode::OK).await;
    assert_eq!(listed["items"], json!([]));
}

#[tokio::test]
async fn a_password_is_brought_to_no_other_server() {
    let api = Api::start().await;
    let keys = api.tenant("Elsewhere").await;
    let id = account(&api, &keys).await;
    let change =
        |body: Value| api.request(Method::PATCH, &format!("/v1/accounts/{id}")).bearer_auth(&keys.admin).json(&body);
    for elsewhere in [
        json!({ "imap_host": "imap.evil.example" }),
        json!({ "smtp_host": "smtp.evil.example", "daily_cap": 7 }),
        json!({ "imap_port": 1993 }),
        json!({ "smtp_security": "plain" }),
        json!({ "imap_security": "starttls" }),
    ] {
        let refused = problem(change(elsewhere), "invalid-body").await;
        assert_eq!(refused["errors"][0]["pointer"], "/password", "{refused}");
    }
    let kept = answer(api.get(&keys.viewer, &format!("/v1/accounts/{id}")), StatusCode::OK).await;
    assert_eq!((&kept["imap_host"], &kept["daily_cap"]), (&json!("imap.example.com"), &json!(250)), "{kept}");
    // The same servers need nothing, and who has the password may take it where they like.
    answer(change(json!({ "imap_host": "IMAP.example.com", "imap_port": 993, "daily_cap": 7 })), StatusCode::OK).await;
    let moved = answer(change(json!({ "imap_host": "new.example.com", "password": "known" })), StatusCode::OK).await;
    assert_eq!(moved["imap_host"], "new.example.com");
}

#[tokio::test]
async fn addresses_that_only_the_installation_reaches_are_no_mail_servers() {
    let api = Api::start_with(&[("ALLOWED_PRIVATE_NETWORKS", "10.1.0.0/16")]).await;
    let keys = api.tenant("Inside").await;
    let id = account(&api, &keys).await;
    let path = format!("/v1/accounts/{id}");
    let with = |member: &str, host: &str| {
        let mut body = mailbox("inside@example.com");
        body[member] = json!(host);
        body
    };
    let change = |body: &Value| api.request(Method::PATCH, &path).bearer_auth(&keys.admin).json(body);
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "::1",
        "[::1]",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "0.0.0.0",
        "10.2.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "192.168.0.1",
        "192.0.2.1",
        "224.0.0.1",
        "fd00:ec2::254",
        "fe80::1%eth0",
    ] {
        for member in ["imap_host", "smtp_host"] {
            let made = problem(api.post(&keys.admin, "/v1/accounts", &with(member, host)), "invalid-body").await;
            assert_eq!(made["errors"][0]["pointer"], format!("/{member}"), "{host}: {made}");
            assert!(made["detail"].as_str().unwrap().contains("does not allow"), "{host}: {made}");
            let changed = problem(change(&json!({ member: host, "password": "known" })), "invalid-body").await;
            assert_eq!(changed["errors"][0]["pointer"], format!("/{member}"), "{host}: {changed}");
        }
    }
    let kept = answer(api.get(&keys.viewer, &path), StatusCode::OK).await;
    assert_eq!((&kept["imap_host"], &kept["smtp_host"]), (&json!("imap.example.com"), &json!("smtp.example.com")));
    for host in ["10.1.2.3", "8.8.8.8", "2a00:1450:4001::1"] {
        for member in ["imap_host", "smtp_host"] {
            answer(api.post(&keys.admin, "/v1/accounts", &with(member, host)), StatusCode::CREATED).await;
            answer(change(&json!({ member: host, "password": "known" })), StatusCode::OK).await;
        }
    }
}
