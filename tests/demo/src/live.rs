//! What `deploy/up --live` will use, named before anything is started: the mailbox, its servers and the model.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;

use crate::{
    business::read_json,
    console::Console,
    http::{DemoError, Server, text},
};

/// Names the accounts of a folder; connects to nothing and writes nothing.
#[derive(Debug, Args)]
pub struct Accounts {
    /// Folder with tenant.json, products.json and mailbox.json.
    #[arg(long)]
    folder: PathBuf,
    /// The OpenAI-compatible endpoint.
    #[arg(long)]
    model_url: String,
    #[arg(long)]
    model: String,
}

impl Accounts {
    pub fn name(&self, console: Console) -> Result<(), DemoError> {
        let tenant = read_json(&self.folder, "tenant.json")?;
        read_json(&self.folder, "products.json")?;
        let mailbox = mailbox(&self.folder)?;
        let address = text(&mailbox, "address");
        let interval = mailbox["poll_interval_seconds"].as_u64().unwrap_or(600);
        let cap = mailbox["daily_cap"].as_u64().unwrap_or(250);
        console.line("  These are real accounts, and they will be used:");
        console.line("");
        let row = |name: &str, what: &str| console.line(&format!("    {name:<9} {what}"));
        row("business", text(&tenant, "name"));
        row("mailbox", &console.bold(address));
        row("read at", &server(&mailbox, "imap", 993, 143));
        row("sent by", &server(&mailbox, "smtp", 465, 587));
        row("model", &format!("{} at {}", self.model, self.model_url));
        console.line("");
        console.line(&format!("  Mail that arrives there from now on is looked for every {interval} s and read by"));
        console.line("  that model; quote requests are answered out of that mailbox, at most");
        console.line(&format!("  {cap} mails a day. The sample mails are never delivered there."));
        console.line("");
        Ok(())
    }
}

/// The mailbox of the folder, if everything in it is filled in.
pub fn mailbox(folder: &Path) -> Result<Value, DemoError> {
    let mailbox = read_json(folder, "mailbox.json")?;
    let wrong = |what: &str| DemoError::Other(format!("{}: {what}", folder.join("mailbox.json").display()));
    for field in ["address", "imap_host", "smtp_host", "password"] {
        if text(&mailbox, field).trim().is_empty() {
            return Err(wrong(&format!("`{field}` is not filled in")));
        }
    }
    for field in ["imap_port", "smtp_port"] {
        let port = &mailbox[field];
        if !port.is_null() && !port.as_u64().is_some_and(|port| (1..=65_535).contains(&port)) {
            return Err(wrong(&format!("`{field}` is {port}, which is no port")));
        }
    }
    Ok(mailbox)
}

/// Refuses if the installation has another mailbox that it would read, too: one that nobody was asked about.
pub async fn only(platform: &Server, business: &str, address: &str) -> Result<(), DemoError> {
    for tenant in platform.list("/v1/tenants").await? {
        let tenant_name = text(&tenant, "name");
        for account in platform.for_tenant(text(&tenant, "id")).list("/v1/accounts").await? {
            let other = text(&account, "address");
            let same = tenant_name == business && other.eq_ignore_ascii_case(address);
            if text(&account, "state") == "active" && !same {
                return Err(DemoError::Other(format!(
                    "the data of an earlier start connects {other} of {tenant_name}, too; choose another --data folder"
                )));
            }
        }
    }
    Ok(())
}

/// `imap.example.com:993 (tls) as quotes@example.com`, with the API's defaults for what is left out.
fn server(mailbox: &Value, protocol: &str, tls_port: u64, other_port: u64) -> String {
    let field = |name: &str| &mailbox[format!("{protocol}_{name}")];
    let security = field("security").as_str().unwrap_or("tls");
    let port = field("port").as_u64().unwrap_or(if security == "tls" { tls_port } else { other_port });
    let user = field("username").as_str().unwrap_or(text(mailbox, "address"));
    let protection = if security == "plain" { "NOT ENCRYPTED" } else { security };
    format!("{}:{port} ({protection}) as {user}", text(mailbox, &format!("{protocol}_host")))
}
