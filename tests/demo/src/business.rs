//! The business of the demonstration: a tenant, its products and its mailbox, found again or made.

use std::path::Path;

use serde_json::{Value, json};

use crate::{
    console::Console,
    http::{DemoError, Server, text},
    live,
};

/// Where a mailbox of the sandbox is.
#[derive(Debug, Clone)]
pub struct SandboxPorts {
    pub imap: u16,
    pub smtp: u16,
    pub password: String,
}

/// What was found or made.
#[derive(Debug)]
pub struct Business {
    /// The API, for calls on behalf of the tenant.
    pub api: Server,
    pub tenant_name: String,
    pub address: String,
}

/// Reads a JSON file of the samples' folder.
pub fn read_json(folder: &Path, name: &str) -> Result<Value, DemoError> {
    let path = folder.join(name);
    let failed = |error: String| DemoError::File { path: path.display().to_string(), error };
    let content = std::fs::read_to_string(&path).map_err(|error| failed(error.to_string()))?;
    serde_json::from_str(&content).map_err(|error| failed(error.to_string()))
}

/// Finds the tenant, products and mailbox that the folder describes, and makes what is missing. With `sandbox`, the
/// mailbox is there; its ports may have changed since the last start.
pub async fn settle(
    platform: &Server,
    folder: &Path,
    sandbox: Option<&SandboxPorts>,
    console: Console,
) -> Result<Business, DemoError> {
    let wanted = read_json(folder, "tenant.json")?;
    let name = text(&wanted, "name").to_owned();
    if sandbox.is_none() {
        live::only(platform, &name, text(&live::mailbox(folder)?, "address")).await?;
    }
    let (tenant, found) = match find(platform, "/v1/tenants", "name", &name).await? {
        Some(tenant) => (tenant, true),
        None => (platform.post("/v1/tenants", &wanted, &format!("demo tenant {name}")).await?, false),
    };
    console.ok(&format!("{name}, a business that quotes in {}{}", text(&tenant, "currency"), again(found)));

    let api = platform.for_tenant(text(&tenant, "id"));
    products(&api, folder, console).await?;
    let address = mailbox(&api, folder, sandbox, console).await?;
    Ok(Business { api, tenant_name: name, address })
}

async fn products(api: &Server, folder: &Path, console: Console) -> Result<(), DemoError> {
    let wanted = read_json(folder, "products.json")?;
    let known = api.list("/v1/products").await?;
    let mut made = 0;
    let mut names = Vec::new();
    for product in wanted.as_array().into_iter().flatten() {
        let sku = text(product, "sku");
        names.push(text(product, "name"));
        if known.iter().all(|one| text(one, "sku") != sku) {
            api.post("/v1/products", product, &format!("demo product {sku}")).await?;
            made += 1;
        }
    }
    console.ok(&format!("{} products with price formulas: {}{}", names.len(), names.join(", "), again(made == 0)));
    Ok(())
}

async fn mailbox(
    api: &Server,
    folder: &Path,
    sandbox: Option<&SandboxPorts>,
    console: Console,
) -> Result<String, DemoError> {
    let mut wanted = read_json(folder, "mailbox.json")?;
    let address = text(&wanted, "address").to_owned();
    if let Some(sandbox) = sandbox {
        let there = json!({ "imap_port": sandbox.imap, "smtp_port": sandbox.smtp, "password": sandbox.password });
        merge(&mut wanted, &there);
    }
    let found = find(api, "/v1/accounts", "address", &address).await?;
    let account = match &found {
        None => api.post("/v1/accounts", &wanted, &format!("demo mailbox {address}")).await?,
        // A real mailbox is the one that was named, whatever an earlier start had; the sandbox's ports may have changed.
        Some(account)
            if sandbox.is_none() || ["imap_port", "smtp_port"].iter().any(|port| account[port] != wanted[port]) =>
        {
            api.patch(&format!("/v1/accounts/{}", text(account, "id")), &wanted).await?
        }
        Some(account) => account.clone(),
    };
    let cap = &account["daily_cap"];
    let interval = &account["poll_interval_seconds"];
    console.ok(&format!(
        "Mailbox {address}, read every {interval} s, at most {cap} mails a day{}",
        again(found.is_some())
    ));
    Ok(address)
}

fn merge(into: &mut Value, changes: &Value) {
    for (name, value) in changes.as_object().into_iter().flatten() {
        into[name] = value.clone();
    }
}

async fn find(server: &Server, list: &str, field: &str, value: &str) -> Result<Option<Value>, DemoError> {
    Ok(server.list(list).await?.into_iter().find(|item| text(item, field) == value))
}

fn again(found: bool) -> &'static str {
    if found { " (found again)" } else { "" }
}
