//! Who may do what: every operation of the document, with every kind of caller, on its own tenant and on another's.
//!
//! The operations come from the document, and who may from the table of roles. Callers are keys, people by token and by cookie, and
//! keys of the platform that name a tenant; strangers are other tenants, their people, people who were removed, and proofs that no
//! longer hold. An operation without a recipe (recipes.rs, strangers.rs) fails the test, so a new one is decided on, tried by its
//! rightful roles and by all others.

mod foreign_ids;
mod others;
pub mod people;
pub mod recipes;
pub mod strangers;
mod tally;

use std::collections::BTreeMap;

use futures::{StreamExt as _, stream};
use postrider_shared::roles::{Permission, Role};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::api::{Api, TenantKeys};
use crate::identity::PASSWORD;
use crate::oidc::{ISSUER, with_keys};
use crate::operations::{Operation, operations};
use people::Proof;
use recipes::{OF_PEOPLE, Subject, body, fresh, readable};
use tally::sent;

/// Operations under way at a time.
const AT_ONCE: usize = 6;

impl Operation {
    fn call(&self, api: &Api, subject: &Subject) -> RequestBuilder {
        let query = if self.id == "delete_tenant" { "?confirm=Fresh" } else { "" };
        let call = api.request(self.method.clone(), &format!("{}{query}", subject.path(&self.path)));
        match subject.body.clone().or_else(|| body(&self.id)) {
            Some(body) if self.method != Method::GET => call.json(&body),
            _ => call,
        }
    }

    fn is_a_tenants(&self) -> bool {
        self.permission.roles().contains(&Role::TenantAdmin)
    }

    /// Whether it is about whoever calls, whatever the tenant.
    fn is_ones_own(&self) -> bool {
        [Permission::ProfileRead, Permission::ProfileWrite].contains(&self.permission)
    }

    fn name(&self) -> String {
        format!("{} ({} {})", self.id, self.method, self.path)
    }
}

/// An API that limits nobody: the matrix is one caller's ten thousand requests.
pub async fn start() -> Api {
    let rates = ["ADDRESS", "CALLER", "READS", "WRITES", "ENQUEUES", "EXPORTS", "SIGN_IN_ADDRESS", "SIGN_IN_ACCOUNT"];
    let names = rates.map(|rate| format!("RATE_LIMIT_{rate}"));
    let mut settings = names.each_ref().map(|name| (name.as_str(), "off")).to_vec();
    settings.push(ISSUER);
    let api = Api::start_with(&settings).await;
    with_keys(&api).await;
    api
}

/// The owner's key of a role; a platform key names the owner.
fn by_key(api: &Api, keys: &TenantKeys, role: Role) -> Proof {
    Proof::Key(match role {
        Role::Viewer => keys.viewer.clone(),
        Role::Agent => keys.agent.clone(),
        Role::TenantAdmin => keys.admin.clone(),
        Role::PlatformAdmin => api.platform_key.clone(),
    })
}

/// Those who run the platform say for which tenant.
fn signed(proof: &Proof, role: Role, tenant: &str, call: RequestBuilder) -> RequestBuilder {
    let call = proof.sign(call);
    if role == Role::PlatformAdmin { call.header("Postrider-Tenant", tenant) } else { call }
}

/// One of the three ways in which a role comes.
async fn caller(api: &Api, (subject, role): (&mut Subject, Role), way: usize, operation: &Operation) -> Proof {
    static HASH: OnceCell<String> = OnceCell::const_new();
    if way == 0 {
        return by_key(api, &subject.keys, role);
    }
    let tenant = (role != Role::PlatformAdmin).then(|| subject.keys.id.clone());
    let hash = HASH.get_or_init(async || api.app.passwords().hash(PASSWORD.into()).await.unwrap()).await;
    let by_password = ["change_my_password", "change_my_email", "confirm_my_email", "delete_me"];
    let password = by_password.contains(&operation.id.as_str()).then(|| hash.clone());
    let person = people::person_with(api, tenant.as_deref(), role, password).await;
    if operation.id == "confirm_my_email" {
        subject.change_email_of(api, &person, hash).await;
    }
    if operation.id == "delete_me" {
        // The last administrator stays.
        people::person(api, tenant.as_deref(), role).await;
    }
    if operation.id == "unlink_my_identity" {
        subject.link_identities_of(api, &person).await;
    }
    if operation.id == "end_my_session" {
        subject.end_another_session_of(api, &person).await;
    }
    let [token, cookie] = person.proofs();
    if way == 1 { token } else { cookie }
}

#[tokio::test]
async fn every_operation_opens_for_keys_of_its_rightful_roles() {
    let (told, wrong) = opens_for_its_rightful_roles(0, "by key").await;
    println!("{told}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn every_operation_opens_for_people_of_its_rightful_roles_by_token() {
    let (told, wrong) = opens_for_its_rightful_roles(1, "by token").await;
    println!("{told}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn every_operation_opens_for_people_of_its_rightful_roles_by_cookie() {
    let (told, wrong) = opens_for_its_rightful_roles(2, "by cookie").await;
    println!("{told}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What was tried, and what did not open.
async fn opens_for_its_rightful_roles(way: usize, way_name: &str) -> (String, Vec<String>) {
    let api = start().await;
    let mut shared = readable(&api, "Readable").await;
    let mut readers = BTreeMap::new();
    let reads = operations().into_iter().find(|operation| operation.id == "get_me").unwrap();
    for role in Role::ALL.iter().copied() {
        readers.insert(role, caller(&api, (&mut shared, role), way, &reads).await);
    }
    let cases: Vec<(Operation, Role)> = operations()
        .into_iter()
        .flat_map(|operation| operation.permission.roles().iter().map(move |role| (operation.clone(), *role)))
        .collect();
    let (mut opened, mut of_people, many, mut wrong) = (0, 0, cases.len(), Vec::new());
    let answers = stream::iter(cases).map(|(operation, role)| {
        let (api, shared, readers) = (&api, &shared, &readers);
        async move {
            let (status, body) = if operation.method == Method::GET {
                sent(signed(&readers[&role], role, &shared.keys.id, operation.call(api, shared))).await
            } else {
                let mut subject = fresh(api, &operation).await;
                let proof = caller(api, (&mut subject, role), way, &operation).await;
                sent(signed(&proof, role, &subject.keys.id, operation.call(api, &subject))).await
            };
            (operation, role, status, body)
        }
    });
    let mut answers = answers.buffer_unordered(AT_ONCE);
    while let Some((operation, role, status, body)) = answers.next().await {
        match way == 0 && OF_PEOPLE.contains(&operation.id.as_str()) {
            false if status.is_success() => opened += 1,
            true if status == StatusCode::NOT_FOUND => of_people += 1,
            _ => wrong.push(format!("{} as {role} {way_name}: {status} {body}", operation.name())),
        }
    }
    let told = format!(
        "matrix: {many} rightful cases {way_name}, {opened} answered 2xx, {of_people} keys told that they are no person"
    );
    (told, wrong)
}

/// Everything the owner sees of its own things, and its member of themselves; but for keys and the audit log, which the test itself
/// makes, uses and fills.
async fn picture(api: &Api, owner: &Subject, operations: &[Operation]) -> BTreeMap<String, String> {
    let mut picture = BTreeMap::new();
    let fills = [Permission::KeysRead, Permission::AuditRead];
    let reads = |operation: &&Operation| operation.method == Method::GET && operation.is_a_tenants();
    for operation in operations.iter().filter(reads).filter(|operation| !fills.contains(&operation.permission)) {
        let (_, mut found) = sent(operation.call(api, owner).bearer_auth(&owner.keys.admin)).await;
        if let Ok(mut problem) = serde_json::from_str::<Value>(&found)
            && problem.get("request_id").is_some()
        {
            problem["request_id"] = Value::Null;
            found = problem.to_string();
        }
        picture.insert(operation.id.clone(), found);
    }
    let (_, member) = sent(api.get(&owner.member.access, "/v1/me")).await;
    picture.insert("get_me of the member".to_owned(), member);
    assert!(picture.values().any(|found| recipes::CANARIES.iter().any(|canary| found.contains(canary))));
    picture
}
