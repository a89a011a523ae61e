//! The provider clients, and the handlers that use them, against servers on real sockets that speak the real
//! protocols and misbehave on demand.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod access;
mod gmail;
mod imap;
mod llm;
mod oidc;
mod pipeline;
mod redis;
mod scopes;
mod smtp;
mod xoauth2;

use postrider_sandbox::faults::{Fault, FaultKind, Stage, Target};
use postrider_sandbox::{Client, Sandbox};
use postrider_worker::providers::transport::{Endpoint, Security};

const ADDRESS: &str = "shop@example.com";
const PASSWORD: &str = "correct horse \"battery\" \\ staple";

struct Servers {
    sandbox: Sandbox,
    control: Client,
}

impl Servers {
    async fn start() -> Self {
        let sandbox = Sandbox::spawn().await.unwrap();
        let control = sandbox.client();
        control.create_mailbox(ADDRESS, PASSWORD).await.unwrap();
        Self { sandbox, control }
    }

    async fn order(&self, target: Target, kind: FaultKind, stage: Option<Stage>) {
        self.control.order(&fault(target, kind, stage)).await.unwrap();
    }
}

fn fault(target: Target, kind: FaultKind, stage: Option<Stage>) -> Fault {
    Fault {
        target,
        kind,
        stage,
        times: Some(1),
        probability: None,
        seed: 0,
        skip: 0,
        matching: None,
        ms: 0,
        reply: None,
        retry_after: None,
    }
}

fn plain(address: std::net::SocketAddr) -> Endpoint {
    Endpoint { host: address.ip().to_string(), port: address.port(), security: Security::Plain }
}
