//! Who may do what: every operation of the document, with every kind of caller, on its own tenant and on another's.
//!
//! The operations come from the document, and who may from the table of roles. An operation without a recipe (recipes.rs) fails the
//! test, so a new one is decided on, tried by its rightful roles and by all others.

mod recipes;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use futures::{StreamExt as _, stream};
use postrider_shared::roles::{Permission, Role};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::api::{Api, TenantKeys, answer, shaped};
use crate::operations::{Operation, operations};
use recipes::{Subject, body, refusal, subject};

/// Resources whose operations have no recipe yet; doors.rs tries them with ids of nothing.
const WITHOUT_RECIPES: [&str; 5] = ["/v1/audit-events", "/v1/auth", "/v1/invitations", "/v1/me", "/v1/users"];

impl Operation {
    fn call(&self, api: &Api, subject: &Subject) -> RequestBuilder {
        let call = api.request(self.method.clone(), &subject.path(&self.path));
        match body(&self.id) {
            Some(body) if self.method != Method::GET => call.json(&body),
            _ => call,
        }
    }

    fn is_a_tenants(&self) -> bool {
        self.permission.roles().contains(&Role::TenantAdmin)
    }
}

/// The operations that have recipes.
fn with_recipes() -> Vec<Operation> {
    let has = |operation: &Operation| !WITHOUT_RECIPES.iter().any(|resource| operation.path.starts_with(resource));
    let found: Vec<Operation> = operations().into_iter().filter(has).collect();
    assert!(found.len() > 70, "only {} operations", found.len());
    found
}

/// What a call answered: the status, and the body if it ends.
async fn sent(request: RequestBuilder) -> (StatusCode, String) {
    let response = request.send().await.unwrap();
    let status = response.status();
    let endless = response.headers().get("content-type").is_some_and(|kind| kind == "text/event-stream");
    (status, if endless { String::new() } else { response.text().await.unwrap() })
}

/// The owner's key of a role; a platform key names the owner.
fn as_role(api: &Api, keys: &TenantKeys, role: Role, call: RequestBuilder) -> RequestBuilder {
    match role {
        Role::Viewer => call.bearer_auth(&keys.viewer),
        Role::Agent => call.bearer_auth(&keys.agent),
        Role::TenantAdmin => call.bearer_auth(&keys.admin),
        Role::PlatformAdmin => call.bearer_auth(&api.platform_key).header("Postrider-Tenant", &keys.id),
    }
}

#[tokio::test]
async fn every_operation_opens_for_its_rightful_roles() {
    let api = Api::start().await;
    let readable = subject(&api, "Readable").await;
    let cases: Vec<(Operation, Role)> = with_recipes()
        .into_iter()
        .flat_map(|operation| operation.permission.roles().iter().map(move |role| (operation.clone(), *role)))
        .collect();
    let (mut opened, mut refused, many, mut wrong) = (0, 0, cases.len(), Vec::new());
    let answers = stream::iter(cases).map(|(operation, role)| {
        let (api, readable) = (&api, &readable);
        async move {
            let fresh = if operation.method == Method::GET { None } else { Some(subject(api, "Fresh").await) };
            let subject = fresh.as_ref().unwrap_or(readable);
            let found = sent(as_role(api, &subject.keys, role, operation.call(api, subject))).await;
            (operation, role, found)
        }
    });
    let mut answers = answers.buffer_unordered(4);
    while let Some((operation, role, (status, body))) = answers.next().await {
        let name = format!("{} ({} {}) as {role}: {status} {body}", operation.id, operation.method, operation.path);
        match refusal(&operation.id) {
            None if status.is_success() => opened += 1,
            // What the caller may do, and the thing does not allow as it is.
            Some(slug) if body.contains(&format!("/problems/{slug}\"")) => refused += 1,
            _ => wrong.push(name),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("matrix: {many} rightful cases, {opened} answered 2xx, {refused} refused by the state of the thing");
}

#[tokio::test]
async fn no_operation_opens_for_anybody_else() {
    let api = Api::start().await;
    let owner = subject(&api, "Canary owner").await;
    let foreign = api.tenant("Foreign").await;
    let shut = shut_keys(&api, &owner.keys).await;
    let suspended = api.tenant("Suspended").await;
    let suspend = api.request(Method::POST, &format!("/v1/tenants/{}/suspend", suspended.id));
    answer(suspend.bearer_auth(&api.platform_key), StatusCode::OK).await;
    let operations = with_recipes();
    let before = picture(&api, &owner, &operations).await;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut count = |what| *counts.entry(what).or_default() += 1;

    for operation in &operations {
        let name = |who: &str| format!("{} ({} {}) as {who}", operation.id, operation.method, operation.path);
        let call = || operation.call(&api, &owner);
        let nobody = shaped(call().send().await.unwrap(), "unauthenticated").await;
        no_canary(&nobody.to_string(), &name("nobody"));
        count("without a key");
        for text in shut.iter().map(String::as_str).chain(["", "pr_x_y", "pr_000000000000_0"]) {
            shaped(call().bearer_auth(text).send().await.unwrap(), "unauthenticated").await;
            count("revoked, expired, altered and nonsense keys");
        }
        shaped(call().bearer_auth(&suspended.admin).send().await.unwrap(), "tenant-inactive").await;
        count("key of a suspended tenant");

        for role in Role::ALL.iter().filter(|role| !operation.permission.roles().contains(role)) {
            shaped(as_role(&api, &owner.keys, *role, call()).send().await.unwrap(), "forbidden").await;
            count("role without the permission");
        }
        let narrow = narrowed(&api, &owner.keys, operation).await;
        let narrow = call().bearer_auth(narrow).header("Postrider-Tenant", &owner.keys.id);
        shaped(narrow.send().await.unwrap(), "forbidden").await;
        count("scopes without the permission");

        for role in [Role::Viewer, Role::Agent, Role::TenantAdmin] {
            let may = operation.permission.roles().contains(&role);
            // Whoever names the owner is told that there is no such tenant.
            let named = as_role(&api, &foreign, role, call()).header("Postrider-Tenant", &owner.keys.id);
            shaped(named.send().await.unwrap(), "not-found").await;
            count("foreign tenant, naming the owner");
            let (status, found) = sent(as_role(&api, &foreign, role, call())).await;
            no_canary(&found, &name("foreign"));
            let of_owner = operation.path.contains("{id}");
            let expected = match (may, of_owner) {
                (false, _) => status == StatusCode::FORBIDDEN,
                (true, true) => status == StatusCode::NOT_FOUND,
                (true, false) => {
                    status.is_success() || status.is_client_error() || status == StatusCode::NOT_IMPLEMENTED
                }
            };
            assert!(expected, "{}: {status} {found}", name(role.as_str()));
            count("foreign tenant, by the owner's ids");
        }
    }
    assert_eq!(picture(&api, &owner, &operations).await, before, "a stranger changed something");
    let all: usize = counts.values().sum();
    let mut lines = format!("matrix: {} operations, {all} cases that must not open", operations.len());
    for (what, many) in counts {
        let _ = write!(lines, "\n  {many:5} {what}");
    }
    println!("{lines}");
}

/// Keys of the owner that no longer open: revoked, expired, with a wrong secret.
async fn shut_keys(api: &Api, owner: &TenantKeys) -> Vec<String> {
    let issue = async |more: Value| {
        let mut new = json!({ "name": "shut", "role": "tenant_admin" });
        new.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        answer(api.post(&owner.admin, "/v1/api-keys", &new), StatusCode::CREATED).await
    };
    let revoked = issue(json!({})).await;
    let path = format!("/v1/api-keys/{}", revoked["id"].as_str().unwrap());
    answer(api.request(Method::DELETE, &path).bearer_auth(&owner.admin), StatusCode::OK).await;
    let ends = api.app.clock().now() + std::time::Duration::from_millis(500);
    let expired = issue(json!({ "expires_at": ends })).await;
    while api.app.clock().now() < ends {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let mut altered = owner.admin.clone();
    let last = if altered.ends_with('0') { "1" } else { "0" };
    altered.replace_range(altered.len() - 1.., last);
    let text = |key: &Value| key["key"].as_str().unwrap().to_owned();
    vec![text(&revoked), text(&expired), altered]
}

/// A key of a role that may do the operation, narrowed to everything else.
async fn narrowed(api: &Api, owner: &TenantKeys, operation: &Operation) -> String {
    let role = if operation.is_a_tenants() { Role::TenantAdmin } else { Role::PlatformAdmin };
    let others: Vec<Permission> = role.permissions().iter().filter(|one| *one != operation.permission).collect();
    let request = if operation.is_a_tenants() {
        api.post(&owner.admin, "/v1/api-keys", &json!({ "name": "narrow", "role": role, "scopes": others }))
    } else {
        api.post(&api.platform_key, "/v1/platform/api-keys", &json!({ "name": "narrow", "scopes": others }))
    };
    answer(request, StatusCode::CREATED).await["key"].as_str().unwrap().to_owned()
}

/// Everything the owner sees of its own things, but for keys, which the test itself makes and uses.
async fn picture(api: &Api, owner: &Subject, operations: &[Operation]) -> BTreeMap<String, String> {
    let mut picture = BTreeMap::new();
    let reads = |operation: &&Operation| operation.method == Method::GET && operation.is_a_tenants();
    for operation in operations.iter().filter(reads).filter(|operation| operation.permission != Permission::KeysRead) {
        let (_, mut found) = sent(operation.call(api, owner).bearer_auth(&owner.keys.admin)).await;
        if let Ok(mut problem) = serde_json::from_str::<Value>(&found)
            && problem.get("request_id").is_some()
        {
            problem["request_id"] = Value::Null;
            found = problem.to_string();
        }
        picture.insert(operation.id.clone(), found);
    }
    assert!(picture.values().any(|found| recipes::CANARIES.iter().any(|canary| found.contains(canary))));
    picture
}

fn no_canary(found: &str, name: &str) {
    for canary in recipes::CANARIES {
        assert!(!found.contains(canary), "{name} saw {canary}: {found}");
    }
}
