//! What real mail servers do to a mailbox between two looks: mail is filed late, the mailbox is restored from a copy, the server is
//! away for days, and our own place is lost. Each new mail is read once, and none from before the connection.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, TimeDelta, Utc};
use postrider_shared::clock::Clock;
use postrider_tests::canaries::MAILBOX_PASSWORD;
use postrider_tests::platform::{Builder, Office};
use postrider_tests::wait::within;
use postrider_tests::{Authority, DatabaseKind, Dovecot, Platform, mails};
use serde_json::json;
use tempfile::TempDir;

const ADDRESS: &str = "angebot@lindner-schilder.example";
const NEVER: u32 = 86_400;

struct Scene {
    platform: Platform,
    dovecot: Dovecot,
    office: Office,
    _folder: TempDir,
}

impl Scene {
    /// A connected mailbox in which these mails lay before, each so many days old.
    async fn with(platform: Builder, old: &[(&str, i64)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::create(folder.path(), "authority");
        let certificate = authority.certificate_for("localhost");
        let dovecot = Dovecot::start(folder.path(), &[(ADDRESS, MAILBOX_PASSWORD)], &certificate).await;
        for (name, days) in old {
            deliver(&dovecot, name, days_ago(*days), days_ago(*days)).await;
        }
        let platform = platform.start().await;
        // Under another clock no certificate is valid.
        let account = json!({
            "imap_host": "localhost", "imap_port": dovecot.starttls_port(), "imap_security": "plain",
            "password": MAILBOX_PASSWORD, "poll_interval_seconds": NEVER,
        });
        let office = platform.office(ADDRESS, &mails::workshop(), &mails::products(), account).await;
        office.poll().await;
        Self { platform, dovecot, office, _folder: folder }
    }

    async fn deliver(&self, name: &str, dated: DateTime<Utc>, arrived: DateTime<Utc>) {
        deliver(&self.dovecot, name, dated, arrived).await;
    }

    async fn restored(&self, times_are_lost: bool) {
        self.dovecot.stop().await;
        self.dovecot.forget_numbers(ADDRESS);
        if times_are_lost {
            self.dovecot.lose_times(ADDRESS);
        }
        self.dovecot.start_again().await;
    }

    async fn place_is_lost(&self) {
        let connection = self.platform.database().connection().await;
        sea_orm::ConnectionTrait::execute_unprepared(&connection, "DELETE FROM mailbox_cursors").await.unwrap();
        connection.close().await.unwrap();
    }

    async fn submit_poll(&self) {
        let body = json!({ "kind": "poll_mailbox", "payload": { "account_id": self.office.account_id } });
        self.office.api.post("/v1/jobs", &body).await;
    }

    /// How often each mail was read, after another look.
    async fn read(&self) -> BTreeMap<String, usize> {
        self.office.poll().await;
        self.read_now().await
    }

    async fn read_now(&self) -> BTreeMap<String, usize> {
        let mut read = BTreeMap::new();
        for mail in self.office.mails().await {
            *read.entry(mail["subject"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        read
    }

    async fn end(self) {
        self.platform.no_jobs_left().await;
        self.platform.finish().await;
    }
}

async fn deliver(dovecot: &Dovecot, name: &str, dated: DateTime<Utc>, arrived: DateTime<Utc>) {
    let dated = dated.to_rfc2822();
    let raw = format!(
        "From: Anna <anna@kunden.example>\r\nTo: {ADDRESS}\r\nSubject: {name}\r\nDate: {dated}\r\n\
         Message-ID: <{name}@kunden.example>\r\n\r\nVielen Dank, alles ist gut angekommen ({name}).\r\n"
    );
    dovecot.deliver_at(ADDRESS, raw.as_bytes(), Some(SystemTime::from(arrived))).await;
}

fn days_ago(days: i64) -> DateTime<Utc> {
    Clock::system().now() - TimeDelta::days(days)
}

fn once<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeMap<String, usize> {
    names.into_iter().map(|name| (name.to_owned(), 1)).collect()
}

on_both_databases!(a_copy_without_times_of_arrival_shows_which_mail_is_old);

async fn a_copy_without_times_of_arrival_shows_which_mail_is_old(database: DatabaseKind) {
    let scene = Scene::with(Platform::with(database), &[("old-1", 60), ("old-2", 30), ("old-3", 3)]).await;
    // Old mail that is moved in later is old as well.
    scene.deliver("old-archive", days_ago(90), days_ago(90)).await;
    scene.deliver("first", days_ago(0), days_ago(0)).await;
    assert_eq!(scene.read().await, once(["first"]));
    // It comes unseen, and its sender's clock is wrong: only that it was not there before shows that it is new.
    scene.deliver("second", days_ago(30), days_ago(0)).await;
    scene.restored(true).await;
    assert_eq!(scene.read().await, once(["first", "second"]));
    // Right after, with no times that could be trusted.
    scene.deliver("third", days_ago(30), days_ago(0)).await;
    scene.restored(false).await;
    assert_eq!(scene.read().await, once(["first", "second", "third"]));
    scene.deliver("fourth", days_ago(30), days_ago(0)).await;
    scene.place_is_lost().await;
    assert_eq!(scene.read().await, once(["first", "second", "third", "fourth"]));
    assert_eq!(scene.read().await.len(), 4);
    scene.end().await;
}

#[tokio::test]
async fn mail_that_is_filed_late_is_read_unless_it_lay_there_before() {
    let scene = Scene::with(Platform::with(DatabaseKind::Sqlite), &[]).await;
    scene.deliver("from-the-spam-folder", days_ago(1), days_ago(1)).await;
    scene.deliver("from-the-archive", days_ago(3), days_ago(3)).await;
    assert_eq!(scene.read().await, once(["from-the-spam-folder"]));
    scene.restored(false).await;
    assert_eq!(scene.read().await, once(["from-the-spam-folder"]));
    scene.end().await;
}

#[tokio::test]
async fn what_lay_there_before_stays_old_when_it_is_moved_out_and_in_again() {
    let scene = Scene::with(Platform::with(DatabaseKind::Sqlite), &[("yesterday", 1)]).await;
    assert_eq!(scene.read().await, once([]));
    let moves = ["CREATE Aside", "UID MOVE 1:* Aside", "SELECT Aside", "UID MOVE 1:* INBOX"];
    scene.dovecot.session(ADDRESS, &moves).await;
    scene.deliver("today", days_ago(0), days_ago(0)).await;
    assert_eq!(scene.read().await, once(["today"]));
    scene.end().await;
}

/// The server is away for three days, in which 300 mails wait elsewhere; then they come at once, in no order, a quarter of them in
/// the same second, and a tenth is expunged while they are read.
#[tokio::test]
async fn three_days_of_mail_that_come_at_once_are_read_once_each() {
    let now = Clock::system().now();
    let connected = now - TimeDelta::days(4);
    let scene = Scene::with(Platform::with(DatabaseKind::Sqlite).at_time(connected), &[("old", 60)]).await;
    scene.deliver("before", connected, connected + TimeDelta::minutes(1)).await;
    assert_eq!(scene.read().await, once(["before"]));
    scene.dovecot.stop().await;
    let names: Vec<String> = (0..300).map(|number| format!("outage-{number}.")).collect();
    for (number, name) in (0_i64..).zip(&names) {
        let at = if number % 4 == 0 { now } else { now - TimeDelta::seconds((number * 7_919) % (72 * 3_600)) };
        scene.deliver(name, at - TimeDelta::days(number % 20), at).await;
    }
    scene.platform.time().unwrap().set(now);
    scene.dovecot.start_again().await;
    let (expunged, kept): (Vec<&str>, Vec<&str>) =
        names.iter().map(String::as_str).partition(|name| name.ends_with("7."));
    let reading = async {
        within(Duration::from_mins(5), "all of it to be read", || async {
            let read = scene.read_now().await;
            kept.iter().all(|name| read.contains_key(*name)).then_some(read)
        })
        .await
    };
    let expunging = async {
        for names in expunged.chunks(20) {
            for name in names {
                let lines = scene.dovecot.session(ADDRESS, &[&format!("UID SEARCH SUBJECT \"{name}\"")]).await;
                let uids = lines.iter().find_map(|line| line.strip_prefix("* SEARCH ")).unwrap().replace(' ', ",");
                let mark = format!("UID STORE {uids} +FLAGS.SILENT (\\Deleted)");
                scene.dovecot.session(ADDRESS, &[&mark, "EXPUNGE"]).await;
            }
        }
    };
    scene.submit_poll().await;
    let (read, ()) = tokio::join!(reading, expunging);
    assert!(read.values().all(|times| *times == 1), "read twice: {read:?}");
    assert!(read.contains_key("before") && !read.contains_key("old"));
    scene.platform.no_jobs_left().await;
    let again = scene.read().await;
    assert!(again.values().all(|times| *times == 1) && again.len() > kept.len());
    scene.end().await;
}
