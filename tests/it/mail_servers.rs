//! The mail side against the servers that most mailboxes stand on: mail comes in through Postfix, is read from Dovecot, and the
//! reply goes out through Postfix with a password or a token that Dovecot checks. What counts is what Postfix delivered.

use mail_parser::{MessageParser, MimeHeaders as _};
use postrider_sandbox::Sandbox;
use postrider_tests::canaries::MAILBOX_PASSWORD;
use postrider_tests::mails::{self, Expectation, Mail, Outcome};
use postrider_tests::platform::{Builder, Office, google_settings};
use postrider_tests::postfix::Delivered;
use postrider_tests::{Authority, DatabaseKind, Dovecot, Platform, Postfix, eventually, pdf};
use serde_json::{Value, json};
use tempfile::TempDir;

const NEVER: u32 = 86_400;
const ADDRESS: &str = "angebot@lindner-schilder.example";
const CUSTOMER: &str = "anna@kunde.example";

/// The certificate's name is looked up like any other, so it must be one that leads to this machine.
const HOST: &str = "localhost";

struct Servers {
    folder: TempDir,
    authority: Authority,
    dovecot: Dovecot,
    postfix: Postfix,
}

impl Servers {
    async fn start() -> Self {
        Self::start_with(None).await
    }

    /// With XOAUTH2: whose a token is, Dovecot asks this Google.
    async fn start_with(google: Option<&Sandbox>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::create(folder.path(), "authority");
        let certificate = authority.certificate_for(HOST);
        let users = [(ADDRESS, MAILBOX_PASSWORD), (CUSTOMER, "of her own")];
        let dovecot = match google {
            Some(google) => {
                let url = format!("http://{}/oauth2/v3/userinfo", google.addresses.http);
                Dovecot::start_with_tokens(folder.path(), &users, &certificate, &url).await
            }
            None => Dovecot::start(folder.path(), &users, &certificate).await,
        };
        let postfix = Postfix::start(folder.path(), &dovecot, &certificate).await;
        Self { folder, authority, dovecot, postfix }
    }

    /// A platform that trusts the servers' authority.
    fn platform(&self) -> Builder {
        Platform::with(DatabaseKind::Sqlite).setting("EXTRA_CA_CERTS", &self.authority.file().display())
    }

    /// A platform whose Google accounts are this Google's, with their mail on these servers.
    fn platform_with(&self, google: &Sandbox) -> Builder {
        let at = &google.addresses;
        let mut builder = self.platform();
        for (name, value) in google_settings(at.http, at.imap, at.smtp) {
            builder = builder.setting(&name, &value);
        }
        builder
            .setting("GMAIL_IMAP_SERVER", &format!("tls://{HOST}:{}", self.dovecot.tls_port()))
            .setting("GMAIL_SMTP_SERVER", &format!("starttls://{HOST}:{}", self.postfix.starttls_port()))
    }

    fn account(&self, security: &str) -> Value {
        let (imap_port, smtp_port) = match security {
            "tls" => (self.dovecot.tls_port(), self.postfix.tls_port()),
            _ => (self.dovecot.starttls_port(), self.postfix.starttls_port()),
        };
        json!({
            "imap_host": HOST, "imap_port": imap_port, "imap_security": security,
            "smtp_host": HOST, "smtp_port": smtp_port, "smtp_security": security,
            "password": MAILBOX_PASSWORD, "poll_interval_seconds": NEVER,
        })
    }

    async fn office(&self, platform: &Platform, account: Value) -> Office {
        platform.office(ADDRESS, &mails::workshop(), &mails::products(), account).await
    }

    async fn arrives(&self, mail: &Mail) {
        self.postfix.deliver("customer@sender.example", &[ADDRESS], &mail.raw).await;
    }

    /// Waits until that many mails reached the outside world.
    async fn outside(&self, count: usize) -> Vec<Delivered> {
        eventually(&format!("{count} replies outside"), || async {
            let delivered = self.postfix.outside().await;
            (delivered.len() >= count).then_some(delivered)
        })
        .await
    }
}

/// Requests that end in a quote by themselves.
fn quotable(count: usize) -> Vec<(Mail, Expectation)> {
    let requests = mails::requests().into_iter();
    requests.filter(|(_, expected)| expected.outcome == Outcome::Quoted).take(count).collect()
}

fn banners() -> (Mail, Expectation) {
    quotable(1).remove(0)
}

#[tokio::test]
async fn twenty_requests_over_tls_get_twenty_replies_in_their_threads() {
    let servers = Servers::start().await;
    let platform = servers.platform().start().await;
    let office = servers.office(&platform, servers.account("tls")).await;
    twenty_requests_get_twenty_replies(&servers, platform, &office, async || {}).await;
}

#[tokio::test]
async fn twenty_requests_over_xoauth2_get_twenty_replies_although_the_token_expires() {
    let google = Sandbox::spawn().await.unwrap();
    let servers = Servers::start_with(Some(&google)).await;
    let platform = servers.platform_with(&google).start().await;
    let workshop = (&mails::workshop(), &mails::products()[..]);
    let settings = json!({ "poll_interval_seconds": NEVER });
    let office = platform.google_office(&google.client(), ADDRESS, workshop, settings).await;
    let path = format!("/v1/accounts/{}", office.account_id);
    office.api.patch(&path, &json!({ "transport": "smtp" })).await;
    twenty_requests_get_twenty_replies(&servers, platform, &office, async || {
        google.client().expire_tokens(ADDRESS).await.unwrap();
    })
    .await;
    let calls = google.client().google().await.unwrap();
    assert_eq!((calls.exchange, calls.refresh), (1, 1), "{calls:?}");
    let log = servers.postfix.log();
    let by_token = log.lines().filter(|line| line.contains("sasl_method=XOAUTH2")).count();
    assert!(by_token >= 20, "{by_token} submissions by XOAUTH2");
    assert!(!servers.dovecot.log().contains("ya29."), "a token is in Dovecot's log");
}

/// Mails in, replies out, none lost and none repeated; something may happen half-way.
async fn twenty_requests_get_twenty_replies(
    servers: &Servers,
    platform: Platform,
    office: &Office,
    half_way: impl AsyncFnOnce(),
) {
    let requests = quotable(20);
    for (mail, _) in &requests[..12] {
        servers.arrives(mail).await;
    }
    servers.postfix.settled().await;
    assert_eq!(read(office).await, (12, 0));
    half_way().await;
    // The next poll goes on where the last one ended; copies of what is known are no new mail.
    for (mail, _) in &requests[10..] {
        servers.arrives(mail).await;
    }
    servers.postfix.settled().await;
    assert_eq!(read(office).await, (20, 2));
    assert_eq!(read(office).await, (20, 2), "something was read again");
    let replies = servers.outside(20).await;
    platform.no_jobs_left().await;

    assert_eq!(office.mails().await.len(), 20);
    for (mail, expected) in &requests {
        let answers: Vec<&Delivered> = replies.iter().filter(|reply| answers(reply, mail)).collect();
        let [reply] = answers.as_slice() else { panic!("{}: {} replies", mail.name, answers.len()) };
        check(reply, mail, expected);
    }
    let all = servers.postfix.outside().await;
    assert_eq!(all.len(), 20, "somebody got a second reply: {:?}", all.iter().map(|mail| &mail.to).collect::<Vec<_>>());
    let ledger = platform.ledger().await;
    assert!(ledger.len() == 20 && ledger.iter().all(|row| row.state == "accepted" && row.attempt == 1), "{ledger:#?}");
    let log = servers.dovecot.log();
    let logins: Vec<&str> = log.lines().filter(|line| line.contains(&format!("Login: user=<{ADDRESS}>"))).collect();
    assert!(logins.len() >= 3 && logins.iter().all(|line| line.contains(", TLS,")), "{logins:#?}");
    // Reading marks nothing as read: a person may be looking at the same mailbox.
    let unseen = servers.dovecot.session(ADDRESS, &["SEARCH SEEN"]).await;
    assert_eq!(unseen, ["* SEARCH"]);
    platform.finish().await;
}

/// Reads the mailbox, and returns how many new mails and how many copies of known ones all polls found until now.
async fn read(office: &Office) -> (u64, u64) {
    office.poll().await;
    let mut found = (0, 0);
    for job in office.api.all("/v1/jobs?kind=poll_mailbox").await {
        let job = office.api.finished(job["id"].as_str().unwrap()).await;
        let output = job.output.unwrap_or_default();
        assert!(output["failed"] != 1 && output["reset"] != true, "{output}");
        found.0 += output["recorded"].as_u64().unwrap_or_default();
        found.1 += output["known"].as_u64().unwrap_or_default();
    }
    found
}

fn message_id(mail: &Mail) -> String {
    MessageParser::default().parse(&mail.raw).unwrap().message_id().unwrap().to_owned()
}

fn answers(reply: &Delivered, mail: &Mail) -> bool {
    let parsed = MessageParser::default().parse(&reply.raw).unwrap();
    parsed.in_reply_to().as_text() == Some(message_id(mail).as_str())
}

fn check(reply: &Delivered, mail: &Mail, expected: &Expectation) {
    let name = &mail.name;
    assert_eq!(reply.to, expected.reply_to, "{name}");
    let parsed = MessageParser::default().parse(&reply.raw).unwrap();
    let references: Vec<&str> = parsed.references().as_text_list().unwrap().iter().map(AsRef::as_ref).collect();
    assert_eq!(references.last(), Some(&message_id(mail).as_str()), "{name}");
    let attachment = parsed.attachment(0).unwrap();
    assert!(attachment.attachment_name().is_some_and(|file| file.to_lowercase().ends_with(".pdf")), "{name}");
    let amounts = pdf::amounts(&pdf::text(attachment.contents()));
    assert!(amounts.contains(expected.total.as_ref().unwrap()), "{name}: {amounts:?}");
}

#[tokio::test]
async fn a_reply_over_starttls_joins_the_customers_thread() {
    let servers = Servers::start().await;
    let platform = servers.platform().start().await;
    let office = servers.office(&platform, servers.account("starttls")).await;
    let request = format!(
        "From: Anna <{CUSTOMER}>\r\nTo: {ADDRESS}\r\nCc: {CUSTOMER}\r\nSubject: Roll-ups\r\nMessage-ID: <roll-ups@kunde.example>\r\n\
         Date: Mon, 11 Jan 2027 10:00:00 +0100\r\n\r\nBitte ein Angebot: 2 Roll-ups.\r\n"
    );
    servers.postfix.deliver(CUSTOMER, &[ADDRESS, CUSTOMER], request.as_bytes()).await;
    servers.postfix.settled().await; // it comes first
    // Another one, which is no part of it.
    let other = b"From: x@y.example\r\nSubject: Lunch\r\nMessage-ID: <lunch@y.example>\r\n\r\nAt noon?\r\n";
    servers.postfix.deliver("x@y.example", &[CUSTOMER], other).await;
    servers.postfix.settled().await;
    office.poll().await;
    platform.no_jobs_left().await;
    servers.postfix.settled().await;

    let threads = servers.dovecot.session(CUSTOMER, &["THREAD REFERENCES UTF-8 ALL", "FETCH 3 (ENVELOPE)"]).await;
    assert!(threads[0].contains("(1 3)") && threads[0].contains("(2)"), "{threads:#?}");
    assert!(threads[1].contains("\"<roll-ups@kunde.example>\""), "its In-Reply-To: {threads:#?}");
    let attached = servers.dovecot.session(CUSTOMER, &["FETCH 3 (BODYSTRUCTURE)"]).await;
    assert!(attached[0].contains("\"application\" \"pdf\""), "{attached:#?}");
    platform.finish().await;
}

/// Polls again and again, without waiting for the next attempt's time, until the mailbox is paused; returns why.
async fn paused(office: &Office, kind: &str) -> String {
    eventually("the mailbox to be paused", || async {
        let account = office.api.get(&format!("/v1/accounts/{}", office.account_id)).await.ok();
        if account["state"] == "paused" {
            return Some(account["pause_reason"].as_str().unwrap_or_default().to_owned());
        }
        for job in office.api.all(&format!("/v1/jobs?kind={kind}&state=retryable")).await {
            let _ = office.api.post(&format!("/v1/jobs/{}/retry", job["id"].as_str().unwrap()), &json!({})).await;
        }
        None
    })
    .await
}

async fn submit_poll(office: &Office) {
    let body = json!({ "kind": "poll_mailbox", "payload": { "account_id": office.account_id } });
    // Refused if the scheduler was first: that run will do.
    let status = office.api.post("/v1/jobs", &body).await.status;
    assert!(matches!(status, 202 | 409), "{status}");
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_pauses_the_mailbox_before_the_password_is_shown() {
    for security in ["tls", "starttls"] {
        let servers = Servers::start().await;
        let platform = Platform::start().await;
        let office = servers.office(&platform, servers.account(security)).await;
        submit_poll(&office).await;
        let reason = paused(&office, "poll_mailbox").await;
        assert!(reason.contains("no trustworthy connection to the IMAP server"), "{reason}");
        assert!(reason.contains("UnknownIssuer"), "{reason}");
        assert!(!servers.dovecot.log().contains(&format!("Login: user=<{ADDRESS}>")), "{}", servers.dovecot.log());
        platform.finish().await;
    }
}

#[tokio::test]
async fn an_smtp_server_that_is_not_who_it_says_gets_no_mail_until_it_is_mended() {
    let servers = Servers::start().await;
    let platform = servers.platform().start().await;
    let office = servers.office(&platform, servers.account("tls")).await;
    let account = format!("/v1/accounts/{}", office.account_id);
    let wrong_name = servers.authority.certificate_for("mail.elsewhere.example");
    let impostor = Postfix::start(&folder(&servers, "impostor"), &servers.dovecot, &wrong_name).await;
    let to = |port: u16, security: &str| json!({ "smtp_port": port, "smtp_security": security, "password": MAILBOX_PASSWORD });
    let right = to(servers.postfix.tls_port(), "tls");

    let (mail, expected) = banners();
    servers.arrives(&mail).await;
    servers.postfix.settled().await;
    let wrong = [
        (to(impostor.tls_port(), "tls"), "not valid for name"),
        (to(impostor.starttls_port(), "starttls"), "not valid for name"),
        // Never a downgrade: this port offers no TLS.
        (to(impostor.plain_port(), "starttls"), "STARTTLS"),
    ];
    for (number, (settings, expected)) in wrong.into_iter().enumerate() {
        office.api.patch(&account, &settings).await.ok();
        if number == 0 {
            office.poll().await;
        } else {
            office.api.post(&format!("{account}/resume"), &json!({})).await.ok();
            hurry_snoozed(&office).await;
        }
        let reason = paused(&office, "send_email").await;
        assert!(reason.contains("no trustworthy connection to the SMTP server"), "{reason}");
        assert!(reason.contains(expected), "{reason}");
    }
    assert!(!impostor.log().contains("sasl_"), "the impostor was shown a password: {}", impostor.log());
    assert_eq!(impostor.outside().await.len(), 0);

    office.api.patch(&account, &right).await.ok();
    office.api.post(&format!("{account}/resume"), &json!({})).await.ok();
    hurry_snoozed(&office).await;
    let replies = servers.outside(1).await;
    check(&replies[0], &mail, &expected);
    platform.no_jobs_left().await;
    assert_eq!(servers.postfix.outside().await.len(), 1);
    platform.finish().await;
}

/// A message of a paused mailbox looks again after some minutes: let it look now.
async fn hurry_snoozed(office: &Office) {
    for job in office.api.all("/v1/jobs?kind=send_email&state=scheduled").await {
        let _ = office.api.post(&format!("/v1/jobs/{}/retry", job["id"].as_str().unwrap()), &json!({})).await;
    }
}

fn folder(servers: &Servers, name: &str) -> std::path::PathBuf {
    let folder = servers.folder.path().join(name);
    std::fs::create_dir(&folder).unwrap();
    folder
}

#[tokio::test]
async fn a_wrong_password_pauses_the_mailbox_and_loses_nothing() {
    let servers = Servers::start().await;
    let platform = servers.platform().start().await;
    let mut settings = servers.account("starttls");
    settings["password"] = json!("not this one");
    let office = servers.office(&platform, settings).await;
    let account = format!("/v1/accounts/{}", office.account_id);
    let (mail, expected) = banners();
    servers.arrives(&mail).await;
    servers.postfix.settled().await;
    submit_poll(&office).await;
    let reason = paused(&office, "poll_mailbox").await;
    assert!(reason.contains("the IMAP server refused the login"), "{reason}");

    // The right password, and a user whom submission does not know.
    office
        .api
        .patch(&account, &json!({ "password": MAILBOX_PASSWORD, "smtp_username": "somebody@else.example" }))
        .await
        .ok();
    office.api.post(&format!("{account}/resume"), &json!({})).await.ok();
    assert_eq!(read(&office).await, (1, 0));
    let reason = paused(&office, "send_email").await;
    assert!(reason.contains("the SMTP server refused the login"), "{reason}");
    office.api.patch(&account, &json!({ "smtp_username": ADDRESS })).await.ok();
    office.api.post(&format!("{account}/resume"), &json!({})).await.ok();
    hurry_snoozed(&office).await;
    check(&servers.outside(1).await[0], &mail, &expected);
    platform.no_jobs_left().await;
    assert_eq!(servers.postfix.outside().await.len(), 1);
    platform.finish().await;
}
