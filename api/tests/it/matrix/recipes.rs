//! How each operation is called so that nothing but the caller can be to blame.

use std::collections::HashMap;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::api::{Api, TenantKeys, answer};
use crate::resources::{mailbox, rows, window};

/// Words that only the subject's own things hold.
pub const CANARIES: [&str; 5] =
    ["canary-box@example.com", "Canary owner", "Canary window", "Two windows", "customer@example.com"];

/// A tenant with one of each thing.
pub struct Subject {
    pub keys: TenantKeys,
    ids: HashMap<&'static str, String>,
}

impl Subject {
    /// A path with its ids in it. A resource without an id here has no recipe yet.
    pub fn path(&self, path: &str) -> String {
        if !path.contains('{') {
            return path.to_owned();
        }
        let resource = path.split('/').nth(2).unwrap();
        let id = self.ids.get(resource).unwrap_or_else(|| panic!("no recipe: whose id goes into {path}?"));
        let filled = path.replace("{id}", id).replace("{queue}", id).replace("{revision}", "1");
        assert!(!filled.contains('{'), "no recipe: {path} has more than ids");
        filled
    }
}

/// A new tenant with one of each thing.
pub async fn subject(api: &Api, name: &str) -> Subject {
    let keys = api.tenant(name).await;
    let id = |body: &Value| body["id"].as_str().unwrap().to_owned();
    let job =
        json!({ "kind": "diagnostic.echo", "payload": { "data": "Canary window" }, "run_at": "2027-01-01T00:00:00Z" });
    let job = answer(api.post(&keys.agent, "/v1/jobs", &job), StatusCode::ACCEPTED).await;
    let account = mailbox("canary-box@example.com");
    let account = answer(api.post(&keys.admin, "/v1/accounts", &account), StatusCode::CREATED).await;
    let mut product = window();
    product["name"] = json!("Canary window");
    let product = answer(api.post(&keys.admin, "/v1/products", &product), StatusCode::CREATED).await;
    let listed = answer(api.get(&keys.admin, "/v1/api-keys"), StatusCode::OK).await;
    let viewer = listed["items"].as_array().unwrap().iter().find(|key| key["name"] == "viewer").unwrap();
    let batch = answer(api.post(&keys.agent, "/v1/batches", &json!({})), StatusCode::CREATED).await;
    let spare = api.post(&api.platform_key, "/v1/platform/api-keys", &json!({ "name": "spare" }));
    let spare = answer(spare, StatusCode::CREATED).await;
    let mut ids = HashMap::from([
        ("jobs", id(&job)),
        ("batches", id(&batch)),
        ("accounts", id(&account)),
        ("products", id(&product)),
        ("tenants", keys.id.clone()),
        ("api-keys", id(viewer)),
        ("platform", id(&spare)),
        ("queues", "diagnostics".to_owned()),
        ("secrets", "job_00000000000000000000000000".to_owned()),
    ]);
    ids.extend(rows(api, &keys, &id(&account)).await);
    Subject { keys, ids }
}

/// The body of an operation that changes something; `None` for one that takes none. A new operation needs a line here.
pub fn body(operation: &str) -> Option<Value> {
    let measure = |name: &str, value: &str| json!({ "name": name, "value": value, "unit": "mm" });
    let size = [measure("width", "1200"), measure("height", "800")];
    let body = match operation {
        "activate_tenant"
        | "approve_tenant"
        | "archive_product"
        | "ask_consent"
        | "cancel_job"
        | "disconnect_account"
        | "discard_dead_letter"
        | "renew_quote"
        | "resolve_mail"
        | "resume_account"
        | "pause_queue"
        | "resume_queue"
        | "retry_job"
        | "revoke_api_key"
        | "revoke_platform_key"
        | "rotate_secrets"
        | "seal_batch"
        | "suspend_tenant" => return None,
        "accept_quote"
        | "decline_quote"
        | "open_batch"
        | "redrive_dead_letter"
        | "rotate_api_key"
        | "rotate_platform_key" => json!({}),
        "approve_quote" | "revise_quote" => {
            json!({ "items": [{ "sku": "WIN", "dimensions": size, "material": "OAK", "quantity": "2" }] })
        }
        "change_account" => json!({ "daily_cap": 10 }),
        "change_api_key"
        | "change_platform_key"
        | "change_product"
        | "change_tenant"
        | "create_platform_key"
        | "create_tenant" => json!({ "name": "Another name" }),
        "create_account" => mailbox("another@example.com"),
        "create_api_key" => json!({ "name": "another", "role": "viewer" }),
        "create_google_account" => json!({ "address": "another@gmail.com", "time_zone": "UTC" }),
        "create_product" => {
            let mut product = window();
            product["sku"] = json!("ANOTHER");
            product
        }
        "discard_dead_letters" | "redrive_dead_letters" => json!({ "kind": "diagnostic.fail" }),
        "pause_account" => json!({ "reason": "holidays" }),
        "settle_message" => json!({ "outcome": "failed" }),
        "submit_job" => json!({ "kind": "diagnostic.echo" }),
        "submit_jobs" => json!([{ "kind": "diagnostic.echo" }]),
        reads if ["get_", "list_", "count_", "follow_"].iter().any(|verb| reads.starts_with(verb)) => return None,
        unknown => panic!("no recipe: what body does {unknown} take?"),
    };
    Some(body)
}

/// What a rightful caller is told where the subject's things do not allow the operation as they are. All others answer 2xx.
pub fn refusal(operation: &str) -> Option<&'static str> {
    match operation {
        // A quote in review was not sent: it has no PDF, no replaced revision, and nothing to be answered. No file was kept of the
        // attachment, and the mail waits for nobody.
        "get_attachment_content"
        | "resolve_mail"
        | "accept_quote"
        | "decline_quote"
        | "renew_quote"
        | "get_quote_pdf" => Some("state-conflict"),
        "get_quote_revision_pdf" | "get_rotation" => Some("not-found"),
        "create_google_account" | "ask_consent" => Some("google-not-configured"),
        _ => None,
    }
}
