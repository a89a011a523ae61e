//! Mail servers that a tenant names, and that nobody is to call for it: this machine, and what else only the installation reaches.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};

use postrider_tests::platform::{Builder, Office};
use postrider_tests::{DatabaseKind, Platform, canaries, eventually, mails};
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

const NEVER: u32 = 86_400;
const ADDRESS: &str = "angebot@lindner-schilder.example";
const NOT_ALLOWED: &str = "server's host is in a network that this installation does not allow";

/// Something that the operator runs, and that knows whether anybody connected.
struct Witness(Vec<TcpListener>);

impl Witness {
    /// At one port of all of these addresses that this machine has.
    fn at(addresses: &[IpAddr]) -> Self {
        let first = TcpListener::bind((addresses[0], 0)).unwrap();
        let port = first.local_addr().unwrap().port();
        let others = addresses[1..].iter().filter_map(|address| TcpListener::bind((*address, port)).ok());
        let listeners: Vec<TcpListener> = std::iter::once(first).chain(others).collect();
        for listener in &listeners {
            listener.set_nonblocking(true).unwrap();
        }
        Self(listeners)
    }

    fn port(&self) -> u16 {
        self.0[0].local_addr().unwrap().port()
    }

    fn saw_nobody(&self) -> bool {
        self.0.iter().all(|listener| matches!(listener.accept(), Err(error) if error.kind() == ErrorKind::WouldBlock))
    }
}

fn here() -> Witness {
    Witness::at(&[Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into(), Ipv4Addr::new(127, 0, 0, 2).into()])
}

/// As an installation is whose operator says nothing.
fn by_default() -> Builder {
    Platform::with(DatabaseKind::Sqlite).setting("ALLOWED_PRIVATE_NETWORKS", &"")
}

/// A workshop whose mail servers are both this one.
async fn office(platform: &Platform, host: &str, witness: &Witness) -> Office {
    let (server, port) = (json!(host), json!(witness.port()));
    let account = json!({
        "imap_host": server, "imap_port": port, "imap_security": "plain",
        "smtp_host": server, "smtp_port": port, "smtp_security": "plain", "poll_interval_seconds": NEVER,
    });
    platform.office(ADDRESS, &mails::workshop(), &mails::products(), account).await
}

/// As accounts are that were added before the setting was there, or under another one.
async fn moved(platform: &Platform, column: &str, host: &str) {
    let connection = platform.database().connection().await;
    connection.execute_unprepared(&format!("UPDATE accounts SET {column} = '{host}'")).await.unwrap();
    connection.close().await.unwrap();
}

async fn reason(office: &Office) -> String {
    let account: Value = office.in_state("paused").await;
    account["pause_reason"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_mailbox_on_this_machine_is_not_read_and_its_account_says_why() {
    let witness = here();
    let platform = by_default().start().await;
    let office = office(&platform, "localhost", &witness).await;
    for host in ["localhost", "127.0.0.1", "127.2", "::1", "::ffff:127.0.0.1", "0.0.0.0"] {
        moved(&platform, "imap_host", host).await;
        office.api.post(&format!("/v1/accounts/{}/resume", office.account_id), &json!({})).await.ok();
        let job = office.poll().await;
        assert!(job.output.unwrap_or_default()["paused"].is_string(), "{host}");
        assert_eq!(reason(&office).await, format!("the IMAP {NOT_ALLOWED}"), "{host}");
        assert!(witness.saw_nobody(), "{host} was connected to");
    }
    // One attempt each, and none is left.
    for job in office.api.all("/v1/jobs?kind=poll_mailbox").await {
        assert_eq!((&job["state"], &job["attempt"]), (&json!("completed"), &json!(1)), "{job}");
    }
    platform.finish().await;
}

#[tokio::test]
async fn a_mailbox_on_this_machine_is_not_watched_either() {
    let witness = here();
    // Without a scheduler nobody polls.
    let platform = by_default().schedulers(0).setting("MAILBOX_IDLE_CONNECTIONS", &10).start().await;
    let office = office(&platform, "localhost", &witness).await;
    assert_eq!(reason(&office).await, format!("the IMAP {NOT_ALLOWED}"));
    assert!(witness.saw_nobody());
    assert_eq!(office.api.all("/v1/jobs?kind=poll_mailbox").await, Vec::<Value>::new());
    platform.finish().await;
}

#[tokio::test]
async fn nothing_is_handed_to_a_server_on_this_machine_and_it_goes_out_once_the_server_is_another() {
    let witness = Witness::at(&[Ipv4Addr::new(127, 0, 0, 2).into(), Ipv6Addr::LOCALHOST.into()]);
    let platform = Platform::with(DatabaseKind::Sqlite).setting("ALLOWED_PRIVATE_NETWORKS", &"127.0.0.1/32");
    let platform = platform.start().await;
    let office = platform.workshop(NEVER).await;
    let path = format!("/v1/accounts/{}", office.account_id);
    let account = office.api.get(&path).await.ok();
    office.api.patch(&path, &json!({ "smtp_port": witness.port(), "password": canaries::MAILBOX_PASSWORD })).await.ok();
    moved(&platform, "smtp_host", "127.0.0.2").await;
    platform.deliver_request(&office, "inside").await;
    office.poll().await;
    assert_eq!(reason(&office).await, format!("the SMTP {NOT_ALLOWED}"));
    assert!(witness.saw_nobody());
    eventually("the ledger to say why", || async {
        let reason = platform.ledger().await.remove(0).reason?;
        (reason == format!("the SMTP {NOT_ALLOWED}")).then_some(())
    })
    .await;

    let right = json!({
        "smtp_host": account["smtp_host"], "smtp_port": account["smtp_port"],
        "password": canaries::MAILBOX_PASSWORD,
    });
    office.api.patch(&path, &right).await.ok();
    office.api.post(&format!("{path}/resume"), &json!({})).await.ok();
    platform.sandbox().accepted_at_least(1).await;
    platform.no_jobs_left().await;
    assert_eq!(platform.sandbox().accepted().await.len(), 1);
    assert!(witness.saw_nobody());
    platform.finish().await;
}
