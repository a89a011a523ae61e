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
mod shares;
mod shop;
mod smtp;
mod xoauth2;

use std::path::Path;

use postrider_migration::{Migrator, MigratorTrait};
use postrider_sandbox::faults::{Fault, FaultKind, Stage, Target};
use postrider_sandbox::{Client, Sandbox};
use postrider_shared::accounts::{self, AccountSettings, MailServer};
use postrider_shared::clock::Clock;
use postrider_shared::config::DatabaseConfig;
use postrider_shared::database::Database;
use postrider_shared::seal::KeyRing;
use postrider_shared::stores::Stores;
use postrider_shared::time_zone::TimeZone;
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
    Fault { stage, times: Some(1), ..Fault::new(target, kind) }
}

/// At servers that nobody calls, with a cap of five.
fn account_settings() -> AccountSettings {
    let server =
        MailServer { host: "127.0.0.1".into(), port: 1, security: accounts::Security::Plain, username: ADDRESS.into() };
    AccountSettings {
        address: ADDRESS.into(),
        display_name: "Lindner".into(),
        imap: server.clone(),
        smtp: server,
        daily_cap: 5,
        time_zone: TimeZone::UTC,
        poll_interval_seconds: 600,
    }
}

/// The SQLite database in this folder, with the tables of today.
async fn database(folder: &Path) -> Database {
    let url = format!("sqlite://{}/test.db?mode=rwc", folder.display());
    let database = Database::connect(&DatabaseConfig::at(url)).await.unwrap();
    Migrator::up(database.reader(), None).await.unwrap();
    database
}

fn stores(database: &Database, clock: &Clock) -> Stores {
    let keys = KeyRing::parse("test:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=").unwrap();
    Stores::new(database, clock, Some(keys))
}

fn plain(address: std::net::SocketAddr) -> Endpoint {
    Endpoint { host: address.ip().to_string(), port: address.port(), security: Security::Plain }
}
