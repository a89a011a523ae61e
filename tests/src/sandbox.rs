//! The providers' sandbox as a process, and its control API.

use std::net::SocketAddr;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::binaries::program;
use crate::client::Api;
use crate::process::{Process, Recipe};

/// Where the sandbox listens: the first line it prints.
#[derive(Debug, Clone, Deserialize)]
pub struct Addresses {
    pub imap: SocketAddr,
    pub smtp: SocketAddr,
    pub http: SocketAddr,
    pub openai_base_url: String,
    pub control_url: String,
}

/// One message the SMTP server accepted.
#[derive(Debug, Clone, Deserialize)]
pub struct Accepted {
    pub seq: u64,
    pub accepted_at: String,
    /// Microseconds since 1970.
    pub accepted_at_us: i64,
    pub account: Option<String>,
    pub mail_from: String,
    pub rcpt_to: Vec<String>,
    pub message_id: Option<String>,
    pub in_reply_to: Option<String>,
    pub references: Vec<String>,
    pub subject: Option<String>,
}

#[derive(Debug)]
pub struct Sandbox {
    process: Process,
    addresses: Addresses,
    control: Api,
}

impl Sandbox {
    /// Starts it on free ports; its mailboxes and its ledger are kept in `folder`.
    pub async fn start(folder: &Path) -> Self {
        let data = folder.join("sandbox");
        let process = Process::spawn(Recipe {
            name: "sandbox".to_owned(),
            program: program("postrider-sandbox"),
            arguments: vec!["--data".to_owned(), data.display().to_string()],
            environment: Vec::new(),
            privileges: Vec::new(),
            log: folder.join("sandbox.log"),
            ready: "\"control_url\"".to_owned(),
        });
        process.ready().await;
        let line = crate::wait::eventually("the sandbox's addresses", || async {
            process.log().lines().find_map(|line| serde_json::from_str::<Addresses>(line).ok())
        });
        let addresses = line.await;
        let control = Api::new(addresses.control_url.clone());
        Self { process, addresses, control }
    }

    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    pub const fn process(&self) -> &Process {
        &self.process
    }

    /// The control API; paths begin after `/control`.
    pub const fn control(&self) -> &Api {
        &self.control
    }

    pub async fn create_mailbox(&self, address: &str, password: &str) {
        self.control.post("/mailboxes", &json!({ "address": address, "password": password })).await.ok();
    }

    /// Puts a mail into the INBOX, as if it had just arrived.
    pub async fn deliver(&self, address: &str, raw: &[u8]) {
        let request = self.control.request(reqwest::Method::POST, &format!("/mailboxes/{address}/messages"));
        let request = request.header("content-type", "message/rfc822").body(raw.to_vec());
        crate::client::Answer::of(request).await.ok();
    }

    /// What SMTP accepted so far, oldest first.
    pub async fn accepted(&self) -> Vec<Accepted> {
        Self::list(self.control.get("/accepted").await.ok())
    }

    /// Waits until at least `count` messages were accepted in all, and returns all there are then.
    pub async fn accepted_at_least(&self, count: usize) -> Vec<Accepted> {
        crate::wait::eventually(&format!("{count} messages accepted by SMTP"), || async {
            let found = Self::list(self.control.get(&format!("/accepted?wait_for={count}&timeout_ms=2000")).await.ok());
            (found.len() >= count).then_some(found)
        })
        .await
    }

    /// An accepted message as it came over the wire.
    pub async fn raw(&self, seq: u64) -> Vec<u8> {
        self.control.bytes(&format!("/accepted/{seq}/raw")).await
    }

    /// Orders a fault, such as `{"target": "smtp", "kind": "reset_after_accept", "times": 1}`.
    pub async fn fault(&self, fault: &Value) -> Value {
        self.control.post("/faults", fault).await.ok()
    }

    pub async fn clear_faults(&self) {
        self.control.delete("/faults").await.ok();
    }

    fn list(body: Value) -> Vec<Accepted> {
        let items = if body.is_array() { body } else { body["items"].clone() };
        serde_json::from_value(items).expect("the sandbox's ledger")
    }
}
