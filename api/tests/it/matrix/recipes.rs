//! How each operation is called so that nothing but the caller can be to blame.

use std::collections::HashMap;

use chrono::TimeDelta;
use postrider_shared::database::AllTenants;
use postrider_shared::identities::Proven;
use postrider_shared::ids::{CodeId, TenantId};
use postrider_shared::profiles::Proof;
use postrider_shared::roles::Role;
use postrider_shared::sessions::Carrier;
use postrider_shared::users::Email;
use reqwest::{Method, StatusCode};
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use serde_json::{Value, json};

use super::people::{Person, person};
use crate::api::{Api, TenantKeys, answer};
use crate::identity::{PASSWORD, digits};
use crate::oidc::a_token;
use crate::operations::{Operation, resource};
use crate::resources::{mailbox, rows, window};

/// Words that only the subject's own things hold.
pub const CANARIES: [&str; 7] = [
    "canary-box@example.com",
    "canary-guest@example.com",
    "Canary member",
    "Canary owner",
    "Canary window",
    "Two windows",
    "customer@example.com",
];

/// A tenant with one of each thing.
pub struct Subject {
    pub keys: TenantKeys,
    /// Somebody who works for it.
    pub member: Person,
    /// Instead of the one that fits everybody.
    pub body: Option<Value>,
    ids: HashMap<&'static str, String>,
}

impl Subject {
    /// A path with its ids in it. A resource without an id here has no recipe yet.
    pub fn path(&self, path: &str) -> String {
        if !path.contains('{') {
            return path.to_owned();
        }
        let id = self.ids.get(resource(path)).unwrap_or_else(|| panic!("no recipe: whose id goes into {path}?"));
        let filled = path.replace("{id}", id).replace("{queue}", id).replace("{revision}", "2");
        assert!(!filled.contains('{'), "no recipe: {path} has more than ids");
        filled
    }

    /// The id of its thing of a resource.
    pub fn id(&self, resource: &str) -> &str {
        &self.ids[resource]
    }

    /// Somebody's other session is the one that is ended.
    pub async fn end_another_session_of(&mut self, api: &Api, person: &Person) {
        let user = api.app.stores().users.get(person.id).await.unwrap().unwrap();
        let begun = api.app.stores().sessions.begin(&user, Carrier::Tokens, "another").await.unwrap();
        let other = begun.unwrap();
        self.ids.insert("me", other.session.id.to_string());
    }

    /// Somebody proves another address with a code that is theirs alone.
    pub async fn change_email_of(&mut self, api: &Api, person: &Person, hash: &str) {
        let (id, proof) = (CodeId::random(), Proof::Password { hash: hash.into() });
        let email = Email::parse(&format!("new-{}@example.com", person.id)).unwrap();
        api.app.stores().profiles.ask_email(id, person.id, &proof, &email).await.unwrap().unwrap();
        let code = digits(api, &json!({ "challenge": id })).await;
        self.body = Some(json!({ "challenge": id, "code": code }));
    }

    /// Somebody's identity is the one that is removed; another one stays, because there is no password.
    pub async fn link_identities_of(&mut self, api: &Api, person: &Person) {
        for subject in ["one", "another"] {
            let proven = Proven {
                issuer: "https://login.example.com".to_owned(),
                subject: format!("{subject} of {}", person.id),
                email: None,
                is_authoritative: false,
                name: None,
            };
            let linked = api.app.stores().identities.link(person.id, &proven).await.unwrap();
            self.ids.insert("me", linked.id.to_string());
        }
    }
}

/// A new tenant with one of each thing, as every reading operation needs it.
pub async fn readable(api: &Api, name: &str) -> Subject {
    let mut subject = subject(api, name, None).await;
    let tenant: TenantId = subject.keys.id.parse().unwrap();
    let (own, replaced) = (format!("{tenant}/quotes/own.pdf"), format!("{tenant}/quotes/replaced.pdf"));
    for key in [&own, &replaced, &format!("{tenant}/attachments/1")] {
        api.app.objects().put(key, "Canary window").await.unwrap();
    }
    change(api, "attachments SET object_key = ? WHERE tenant_id = ?", &format!("{tenant}/attachments/1"), tenant).await;
    approve(api, &subject).await;
    change(api, "quotes SET state = 'sent', pdf_key = ? WHERE tenant_id = ?", &replaced, tenant).await;
    let path = format!("/v1/quotes/{}/revise", subject.id("quotes"));
    answer(api.post(&subject.keys.agent, &path, &json!({})), StatusCode::ACCEPTED).await;
    change(api, "quotes SET state = 'sent', pdf_key = ? WHERE tenant_id = ?", &own, tenant).await;
    let rotation = api.request(Method::POST, "/v1/secrets/rotate").bearer_auth(&api.platform_key);
    let rotation = answer(rotation, StatusCode::ACCEPTED).await;
    subject.ids.insert("secrets", rotation["id"].as_str().unwrap().to_owned());
    subject
}

/// A new tenant with what this operation needs, so that it answers 2xx.
pub async fn fresh(api: &Api, operation: &Operation) -> Subject {
    let mut subject = subject(api, "Fresh", Some(operation)).await;
    let tenant: TenantId = subject.keys.id.parse().unwrap();
    match operation.id.as_str() {
        "approve_tenant" => change(api, "tenants SET state = ? WHERE id = ?", "pending", tenant).await,
        "restore_tenant" => change(api, "tenants SET state = ? WHERE id = ?", "deleting", tenant).await,
        "activate_tenant" | "delete_tenant" => {
            change(api, "tenants SET state = ? WHERE id = ?", "suspended", tenant).await;
        }
        "resolve_mail" => change(api, "inbound_mails SET state = ? WHERE tenant_id = ?", "needs_review", tenant).await,
        "accept_quote" | "decline_quote" | "renew_quote" => {
            approve(api, &subject).await;
            change(api, "quotes SET state = ? WHERE tenant_id = ?", "sent", tenant).await;
        }
        "remove_platform_user" => {
            // The last one keeps it.
            person(api, None, Role::PlatformAdmin).await;
            api.app.stores().users.let_run_the_platform(AllTenants, subject.member.id).await.unwrap();
        }
        "ask_consent" => {
            let account = json!({ "address": "canary-box@gmail.com", "time_zone": "UTC" });
            let account = api.post(&subject.keys.admin, "/v1/accounts/google", &account);
            let account = answer(account, StatusCode::CREATED).await;
            subject.ids.insert("accounts", account["account"]["id"].as_str().unwrap().to_owned());
        }
        _ => {}
    }
    subject
}

async fn approve(api: &Api, subject: &Subject) {
    let path = format!("/v1/quotes/{}/approve", subject.id("quotes"));
    answer(api.post(&subject.keys.agent, &path, &items()), StatusCode::ACCEPTED).await;
}

/// As if workers had brought it there.
async fn change(api: &Api, change: &str, value: &str, tenant: TenantId) {
    let values = [value.into(), tenant.0.into()];
    let change = Statement::from_sql_and_values(DbBackend::Sqlite, format!("UPDATE {change}"), values);
    let done = api.app.database().reader().execute_raw(change).await.unwrap();
    assert!(done.rows_affected() > 0, "nothing to change");
}

/// As if the time of a key had come, which nobody has used yet.
pub async fn expire_key(api: &Api, id: &str) {
    let values = [(api.app.clock().now() - TimeDelta::seconds(1)).into(), id.parse::<uuid::Uuid>().unwrap().into()];
    let sql = "UPDATE api_keys SET expires_at = ? WHERE id = ?";
    let change = Statement::from_sql_and_values(DbBackend::Sqlite, sql, values);
    let done = api.app.database().reader().execute_raw(change).await.unwrap();
    assert_eq!(done.rows_affected(), 1);
}

/// A new tenant with one of each thing, or only with what one operation needs.
async fn subject(api: &Api, name: &str, operation: Option<&Operation>) -> Subject {
    let keys = api.tenant(name).await;
    let id = |body: &Value| body["id"].as_str().unwrap().to_owned();
    let resource = operation.map(|operation| self::resource(&operation.path));
    let needs = |those: &[&str]| resource.is_none_or(|resource| those.contains(&resource));
    let member = person(api, Some(&keys.id), Role::Agent).await;
    api.app.stores().users.rename(member.id, "Canary member").await.unwrap();
    let mut ids = HashMap::from([
        ("tenants", keys.id.clone()),
        ("users", member.id.to_string()),
        ("me", member.session.to_string()),
        ("queues", "diagnostics".to_owned()),
        ("secrets", "job_00000000000000000000000000".to_owned()),
    ]);
    if needs(&["jobs"]) {
        let job = json!({ "kind": "diagnostic.echo", "payload": { "data": "Canary window" }, "run_at": "2999-01-01T00:00:00Z" });
        let job = answer(api.post(&keys.agent, "/v1/jobs", &job), StatusCode::ACCEPTED).await;
        ids.insert("jobs", id(&job));
    }
    if needs(&["batches"]) {
        let batch = answer(api.post(&keys.agent, "/v1/batches", &json!({})), StatusCode::CREATED).await;
        ids.insert("batches", id(&batch));
    }
    if needs(&["products", "quotes"]) {
        let mut product = window();
        product["name"] = json!("Canary window");
        let product = answer(api.post(&keys.admin, "/v1/products", &product), StatusCode::CREATED).await;
        ids.insert("products", id(&product));
    }
    if needs(&["api-keys"]) {
        let listed = answer(api.get(&keys.admin, "/v1/api-keys"), StatusCode::OK).await;
        let viewer = listed["items"].as_array().unwrap().iter().find(|key| key["name"] == "viewer").unwrap();
        ids.insert("api-keys", id(viewer));
    }
    if needs(&["platform"]) {
        let spare = api.post(&api.platform_key, "/v1/platform/api-keys", &json!({ "name": "spare" }));
        ids.insert("platform", id(&answer(spare, StatusCode::CREATED).await));
    }
    if needs(&["invitations"]) {
        let guest = json!({ "email": "canary-guest@example.com", "role": "viewer" });
        let guest = answer(api.post(&keys.admin, "/v1/invitations", &guest), StatusCode::CREATED).await;
        ids.insert("invitations", id(&guest));
    }
    if needs(&["accounts", "attachments", "mails", "threads", "quotes", "messages", "dead-letters"]) {
        let account = mailbox("canary-box@example.com");
        let account = answer(api.post(&keys.admin, "/v1/accounts", &account), StatusCode::CREATED).await;
        ids.insert("accounts", id(&account));
        ids.extend(rows(api, &keys, &id(&account)).await);
    }
    Subject { keys, member, body: None, ids }
}

fn items() -> Value {
    let measure = |name: &str, value: &str| json!({ "name": name, "value": value, "unit": "mm" });
    let size = [measure("width", "1200"), measure("height", "800")];
    json!({ "items": [{ "sku": "WIN", "dimensions": size, "material": "OAK", "quantity": "2" }] })
}

/// The body of an operation that changes something; `None` for one that takes none. A new operation needs a line here.
pub fn body(operation: &str) -> Option<Value> {
    let body = match operation {
        "activate_tenant"
        | "add_platform_user"
        | "approve_tenant"
        | "archive_product"
        | "ask_consent"
        | "cancel_job"
        | "delete_tenant"
        | "disconnect_account"
        | "end_my_session"
        | "discard_dead_letter"
        | "renew_quote"
        | "resolve_mail"
        | "restore_tenant"
        | "remove_platform_user"
        | "remove_user"
        | "resume_account"
        | "pause_queue"
        | "resume_queue"
        | "retry_job"
        | "revoke_api_key"
        | "revoke_invitation"
        | "revoke_platform_key"
        | "rotate_secrets"
        | "seal_batch"
        | "suspend_tenant"
        | "unlink_my_identity" => return None,
        "accept_quote"
        | "decline_quote"
        | "logout"
        | "open_batch"
        | "redrive_dead_letter"
        | "rotate_api_key"
        | "rotate_platform_key" => json!({}),
        "approve_quote" | "revise_quote" => items(),
        "change_account" => json!({ "daily_cap": 10 }),
        "change_api_key"
        | "change_me"
        | "change_platform_key"
        | "change_product"
        | "change_tenant"
        | "create_platform_key"
        | "create_tenant" => json!({ "name": "Another name" }),
        "ask_for_my_code" => json!({ "purpose": "delete_account" }),
        "delete_me" => json!({ "password": PASSWORD }),
        "change_my_email" => json!({ "email": "another@example.com", "password": PASSWORD }),
        "confirm_my_email" => json!({ "challenge": CodeId::random(), "code": "123456" }),
        "change_my_password" => json!({ "current_password": PASSWORD, "new_password": "another long one" }),
        "change_user" => json!({ "role": "viewer" }),
        "create_account" => mailbox("another@example.com"),
        "create_api_key" => json!({ "name": "another", "role": "viewer" }),
        "create_invitation" => json!({ "email": "another@example.com", "role": "viewer" }),
        "create_google_account" => json!({ "address": "another@gmail.com", "time_zone": "UTC" }),
        "create_product" => {
            let mut product = window();
            product["sku"] = json!("ANOTHER");
            product
        }
        "discard_dead_letters" | "redrive_dead_letters" => json!({ "kind": "diagnostic.fail" }),
        "cancel_jobs" => json!({ "kind": "diagnostic.sleep" }),
        "link_my_identity" => json!({ "id_token": a_token() }),
        "pause_account" => json!({ "reason": "holidays" }),
        "settle_message" => json!({ "outcome": "failed" }),
        "submit_job" => json!({ "kind": "diagnostic.echo" }),
        "submit_jobs" => json!([{ "kind": "diagnostic.echo" }]),
        reads if ["get_", "list_", "count_", "follow_", "export_"].iter().any(|verb| reads.starts_with(verb)) => {
            return None;
        }
        unknown => panic!("no recipe: what body does {unknown} take?"),
    };
    Some(body)
}

/// Operations on whoever calls, where that is a person. A key is told that there is nobody.
pub const OF_PEOPLE: [&str; 11] = [
    "ask_for_my_code",
    "change_me",
    "change_my_email",
    "change_my_password",
    "confirm_my_email",
    "delete_me",
    "end_my_session",
    "link_my_identity",
    "list_my_identities",
    "logout",
    "unlink_my_identity",
];
