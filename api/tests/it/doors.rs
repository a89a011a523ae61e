//! Who may do what: every operation of the document, with every kind of key.

use std::collections::HashMap;

use postrider_shared::roles::Role;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::api::{Api, TenantKeys, answer, problem, shaped};
use crate::operations::{Operation, operations, resource};

/// A path with these ids in it; an unknown name is a mistake of the test.
fn filled(path: &str, ids: &HashMap<&str, String>) -> String {
    let id = ids.get(resource(path)).unwrap_or_else(|| panic!("no id for {path}"));
    path.replace("{id}", id).replace("{queue}", id)
}

fn nowhere() -> HashMap<&'static str, String> {
    let uuid = "0197f3a0-5c1e-7d2a-9b1f-3c5d7e9f1a2b".to_owned();
    let mut ids: HashMap<&str, String> = [
        "accounts",
        "api-keys",
        "attachments",
        "audit-events",
        "dead-letters",
        "kinds",
        "mails",
        "messages",
        "platform",
        "products",
        "quotes",
        "tenants",
        "threads",
        "auth",
        "invitations",
        "me",
        "users",
    ]
    .into_iter()
    .map(|resource| (resource, uuid.clone()))
    .collect();
    ids.insert("jobs", "job_00000000000000000000000000".to_owned());
    ids.insert("batches", "batch_00000000000000000000000000".to_owned());
    ids.insert("secrets", "job_00000000000000000000000000".to_owned());
    ids.insert("queues", "nowhere".to_owned());
    ids
}

#[tokio::test]
async fn without_a_valid_key_nothing_opens() {
    let api = Api::start().await;
    let keys = api.tenant("Doors").await;
    let listed = answer(api.get(&keys.admin, "/v1/api-keys"), StatusCode::OK).await;
    let agent = listed["items"].as_array().unwrap().iter().find(|key| key["name"] == "agent").unwrap();
    let path = format!("/v1/api-keys/{}", agent["id"].as_str().unwrap());
    answer(api.request(Method::DELETE, &path).bearer_auth(&keys.admin), StatusCode::OK).await;

    let mut altered = keys.admin.clone();
    let last = if altered.ends_with('0') { "1" } else { "0" };
    altered.replace_range(altered.len() - 1.., last);
    for operation in operations() {
        let path = filled(&operation.path, &nowhere());
        let call = || api.request(operation.method.clone(), &path);
        let refused = call().send().await.unwrap();
        assert_eq!(refused.headers()["www-authenticate"], "Bearer realm=\"postrider\"");
        shaped(refused, "unauthenticated").await;
        for wrong in [keys.agent.as_str(), &altered, "pr_x_y", "", "pr_000000000000_0"] {
            problem(call().bearer_auth(wrong), "unauthenticated").await;
        }
        problem(call().basic_auth("admin", Some("admin")), "unauthenticated").await;
    }
}

#[tokio::test]
async fn a_role_opens_what_it_says_and_no_more() {
    let api = Api::start().await;
    let keys = api.tenant("Roles").await;
    let by_role = [(Role::Viewer, &keys.viewer), (Role::Agent, &keys.agent), (Role::TenantAdmin, &keys.admin)];
    for operation in operations() {
        let path = filled(&operation.path, &nowhere());
        for (role, key) in by_role {
            let found = api.request(operation.method.clone(), &path).bearer_auth(key).send().await.unwrap();
            let name = format!("{} {path} as {role}", operation.method);
            let opened = found.status() != StatusCode::FORBIDDEN;
            assert_eq!(
                opened,
                role.permissions().contains(operation.permission),
                "{name}: {}",
                found.text().await.unwrap()
            );
        }
        let named = api.request(operation.method.clone(), &path).bearer_auth(&api.platform_key);
        let found = named.header("Postrider-Tenant", &keys.id).send().await.unwrap();
        assert!(![401, 403, 500].contains(&found.status().as_u16()), "{path}: {}", found.text().await.unwrap());
    }
}

#[tokio::test]
async fn a_platform_key_names_its_tenant() {
    let api = Api::start().await;
    let keys = api.tenant("Named").await;
    let own = api.get(&api.platform_key, "/v1/jobs");
    problem(own.try_clone().unwrap(), "tenant-required").await;
    answer(own.try_clone().unwrap().header("Postrider-Tenant", &keys.id), StatusCode::OK).await;
    answer(api.get(&api.platform_key, &format!("/v1/jobs?tenant={}", keys.id)), StatusCode::OK).await;
    for nobody in ["0197f3a0-5c1e-7d2a-9b1f-3c5d7e9f1a2b", "nonsense"] {
        problem(own.try_clone().unwrap().header("Postrider-Tenant", nobody), "not-found").await;
    }
    // A tenant's key may name its own tenant, and no other.
    let other = api.tenant("Other").await;
    answer(api.get(&keys.viewer, "/v1/jobs").header("Postrider-Tenant", &keys.id), StatusCode::OK).await;
    problem(api.get(&keys.viewer, "/v1/jobs").header("Postrider-Tenant", &other.id), "not-found").await;
    problem(api.get(&keys.viewer, &format!("/v1/jobs?tenant={}", other.id)), "not-found").await;
}

#[tokio::test]
async fn another_tenants_things_do_not_exist() {
    let api = Api::start().await;
    let owner = api.tenant("Owner").await;
    let stranger = api.tenant("Stranger").await;
    let mut ids = belongings(&api, &owner).await;
    ids.extend(nowhere().into_iter().filter(|(resource, _)| ["queues", "kinds", "secrets"].contains(resource)));
    let of_tenants = |operation: &&Operation| operation.path.contains("{id}") && !operation.path.contains("/platform/");
    for operation in operations().iter().filter(of_tenants) {
        let path = filled(&operation.path, &ids);
        for key in [&stranger.admin, &stranger.viewer] {
            let call = api.request(operation.method.clone(), &path).bearer_auth(key);
            let call = if operation.method == Method::GET { call } else { call.json(&body_for(&operation.path)) };
            let found = call.send().await.unwrap();
            let role = if key == &stranger.admin { Role::TenantAdmin } else { Role::Viewer };
            if operation.permission.roles().contains(&role) {
                shaped(found, "not-found").await;
            }
        }
    }
    for list in ["jobs", "accounts", "products", "quotes", "mails", "threads", "messages", "dead-letters"] {
        let items = answer(api.get(&stranger.viewer, &format!("/v1/{list}")), StatusCode::OK).await;
        assert_eq!(items["items"], json!([]), "{list}");
    }
    let tenants = answer(api.get(&stranger.viewer, "/v1/tenants"), StatusCode::OK).await;
    assert_eq!(tenants["items"].as_array().unwrap().len(), 1);
    assert_eq!(tenants["items"][0]["id"], stranger.id);
    let found = answer(api.get(&owner.viewer, &format!("/v1/jobs/{}", ids["jobs"])), StatusCode::OK).await;
    assert_eq!(found["state"], "scheduled", "the stranger changed nothing");
}

/// A body the operation would take, so that only the id is to blame.
fn body_for(path: &str) -> Value {
    match path {
        "/v1/users/{id}" => json!({ "role": "viewer" }),
        _ if path.ends_with("/settle") => json!({ "outcome": "failed" }),
        _ => json!({}),
    }
}

/// One of each thing of a tenant.
async fn belongings(api: &Api, owner: &TenantKeys) -> HashMap<&'static str, String> {
    let id = |body: &Value| body["id"].as_str().unwrap().to_owned();
    let job = json!({ "kind": "diagnostic.echo", "run_at": "2999-01-01T00:00:00Z" });
    let job = answer(api.post(&owner.agent, "/v1/jobs", &job), StatusCode::ACCEPTED).await;
    let account = crate::resources::mailbox("owner@example.com");
    let account = answer(api.post(&owner.admin, "/v1/accounts", &account), StatusCode::CREATED).await;
    let product =
        answer(api.post(&owner.admin, "/v1/products", &crate::resources::window()), StatusCode::CREATED).await;
    let listed = answer(api.get(&owner.admin, "/v1/api-keys"), StatusCode::OK).await;
    let rows = crate::resources::rows(api, owner, &id(&account)).await;
    let batch = answer(api.post(&owner.agent, "/v1/batches", &json!({})), StatusCode::CREATED).await;
    let user = crate::identity::member(api, owner, "owner@example.com", "agent").await;
    let invitation = json!({ "email": "guest@example.com", "role": "agent" });
    let invitation = answer(api.post(&owner.admin, "/v1/invitations", &invitation), StatusCode::CREATED).await;
    let mut ids = HashMap::from([
        ("jobs", id(&job)),
        ("batches", id(&batch)),
        ("accounts", id(&account)),
        ("products", id(&product)),
        ("tenants", owner.id.clone()),
        ("api-keys", id(&listed["items"][0])),
        ("users", user["user_id"].as_str().unwrap().to_owned()),
        ("invitations", id(&invitation)),
        ("me", "0197f3a0-5c1e-7d2a-9b1f-3c5d7e9f1a2b".to_owned()),
    ]);
    ids.extend(rows);
    ids
}

#[tokio::test]
async fn a_suspended_tenants_keys_do_not_open() {
    let api = Api::start().await;
    let keys = api.tenant("Gone").await;
    let change =
        |key: &str, verb: &str| api.request(Method::POST, &format!("/v1/tenants/{}/{verb}", keys.id)).bearer_auth(key);
    problem(change(&keys.admin, "suspend"), "forbidden").await;
    assert_eq!(answer(change(&api.platform_key, "suspend"), StatusCode::OK).await["state"], "suspended");
    let listed = answer(api.get(&api.platform_key, "/v1/tenants?state=suspended"), StatusCode::OK).await;
    assert_eq!(listed["items"][0]["id"], keys.id);
    problem(change(&api.platform_key, "approve"), "state-conflict").await;
    problem(api.get(&keys.admin, "/v1/jobs"), "tenant-inactive").await;
    answer(change(&api.platform_key, "activate"), StatusCode::OK).await;
    answer(api.get(&keys.admin, "/v1/jobs"), StatusCode::OK).await;
}

#[tokio::test]
async fn the_platform_key_is_made_once() {
    let api = Api::start().await;
    assert!(postrider_api::first_key::create(&api.app, |_| Ok(())).await.unwrap().is_none());
    let keys = api.tenant("Keys").await;
    let listed = answer(api.get(&keys.admin, "/v1/api-keys"), StatusCode::OK).await.to_string();
    for text in [&keys.admin, &keys.agent, &keys.viewer] {
        let secret = text.rsplit('_').next().unwrap();
        assert!(!listed.contains(secret));
    }
    problem(api.post(&keys.admin, "/v1/api-keys", &json!({ "name": "x", "role": "platform_admin" })), "forbidden")
        .await;
}
