//! Mailboxes that are watched over IDLE connections: new mail is read at once, each mailbox is watched by one worker, and
//! the interval is only the safety net. In all of these tests it is a day.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::join_all;
use postrider_tests::platform::{Builder, Office};
use postrider_tests::{Authority, DatabaseKind, Dovecot, Platform, canaries, eventually, mails};
use serde_json::json;

const NEVER: u32 = 86_400;

fn watching(database: DatabaseKind) -> Builder {
    Platform::with(database).setting("MAILBOX_IDLE_CONNECTIONS", &100)
}

fn request(address: &str, name: &str) -> Vec<u8> {
    format!(
        "From: {name}@kunden.example\r\nTo: {address}\r\nSubject: Anfrage {name}\r\nMessage-ID: <{name}@kunden.example>\r\n\r\n\
         Bitte ein Angebot: 2 Roll-ups.\r\n"
    )
    .into_bytes()
}

/// Waits until each of these is watched over exactly one connection.
async fn watched(platform: &Platform, addresses: &[&str]) {
    eventually("one IDLE connection for each mailbox", || async {
        let idling = platform.sandbox().client().idling().await.unwrap();
        addresses.iter().all(|address| idling.get(*address) == Some(&1)).then_some(())
    })
    .await;
}

async fn polls(office: &Office) -> usize {
    office.api.all("/v1/jobs?kind=poll_mailbox").await.len()
}

/// From the delivery to the start of the run that recorded the mail, in milliseconds.
async fn latency(office: &Office, number: usize, delivered: DateTime<Utc>) -> i64 {
    eventually(&format!("mail {number}"), || async { (office.mails().await.len() > number).then_some(()) }).await;
    let jobs = office.api.all("/v1/jobs?kind=poll_mailbox").await;
    let starts = jobs.iter().filter_map(|job| job["started_at"].as_str()?.parse::<DateTime<Utc>>().ok());
    // A run that was under way already may have seen it: then it did not wait at all.
    let started = starts.filter(|started| *started >= delivered).min().unwrap_or(delivered);
    (started - delivered).num_milliseconds()
}

/// Half of all mails within two seconds; a busy machine may keep single ones longer.
fn are_at_once(server: &str, mut latencies: Vec<i64>) {
    latencies.sort_unstable();
    let (median, p95) = (latencies[latencies.len() / 2], latencies[(latencies.len() * 95).div_ceil(100) - 1]);
    eprintln!("{server}: {median} ms from delivery to the start of the job, {p95} ms at the 95th percentile");
    assert!(median <= 2_000 && p95 <= 10_000, "{latencies:?} ms");
}

on_both_databases!(new_mail_is_read_at_once_and_a_burst_at_one_go);

async fn new_mail_is_read_at_once_and_a_burst_at_one_go(database: DatabaseKind) {
    let platform = watching(database).setting("MAILBOX_IDLE_RENEWAL_SECONDS", &1).start().await;
    let office = platform.workshop(NEVER).await;
    watched(&platform, &[&office.address]).await;
    let mut latencies = Vec::new();
    for number in 0..20 {
        let before = chrono_now();
        platform.sandbox().deliver(&office.address, request(&office.address, &format!("one-{number}"))).await;
        latencies.push(latency(&office, number, before).await);
    }
    are_at_once("sandbox", latencies);
    let before = polls(&office).await;
    let burst = (0..40).map(|number| request(&office.address, &format!("burst-{number}")));
    join_all(burst.map(|mail| platform.sandbox().deliver(&office.address, mail))).await;
    eventually("the whole burst", || async { (office.mails().await.len() == 60).then_some(()) }).await;
    platform.no_jobs_left().await;
    let polled = polls(&office).await - before;
    assert!(polled <= 20, "{polled} polls for a burst of 40 mails");
    assert_eq!(platform.sandbox().accepted().await.len(), 60, "each is answered once");
    platform.finish().await;
}

#[tokio::test]
async fn new_mail_in_dovecot_is_read_at_once() {
    let (address, password) = ("angebot@lindner-schilder.example", canaries::MAILBOX_PASSWORD);
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::create(folder.path(), "authority");
    let certificate = authority.certificate_for("localhost");
    let dovecot = Dovecot::start(folder.path(), &[(address, password)], &certificate).await;
    let trusted = authority.file().display().to_string();
    let platform = watching(DatabaseKind::Sqlite).setting("EXTRA_CA_CERTS", &trusted).start().await;
    let account = json!({
        "imap_host": "localhost", "imap_port": dovecot.tls_port(), "imap_security": "tls",
        "password": password, "poll_interval_seconds": NEVER,
    });
    let office = platform.office(address, &mails::workshop(), &mails::products(), account).await;
    eventually("an IDLE connection", || async {
        platform.worker(0).log().contains("a mailbox is watched").then_some(())
    })
    .await;
    let mut latencies = Vec::new();
    for number in 0..20 {
        let before = chrono_now();
        dovecot.deliver(address, &request(address, &format!("dovecot-{number}"))).await;
        latencies.push(latency(&office, number, before).await);
    }
    are_at_once("Dovecot", latencies);
    platform.finish().await;
}

#[tokio::test]
async fn workers_share_the_mailboxes_and_take_those_of_a_killed_one() {
    let platform = watching(DatabaseKind::Sqlite).workers(2).start().await;
    let office = platform.workshop(NEVER).await;
    let mut addresses = vec![office.address.clone()];
    for number in 0..9 {
        let address = format!("filiale-{number}@lindner-schilder.example");
        platform.mailbox(&office.api, &address, json!({ "poll_interval_seconds": NEVER })).await;
        addresses.push(address);
    }
    let all: Vec<&str> = addresses.iter().map(String::as_str).collect();
    watched(&platform, &all).await;
    eventually("both workers to watch five each", || async {
        let counts = [0, 1].map(|worker| platform.worker(worker).log().matches("a mailbox is watched").count());
        // Whoever came first had more, and gave them back.
        counts.iter().all(|count| *count >= 5).then_some(())
    })
    .await;
    watched(&platform, &all).await;
    platform.worker(0).kill();
    let killed = std::time::Instant::now();
    eventually("some mailboxes to be without a watcher", || async {
        let idling = platform.sandbox().client().idling().await.unwrap();
        (idling.values().sum::<usize>() < all.len()).then_some(())
    })
    .await;
    watched(&platform, &all).await;
    eprintln!("taken over {:?} after the kill", killed.elapsed());
    platform.worker(0).kill_and_restart().await;
    watched(&platform, &all).await;
    // A graceful stop gives back at once.
    let status = platform.worker(1).stop(Duration::from_secs(30)).await;
    assert!(status.success(), "{status}");
    watched(&platform, &all).await;
    let idling: BTreeMap<String, usize> = platform.sandbox().client().idling().await.unwrap();
    assert_eq!(idling.values().sum::<usize>(), all.len(), "{idling:?}");
    platform.finish().await;
}

/// Connections that are accepted and then say nothing, or end, are made again; what came meanwhile is read.
#[tokio::test]
async fn a_connection_that_dies_is_made_again_and_no_mail_waits_for_the_interval() {
    let platform = watching(DatabaseKind::Sqlite)
        .setting("MAIL_TIMEOUT_SECONDS", &1)
        .setting("MAILBOX_IDLE_RENEWAL_SECONDS", &1)
        .start()
        .await;
    let office = platform.workshop(NEVER).await;
    for (number, kind) in ["close", "reset", "hang"].into_iter().enumerate() {
        watched(&platform, &[&office.address]).await;
        // The next renewal meets it.
        let fault = json!({ "target": "imap", "kind": kind, "stage": "idle", "times": 1 });
        let fault = platform.sandbox().fault(fault).await;
        eventually("the connection to be struck", || async {
            (platform.sandbox().times_struck(fault.id).await == 1).then_some(())
        })
        .await;
        platform.sandbox().deliver(&office.address, request(&office.address, kind)).await;
        eventually(&format!("the mail after a {kind}"), || async {
            (office.mails().await.len() == number + 1).then_some(())
        })
        .await;
    }
    platform.finish().await;
}

/// A login that goes well and a connection that dies at once are a failure all the same.
#[tokio::test]
async fn a_server_that_hangs_up_after_each_login_is_left_alone_longer_and_longer() {
    let platform = watching(DatabaseKind::Sqlite).start().await;
    let fault = json!({ "target": "imap", "kind": "close", "stage": "idle", "times": 10_000 });
    let fault = platform.sandbox().fault(fault).await;
    let office = platform.workshop(NEVER).await;
    // The first time is later than the last look that saw none.
    let begun = Cell::new(std::time::Instant::now());
    eventually("login 1", || async {
        let look = std::time::Instant::now();
        let seen = platform.sandbox().times_struck(fault.id).await;
        if seen == 0 {
            begun.set(look);
        }
        (seen > 0).then_some(())
    })
    .await;
    let begun = begun.get();
    eventually("login 4", || async { (platform.sandbox().times_struck(fault.id).await >= 4).then_some(()) }).await;
    // At least 1, 2 and 4 seconds lie between them.
    assert!(begun.elapsed() >= Duration::from_millis(6_500), "{:?}", begun.elapsed());
    // Reading has a patience of its own.
    platform.sandbox().deliver(&office.address, request(&office.address, "meanwhile")).await;
    office.poll().await;
    assert_eq!(office.mails().await.len(), 1);
    platform.finish().await;
}

/// A planned poll of a server that is away ends without a dead letter, and the mailbox is left alone for a while.
#[tokio::test]
async fn planned_polls_of_a_server_that_is_away_leave_no_dead_letters() {
    let platform = Platform::with(DatabaseKind::Sqlite).start().await;
    let office = platform.workshop(1).await;
    office.poll().await;
    platform.sandbox().fault(json!({ "target": "imap", "kind": "close", "stage": "connect", "times": 10_000 })).await;
    eventually("a planned poll to give up", || async {
        platform.worker(0).log().contains("the mailbox is left alone for a while").then_some(())
    })
    .await;
    platform.sandbox().clear_faults().await;
    platform.sandbox().deliver(&office.address, request(&office.address, "afterwards")).await;
    eventually("the mail to be read", || async { (office.mails().await.len() == 1).then_some(()) }).await;
    // A paused mailbox sends nothing: its reply goes out before.
    platform.sandbox().accepted_at_least(1).await;
    let letters = office.api.all("/v1/dead-letters").await;
    assert!(letters.is_empty(), "{letters:?}");
    office.api.post(&format!("/v1/accounts/{}/pause", office.account_id), &json!({})).await.ok();
    platform.finish().await;
}

/// The moment, as the platform's clocks see it: all run on this machine.
fn chrono_now() -> DateTime<Utc> {
    postrider_shared::clock::Clock::system().now()
}
