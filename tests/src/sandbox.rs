//! The providers' sandbox as a process, and what tests ask of it.

use std::path::Path;

use bytes::Bytes;
use postrider_sandbox::faults::{Fault, Standing};
use postrider_sandbox::ledger::Accepted;
use postrider_sandbox::{Addresses, Client};
use serde_json::Value;

use crate::binaries::program;
use crate::platform::FakedTime;
use crate::process::{Process, Recipe};
use crate::wait::{DEADLINE, eventually};

#[derive(Debug)]
pub struct Sandbox {
    process: Process,
    addresses: Addresses,
    client: Client,
}

impl Sandbox {
    /// Starts it on free ports; its mailboxes and its ledger are kept in `folder`. Under libfaketime if a
    /// faked time is given, so that a mail's arrival and the product's clock agree.
    pub async fn start(folder: &Path, time: Option<&FakedTime>) -> Self {
        let process = Process::spawn(Recipe {
            name: "sandbox".to_owned(),
            program: program("postrider-sandbox"),
            arguments: vec!["--data".to_owned(), folder.join("sandbox").display().to_string()],
            environment: time.map(FakedTime::environment).unwrap_or_default(),
            privileges: Vec::new(),
            log: folder.join("sandbox.log"),
            ready: "\"control_url\"".to_owned(),
        });
        process.ready().await;
        let addresses: Addresses = eventually("the sandbox's addresses", || async {
            process.log().lines().find_map(|line| serde_json::from_str(line).ok())
        })
        .await;
        let client = Client::new(&addresses.control_url);
        Self { process, addresses, client }
    }

    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    pub const fn process(&self) -> &Process {
        &self.process
    }

    /// All of its control API.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Puts a mail into the INBOX, as if it had just arrived.
    pub async fn deliver(&self, address: &str, raw: impl Into<Bytes>) {
        self.client.deliver(address, raw, None).await.expect("deliver a mail");
    }

    /// What SMTP accepted so far, oldest first.
    pub async fn accepted(&self) -> Vec<Accepted> {
        self.client.accepted().await.expect("the sandbox's ledger")
    }

    /// Waits until at least `count` messages were accepted in all, and returns all there are then.
    pub async fn accepted_at_least(&self, count: usize) -> Vec<Accepted> {
        let found = self.client.wait_accepted(count, DEADLINE).await.expect("the sandbox's ledger");
        assert!(found.len() >= count, "{} of {count} messages were accepted in {DEADLINE:?}", found.len());
        found
    }

    /// An accepted message as it came over the wire.
    pub async fn raw(&self, accepted: &Accepted) -> Bytes {
        self.client.accepted_raw(accepted.seq).await.expect("an accepted message")
    }

    /// Orders a fault, such as `{"target": "smtp", "kind": "reset_after_accept", "times": 1}`.
    pub async fn fault(&self, fault: Value) -> Standing {
        let fault: Fault = serde_json::from_value(fault).expect("a fault");
        self.client.order(&fault).await.expect("order a fault")
    }

    /// How often each fault struck, in the order in which they were ordered.
    pub async fn struck(&self) -> Vec<u64> {
        self.client.faults().await.expect("the faults").iter().map(|fault| fault.struck).collect()
    }

    /// How often this fault struck; 0 once it is cleared.
    pub async fn times_struck(&self, id: u64) -> u64 {
        let faults = self.client.faults().await.expect("the faults");
        faults.iter().find(|fault| fault.id == id).map_or(0, |fault| fault.struck)
    }

    pub async fn clear_faults(&self) {
        self.client.clear_faults().await.expect("clear the faults");
    }
}
