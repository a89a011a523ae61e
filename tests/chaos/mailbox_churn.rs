//! A mailbox of a real Dovecot is turned over while mail comes in: numbered anew, with and without its times of arrival, emptied,
//! away, and our own place in it forgotten. The witness is what was put into the Maildir.

mod witness;

use std::time::Duration;

use postrider_tests::platform::Office;
use postrider_tests::wait::within;
use postrider_tests::{Authority, DatabaseKind, Dovecot, Platform, Report, mails};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;
use witness::Witness;

const ADDRESS: &str = "angebot@lindner-schilder.example";
const PASSWORD: &str = "correct horse battery staple";
const PATIENCE: Duration = Duration::from_mins(2);

/// What befalls the mailbox in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Churn {
    /// Only a burst of mail, all in one second.
    Burst,
    /// Mail that was read is expunged.
    ExpungedAfter,
    /// Some of the burst is expunged while it is read, or before.
    ExpungedMeanwhile,
    /// The server is away, and mail is delivered into the Maildir.
    Outage,
    /// A new UIDVALIDITY.
    Renumbered,
    /// The same during an outage.
    RenumberedInOutage,
    /// A mailbox restored from a copy: a new UIDVALIDITY, and all mail seems to have come now.
    TimesLost,
    /// The row with our place in the folder is gone.
    StateLost,
    /// Somebody moves old mail into the folder, from before the connection.
    OldFiled,
}

const CHURNS: [Churn; 9] = [
    Churn::Burst,
    Churn::Renumbered,
    Churn::ExpungedMeanwhile,
    Churn::RenumberedInOutage,
    Churn::StateLost,
    Churn::Outage,
    Churn::OldFiled,
    Churn::TimesLost,
    Churn::ExpungedAfter,
];

pub async fn run(seed: u64, short: bool) -> Report {
    let mut dice = StdRng::seed_from_u64(seed);
    let rounds = if short { CHURNS.len() } else { 6 * CHURNS.len() };
    let folder = tempfile::tempdir().expect("make a folder");
    let authority = Authority::create(folder.path(), "authority");
    let certificate = authority.certificate_for("localhost");
    let dovecot = Dovecot::start(folder.path(), &[(ADDRESS, PASSWORD)], &certificate).await;
    let mut witness = Witness::default();
    for _ in 0..40 {
        witness.old(&dovecot).await;
    }
    let platform = Platform::with(DatabaseKind::Sqlite)
        .setting("EXTRA_CA_CERTS", &authority.file().display())
        .setting("MAILBOX_IDLE_CONNECTIONS", &10)
        .setting("MAILBOX_IDLE_RENEWAL_SECONDS", &5)
        .start()
        .await;
    let account = json!({
        "imap_host": "localhost", "imap_port": dovecot.tls_port(), "imap_security": "tls",
        "password": PASSWORD, "poll_interval_seconds": 2,
    });
    let office = platform.office(ADDRESS, &mails::workshop(), &mails::products(), account).await;

    // Until then nobody knows what lies in the folder.
    polled_again(&platform).await;
    let mut renumbered = 0;
    for round in 0..rounds {
        let churn = CHURNS[round % CHURNS.len()];
        let renumbers = matches!(churn, Churn::Renumbered | Churn::RenumberedInOutage | Churn::TimesLost);
        renumbered += usize::from(renumbers);
        befall(&platform, &dovecot, &mut witness, churn, &mut dice).await;
        // Sometimes the next thing happens before this one was dealt with.
        if renumbers || dice.random_bool(0.6) {
            all_read(&platform, &witness).await;
        }
    }
    all_read(&platform, &witness).await;
    for _ in 0..3 {
        polled_again(&platform).await;
    }
    let found = witness.found(&platform).await;
    let (sent, to_be_read) = (witness.sent(), witness.to_be_read());
    let notes = platform.worker(0).log().matches("mailbox_reset").count();
    let latency = idle_latency(&platform, &office, &dovecot, &mut witness, if short { 20 } else { 100 }).await;
    platform.abandon("the mailbox goes on being polled");

    let mut report = Report::new("mailbox-churn");
    report
        .figure("seed", seed)
        .figure("rounds", rounds)
        .figure("messages_sent", sent)
        .figure("to_be_read", to_be_read)
        .figure("read", found.read)
        .figure("missed", found.missed.len())
        .figure("repeated", found.repeated)
        .figure("old_mail_replayed", found.replayed.len())
        .figure("renumbered", renumbered)
        .figure("mailbox_reset_notes", notes)
        .figure("idle_p95_ms", latency)
        .must("no mail is missed", found.missed.is_empty())
        .must("no mail is read twice", found.repeated == 0)
        .must("no mail from before the connection is read", found.replayed.is_empty())
        .must("each new numbering is noted, once", notes == renumbered)
        .must("p95 from delivery to the start of the poll is at most a second", short || latency <= 1_000);
    if let Some(replayed) = found.replayed.first() {
        report.figure("first_replayed", replayed.as_str());
    }
    if let Some(missed) = found.missed.first() {
        report.figure("first_missed", missed.as_str());
    }
    report
}

async fn befall(platform: &Platform, dovecot: &Dovecot, witness: &mut Witness, churn: Churn, dice: &mut StdRng) {
    let size = dice.random_range(3..12_usize);
    match churn {
        Churn::Burst => {
            witness.burst(dovecot, size, false).await;
        }
        Churn::ExpungedAfter => {
            all_read(platform, witness).await;
            let lines = dovecot.session(ADDRESS, &["UID SEARCH NOT SUBJECT \"old\""]).await;
            let uids: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("* SEARCH ")).collect();
            let some: Vec<&str> = uids.iter().flat_map(|line| line.split(' ')).step_by(2).collect();
            if !some.is_empty() {
                let mark = format!("UID STORE {} +FLAGS.SILENT (\\Deleted)", some.join(","));
                dovecot.session(ADDRESS, &[&mark, "EXPUNGE"]).await;
            }
            witness.burst(dovecot, size, false).await;
        }
        Churn::ExpungedMeanwhile => {
            let burst = witness.burst(dovecot, 2 * size, false).await;
            for token in burst.iter().step_by(3) {
                witness.may_be_missing(token);
                let lines = dovecot.session(ADDRESS, &[&format!("UID SEARCH SUBJECT \"{token}\"")]).await;
                if let Some(uids) = lines.iter().find_map(|line| line.strip_prefix("* SEARCH ")) {
                    let mark = format!("UID STORE {} +FLAGS.SILENT (\\Deleted)", uids.replace(' ', ","));
                    dovecot.session(ADDRESS, &[&mark, "EXPUNGE"]).await;
                }
            }
        }
        Churn::OldFiled => {
            for _ in 0..size {
                witness.old(dovecot).await;
            }
            witness.burst(dovecot, size, false).await;
        }
        Churn::Outage => {
            dovecot.stop().await;
            witness.burst(dovecot, size, false).await;
            dovecot.start_again().await;
        }
        Churn::Renumbered => {
            all_read(platform, witness).await;
            dovecot.stop().await;
            dovecot.forget_numbers(ADDRESS);
            dovecot.start_again().await;
            witness.burst(dovecot, size, false).await;
        }
        Churn::RenumberedInOutage => {
            dovecot.stop().await;
            witness.burst(dovecot, size, false).await;
            dovecot.forget_numbers(ADDRESS);
            witness.burst(dovecot, size, false).await;
            dovecot.start_again().await;
        }
        Churn::TimesLost => {
            all_read(platform, witness).await;
            dovecot.stop().await;
            witness.burst(dovecot, size, dice.random_bool(0.5)).await;
            dovecot.forget_numbers(ADDRESS);
            dovecot.lose_times(ADDRESS);
            dovecot.start_again().await;
        }
        Churn::StateLost => {
            witness.burst(dovecot, size, false).await;
            let connection = platform.database().connection().await;
            let forget = sea_orm::ConnectionTrait::execute_unprepared(&connection, "DELETE FROM mailbox_cursors").await;
            forget.expect("forget the place");
            connection.close().await.expect("close the connection");
            witness.burst(dovecot, size, false).await;
        }
    }
}

/// Waits until everything that must be read was.
async fn all_read(platform: &Platform, witness: &Witness) {
    let end = tokio::time::Instant::now() + PATIENCE;
    while !witness.found(platform).await.missed.is_empty() && tokio::time::Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Waits until the mailbox was polled once more, from begin to end.
async fn polled_again(platform: &Platform) {
    let asked = postrider_shared::clock::Clock::system().now();
    within(PATIENCE, "another poll", || async {
        witness::last_polled(platform).await.is_some_and(|polled| polled > asked).then_some(())
    })
    .await;
}

/// The 95th percentile from a delivery to the start of the poll that it causes, in milliseconds, with an interval of a day.
async fn idle_latency(
    platform: &Platform,
    office: &Office,
    dovecot: &Dovecot,
    witness: &mut Witness,
    samples: usize,
) -> i64 {
    let account = format!("/v1/accounts/{}", office.account_id);
    let watched = platform.worker(0).log().matches("a mailbox is watched").count();
    office.api.patch(&account, &json!({ "poll_interval_seconds": 86_400 })).await.ok();
    within(PATIENCE, "the connection of the changed account", || async {
        (platform.worker(0).log().matches("a mailbox is watched").count() > watched).then_some(())
    })
    .await;
    platform.no_jobs_left().await;
    let mut latencies = Vec::new();
    for _ in 0..samples {
        let before = postrider_shared::clock::Clock::system().now();
        witness.burst(dovecot, 1, false).await;
        let started = within(PATIENCE, "the poll that the mail causes", || async {
            let page = office.api.get("/v1/jobs?kind=poll_mailbox&limit=20").await.ok();
            let starts = page["items"].as_array()?.iter().filter_map(|job| job["started_at"].as_str()?.parse().ok());
            starts.filter(|started: &chrono::DateTime<chrono::Utc>| *started >= before).min()
        })
        .await;
        latencies.push((started - before).num_milliseconds());
        all_read(platform, witness).await;
    }
    latencies.sort_unstable();
    latencies[(latencies.len() * 95).div_ceil(100) - 1]
}
