//! How soon new mail is read: from its delivery to the start of the job that reads it, in mailboxes that are watched over IDLE, in
//! the sandbox and in a real Dovecot. The mailboxes' interval is a day.

use std::time::Duration;

use chrono::{DateTime, Utc};
use postrider_shared::clock::Clock;
use postrider_tests::platform::Office;
use postrider_tests::wait::within;
use postrider_tests::{Authority, DatabaseKind, Dovecot, Platform, Report, mails};
use serde_json::json;

const PATIENCE: Duration = Duration::from_mins(1);
const ADDRESS: &str = "angebot@lindner-schilder.example";
const PASSWORD: &str = "correct horse battery staple";
const INTERVAL_SECONDS: u32 = 86_400;

pub async fn run(samples: usize) -> Report {
    let mut report = Report::new("idle");
    report.figure("samples", samples);
    for (server, latencies) in [("sandbox", in_sandbox(samples).await), ("dovecot", in_dovecot(samples).await)] {
        let at = |percent: usize| latencies[(latencies.len() * percent).div_ceil(100).max(1) - 1];
        report
            .figure(&format!("{server}_p50_ms"), at(50))
            .figure(&format!("{server}_p95_ms"), at(95))
            .figure(&format!("{server}_max_ms"), at(100))
            .must(&format!("{server}: at most a second at the 95th percentile"), at(95) <= 1_000);
    }
    report
}

fn platform() -> postrider_tests::platform::Builder {
    Platform::with(DatabaseKind::Sqlite).setting("MAILBOX_IDLE_CONNECTIONS", &10)
}

async fn in_sandbox(samples: usize) -> Vec<i64> {
    let platform = platform().start().await;
    let office = platform.workshop(INTERVAL_SECONDS).await;
    let latencies = measure(&platform, &office, samples, async |raw| {
        platform.sandbox().deliver(&office.address, raw).await;
    })
    .await;
    platform.abandon("mails may be under way still");
    latencies
}

async fn in_dovecot(samples: usize) -> Vec<i64> {
    let folder = tempfile::tempdir().expect("make a folder");
    let authority = Authority::create(folder.path(), "authority");
    let certificate = authority.certificate_for("localhost");
    let dovecot = Dovecot::start(folder.path(), &[(ADDRESS, PASSWORD)], &certificate).await;
    let platform = platform().setting("EXTRA_CA_CERTS", &authority.file().display()).start().await;
    let account = json!({
        "imap_host": "localhost", "imap_port": dovecot.tls_port(), "imap_security": "tls",
        "password": PASSWORD, "poll_interval_seconds": INTERVAL_SECONDS,
    });
    let office = platform.office(ADDRESS, &mails::workshop(), &mails::products(), account).await;
    let latencies =
        measure(&platform, &office, samples, async |raw: Vec<u8>| dovecot.deliver(ADDRESS, &raw).await).await;
    platform.abandon("mails may be under way still");
    latencies
}

/// Milliseconds, ascending.
async fn measure(platform: &Platform, office: &Office, samples: usize, deliver: impl AsyncFn(Vec<u8>)) -> Vec<i64> {
    within(PATIENCE, "an IDLE connection", || async {
        platform.worker(0).log().contains("a mailbox is watched").then_some(())
    })
    .await;
    platform.no_jobs_left().await;
    let mut latencies = Vec::new();
    for number in 0..samples {
        let raw = format!(
            "From: Anna <anna@kunden.example>\r\nTo: {}\r\nSubject: Danke {number}\r\nMessage-ID: <{number}@kunden.example>\r\n\
             \r\nVielen Dank, alles ist gut angekommen.\r\n",
            office.address
        );
        let before = Clock::system().now();
        deliver(raw.into_bytes()).await;
        let started = within(PATIENCE, "the job that reads the mail", || started(office, before)).await;
        latencies.push((started - before).num_milliseconds());
        platform.no_jobs_left().await;
    }
    latencies.sort_unstable();
    latencies
}

async fn started(office: &Office, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let page = office.api.get("/v1/jobs?kind=poll_mailbox&limit=20").await.ok();
    let starts = page["items"].as_array()?.iter().filter_map(|job| job["started_at"].as_str()?.parse().ok());
    starts.filter(|started: &DateTime<Utc>| *started >= after).min()
}
