//! Whoever changes something or sees data of persons leaves an event, once, for those to see who may.

use std::collections::{HashMap, HashSet};

use postrider_api::audit::operations::{Recorded, decided};
use postrider_shared::roles::Role;
use reqwest::{Method, StatusCode};
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use crate::api::{Api, TenantKeys, answer, problem};
use crate::operations::{operations, resource};
use crate::resources::{mailbox, rows, window};

/// Operations whose 2xx needs what only workers or Google make. Those of them that change something go through the same stores as
/// their neighbours here.
const OUT_OF_REACH: [&str; 14] = [
    "create_google_account",
    "ask_consent",
    "get_quote_pdf",
    "get_quote_revision_pdf",
    "get_attachment_content",
    // For people, and this one calls with a key.
    "change_me",
    "change_my_email",
    "change_my_password",
    "confirm_my_email",
    "delete_me",
    "end_my_session",
    "link_my_identity",
    "unlink_my_identity",
    "logout",
];

/// Method and path of every private operation, by its name.
fn by_name() -> HashMap<String, (Method, String)> {
    operations().into_iter().map(|operation| (operation.id, (operation.method, operation.path))).collect()
}

#[test]
fn what_every_operation_leaves_is_decided() {
    let mut undecided: Vec<String> = by_name().into_keys().filter(|name| decided(name).is_none()).collect();
    undecided.sort();
    assert!(
        undecided.is_empty(),
        "say in api/src/audit/operations.rs what these leave in the audit log: {undecided:?}"
    );
}

/// Calls operations one after the other, each under a request id of its own.
struct Calls<'a> {
    api: &'a Api,
    owner: &'a TenantKeys,
    operations: HashMap<String, (Method, String)>,
    ids: HashMap<&'static str, String>,
    seen: HashSet<String>,
}

impl Calls<'_> {
    async fn call(&mut self, name: &str, body: Value) -> Value {
        let (method, pattern) = self.operations[name].clone();
        let resource = resource(&pattern);
        let id = self.ids.get(resource).cloned().unwrap_or_default();
        let path = pattern.replace("{id}", &id).replace("{queue}", &id);
        let path = if name == "delete_tenant" { format!("{path}?confirm=Renamed") } else { path };
        let request = self.api.request(method.clone(), &path).bearer_auth(&self.api.platform_key);
        let request = if path.contains("/platform/") || ["queues", "secrets", "tenants"].contains(&resource) {
            request
        } else {
            request.header("Postrider-Tenant", &self.owner.id)
        };
        let request = if method == Method::GET || body.is_null() { request } else { request.json(&body) };
        let response = request.header("X-Request-Id", format!("call-{name}")).send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert!(status.is_success(), "{name}: {status} {text}");
        let found = events(self.api, &format!("request_id=call-{name}")).await;
        match decided(name) {
            Some(Recorded::Nothing(_)) => assert_eq!(found, Vec::<Value>::new(), "{name} is exempt"),
            recorded => {
                let (kind, outcome) = match recorded {
                    Some(Recorded::Access) => ("access", "done"),
                    Some(Recorded::Elsewhere) => ("change", "attempted"),
                    _ => ("change", "done"),
                };
                // A redrive is begun in one transaction, and noted as done in another.
                let many = if name == "redrive_dead_letter" { 2 } else { 1 };
                assert_eq!(found.len(), many, "{name} leaves so many events: {found:#?}");
                let event = &found[0];
                assert_eq!(
                    (&event["operation"], &event["kind"], &event["outcome"]),
                    (&json!(name), &json!(kind), &json!(outcome))
                );
                let key = event["actor_name"].as_str().unwrap();
                assert!(key.starts_with("platform (pr_"), "{event:#}");
                assert_eq!(event["ip"], json!("127.0.0.1"), "{name}");
                if kind == "change" && outcome == "done" {
                    assert!(event["before"] != event["after"] || name == "change_account", "{name} differs: {event:#}");
                }
                if path.contains(&id) && !id.is_empty() {
                    assert_eq!(event["subject_id"], json!(id), "{name}");
                }
            }
        }
        self.seen.insert(name.to_owned());
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// As if others had brought it there.
    async fn update(&self, change: &str) {
        self.api.app.database().reader().execute_unprepared(&format!("UPDATE {change}")).await.unwrap();
    }
}

pub async fn events(api: &Api, query: &str) -> Vec<Value> {
    let found = answer(api.get(&api.platform_key, &format!("/v1/audit-events?{query}")), StatusCode::OK).await;
    found["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn every_operation_leaves_what_the_table_says() {
    let api = Api::start().await;
    let owner = api.tenant("Audited").await;
    let id = |body: &Value| body["id"].as_str().unwrap().to_owned();
    let account =
        answer(api.post(&owner.admin, "/v1/accounts", &mailbox("owner@example.com")), StatusCode::CREATED).await;
    let mut calls =
        Calls { api: &api, owner: &owner, operations: by_name(), ids: HashMap::new(), seen: HashSet::new() };
    calls.ids.extend(rows(&api, &owner, &id(&account)).await);
    calls.ids.extend([("tenants", owner.id.clone()), ("queues", "mail".to_owned())]);

    let created = calls.call("create_account", mailbox("second@example.com")).await;
    calls.ids.insert("accounts", id(&created));
    let created = calls.call("create_product", window()).await;
    calls.ids.insert("products", id(&created));
    let created = calls.call("create_api_key", json!({ "name": "Shop", "role": "viewer" })).await;
    calls.ids.insert("api-keys", id(&created));
    let created = calls.call("create_platform_key", json!({ "name": "Ops" })).await;
    calls.ids.insert("platform", id(&created));
    calls.call("create_tenant", json!({ "name": "Another" })).await;
    let user = crate::identity::member(&api, &owner, "ann@example.com", "agent").await;
    calls.ids.insert("users", user["user_id"].as_str().unwrap().to_owned());
    // The last one who runs the platform keeps that.
    crate::matrix::people::person(&api, None, Role::PlatformAdmin).await;
    let created = calls.call("create_invitation", json!({ "email": "jo@example.com", "role": "agent" })).await;
    calls.ids.insert("invitations", id(&created));
    let waiting = json!({ "kind": "diagnostic.echo", "run_at": "2999-01-01T00:00:00Z" });
    let job = calls.call("submit_job", waiting).await;
    calls.ids.insert("jobs", id(&job));
    let size = json!([{ "name": "width", "value": "1000", "unit": "mm" }, { "name": "height", "value": "1000", "unit": "mm" }]);
    let items = json!({ "items": [{ "sku": "WIN", "dimensions": size, "material": "OAK", "quantity": "2" }] });
    calls.call("approve_quote", items).await;

    for (name, body) in [
        ("change_account", json!({ "password": "another secret" })),
        ("pause_account", json!({ "reason": "holidays" })),
        ("resume_account", Value::Null),
        ("change_product", json!({ "name": "Windows" })),
        ("archive_product", Value::Null),
        ("change_tenant", json!({ "name": "Renamed" })),
        ("suspend_tenant", Value::Null),
        ("delete_tenant", Value::Null),
        ("restore_tenant", Value::Null),
        ("activate_tenant", Value::Null),
        ("change_api_key", json!({ "name": "Renamed" })),
        ("rotate_api_key", json!({})),
        ("revoke_api_key", Value::Null),
        ("change_platform_key", json!({ "name": "Renamed" })),
        ("rotate_platform_key", json!({})),
        ("revoke_platform_key", Value::Null),
        ("settle_message", json!({ "outcome": "accepted" })),
        ("pause_queue", Value::Null),
        ("resume_queue", Value::Null),
        ("retry_job", Value::Null),
        ("rotate_secrets", Value::Null),
        ("change_user", json!({ "role": "viewer" })),
        ("add_platform_user", Value::Null),
        ("remove_platform_user", Value::Null),
        ("redrive_dead_letters", json!({ "group": "none" })),
        ("cancel_jobs", json!({ "kind": "none" })),
        ("discard_dead_letters", json!({ "group": "none" })),
        ("redrive_dead_letter", Value::Null),
    ] {
        calls.call(name, body).await;
    }
    calls.update("tenants SET state = 'pending'").await;
    calls.call("approve_tenant", Value::Null).await;
    calls.update("inbound_mails SET state = 'needs_review'").await;
    calls.call("resolve_mail", Value::Null).await;
    for (state, name) in
        [("sent", "accept_quote"), ("sent", "decline_quote"), ("declined", "renew_quote"), ("sent", "revise_quote")]
    {
        calls.update(&format!("quotes SET state = '{state}', valid_until = '2999-01-01'")).await;
        calls.call(name, json!({})).await;
    }
    for (name, (method, _)) in by_name() {
        let needs_more = OUT_OF_REACH.contains(&name.as_str()) || calls.seen.contains(&name);
        if method == Method::GET && !needs_more && !matches!(decided(&name), Some(Recorded::Nothing(_)) | None) {
            calls.call(&name, Value::Null).await;
        }
    }
    calls.call("remove_user", Value::Null).await;
    calls.call("revoke_invitation", Value::Null).await;
    calls.call("disconnect_account", Value::Null).await;
    calls.call("cancel_job", Value::Null).await;

    let mut missing: Vec<String> = by_name()
        .into_keys()
        .filter(|name| !calls.seen.contains(name) && !OUT_OF_REACH.contains(&name.as_str()))
        .filter(|name| matches!(decided(name), Some(Recorded::Change | Recorded::Elsewhere | Recorded::Access)))
        .filter(|name| name != "discard_dead_letter")
        .collect();
    missing.sort();
    assert!(missing.is_empty(), "call these here, too: {missing:?}");
    let all = answer(api.get(&api.platform_key, "/v1/audit-events?limit=200"), StatusCode::OK).await.to_string();
    for secret in ["correct horse", "another secret", "s1:"] {
        assert!(!all.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_repeated_request_leaves_one_event() {
    let api = Api::start().await;
    let keys = api.tenant("Twice").await;
    for _ in 0..2 {
        let request = api.post(&keys.admin, "/v1/products", &window()).header("Idempotency-Key", "once");
        answer(request, StatusCode::CREATED).await;
    }
    assert_eq!(events(&api, "operation=create_product").await.len(), 1);
}

#[tokio::test]
async fn a_tenant_sees_its_own_events_and_the_platform_all() {
    let api = Api::start().await;
    let (ours, theirs) = (api.tenant("Ours").await, api.tenant("Theirs").await);
    for keys in [&ours, &theirs] {
        answer(api.post(&keys.admin, "/v1/products", &window()), StatusCode::CREATED).await;
        answer(api.get(&keys.viewer, "/v1/mails"), StatusCode::OK).await;
    }
    for key in [&ours.agent, &ours.viewer] {
        problem(api.get(key, "/v1/audit-events"), "forbidden").await;
        problem(api.get(key, "/v1/audit-events/export"), "forbidden").await;
    }
    let of = |page: &Value| -> HashSet<String> {
        page["items"].as_array().unwrap().iter().map(|event| event["tenant_id"].to_string()).collect()
    };
    let own = answer(api.get(&ours.admin, "/v1/audit-events"), StatusCode::OK).await;
    assert_eq!(of(&own), HashSet::from([json!(ours.id).to_string()]));
    let all = answer(api.get(&api.platform_key, "/v1/audit-events"), StatusCode::OK).await;
    assert!(of(&all).len() >= 3, "the platform's own, and both tenants': {all:#}");
    let filtered = answer(api.get(&ours.admin, "/v1/audit-events?kind=access&resource=mails"), StatusCode::OK).await;
    assert_eq!(filtered["items"].as_array().unwrap().len(), 1, "{filtered:#}");
    problem(api.get(&ours.admin, "/v1/audit-events?kind=gossip"), "invalid-query").await;

    // By pages, the same as in one.
    let mut paged = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = answer(
            api.get(&api.platform_key, &format!("/v1/audit-events?operation=create_api_key&limit=2{cursor}")),
            StatusCode::OK,
        )
        .await;
        paged.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(paged.len(), 6, "three keys of each tenant");

    let text = |path: &str| {
        let request = api.get(&ours.admin, path);
        async move { request.send().await.unwrap().text().await.unwrap() }
    };
    let ndjson = text("/v1/audit-events/export?kind=change").await;
    let lines: Vec<Value> = ndjson.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!lines.is_empty() && lines.iter().all(|line| line["tenant_id"] == json!(ours.id)), "{ndjson}");
    let csv = text("/v1/audit-events/export?kind=change&format=csv").await;
    assert_eq!(csv.lines().count(), lines.len() + 1, "{csv}");
    assert!(csv.starts_with("id,at,tenant_id,"), "{csv}");
    assert_eq!(events(&api, "operation=export_audit_events&outcome=done").await.len(), 2, "an export is recorded, too");
}
