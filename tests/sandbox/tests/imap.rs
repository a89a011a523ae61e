//! The IMAP server, driven by the client that the product uses.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::time::Duration;

use async_imap::Session;
use async_imap::extensions::idle::IdleResponse;
use futures::TryStreamExt;
use postrider_sandbox::{Client, Sandbox};
use tokio::net::TcpStream;

const ADDRESS: &str = "shop@example.test";
const MAIL: &str = "From: Anna Müller <anna@example.org>\r\nTo: shop@example.test\r\nSubject: Angebot\r\nMessage-ID: <a1@example.org>\r\n\
    Date: Tue, 3 Nov 2026 10:00:00 +0100\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nBitte ein Angebot.\r\n";

async fn sandbox() -> (Sandbox, Client) {
    let sandbox = Sandbox::spawn().await.unwrap();
    let client = sandbox.client();
    client.create_mailbox(ADDRESS, "geheim").await.unwrap();
    (sandbox, client)
}

async fn log_in(sandbox: &Sandbox) -> Session<TcpStream> {
    let stream = TcpStream::connect(sandbox.addresses.imap).await.unwrap();
    let mut client = async_imap::Client::new(stream);
    client.read_response().await.unwrap().unwrap();
    client.login("Shop@Example.test", "geheim").await.map_err(|(error, _)| error).unwrap()
}

#[tokio::test]
async fn fetches_what_was_delivered() {
    let (sandbox, client) = sandbox().await;
    let first = client.deliver(ADDRESS, MAIL, Some("k1")).await.unwrap();
    let again = client.deliver(ADDRESS, MAIL, Some("k1")).await.unwrap();
    assert!(first.created && !again.created && first.uid == again.uid);

    let mut session = log_in(&sandbox).await;
    let inbox = session.select("INBOX").await.unwrap();
    assert_eq!((inbox.exists, inbox.uid_validity, inbox.uid_next), (1, Some(first.uid_validity), Some(2)));
    let found = session.uid_search("UID 1:* UNSEEN SINCE 1-Jan-2026").await.unwrap();
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [1]);

    let query = "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[])";
    let fetched: Vec<_> = session.uid_fetch("1:*", query).await.unwrap().try_collect().await.unwrap();
    let [mail] = &fetched[..] else { panic!("{} mails", fetched.len()) };
    assert_eq!(mail.body().unwrap(), MAIL.as_bytes());
    assert_eq!((mail.uid, mail.size), (Some(1), u32::try_from(MAIL.len()).ok()));
    assert!(mail.internal_date().is_some() && mail.bodystructure().is_some());
    let envelope = mail.envelope().unwrap();
    assert_eq!(envelope.subject.as_deref(), Some(&b"Angebot"[..]));
    assert_eq!(envelope.message_id.as_deref(), Some(&b"<a1@example.org>"[..]));
    let from = &envelope.from.as_ref().unwrap()[0];
    assert_eq!(from.mailbox.as_deref(), Some(&b"anna"[..]));
    session.logout().await.unwrap();
}

#[tokio::test]
async fn keeps_flags_and_removes_what_is_deleted() {
    let (sandbox, client) = sandbox().await;
    for _ in 0..3 {
        client.deliver(ADDRESS, MAIL, None).await.unwrap();
    }
    let mut session = log_in(&sandbox).await;
    session.select("INBOX").await.unwrap();
    let _: Vec<_> = session.uid_fetch("1", "BODY[]").await.unwrap().try_collect().await.unwrap();
    assert_eq!(session.uid_search("SEEN").await.unwrap().len(), 1);
    let stored: Vec<_> =
        session.uid_store("2", "+FLAGS (\\Deleted)").await.unwrap().try_collect::<Vec<_>>().await.unwrap();
    assert_eq!(stored.len(), 1);
    let expunged: Vec<u32> = session.expunge().await.unwrap().try_collect().await.unwrap();
    assert_eq!(expunged, [2]);
    session.append("Sent", Some("(\\Seen)"), None, MAIL).await.unwrap();
    let sent = session.status("Sent", "(MESSAGES UIDNEXT UNSEEN)").await.unwrap();
    assert_eq!((sent.exists, sent.uid_next, sent.unseen), (1, Some(2), Some(0)));
    let left: Vec<u32> = client.messages(ADDRESS).await.unwrap().iter().map(|mail| mail.uid).collect();
    assert_eq!(left, [1, 3]);
}

#[tokio::test]
async fn idle_hears_of_new_mail() {
    let (sandbox, client) = sandbox().await;
    let mut session = log_in(&sandbox).await;
    session.select("INBOX").await.unwrap();
    let mut idle = session.idle();
    idle.init().await.unwrap();
    let (news, _stop) = idle.wait_with_timeout(Duration::from_secs(20));
    let deliver = async {
        client.deliver(ADDRESS, MAIL, None).await.unwrap();
    };
    let (news, ()) = tokio::join!(news, deliver);
    assert!(matches!(news.unwrap(), IdleResponse::NewData(_)));
    let mut session = idle.done().await.unwrap();
    assert_eq!(session.uid_search("ALL").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_folder_are_refused() {
    let (sandbox, _client) = sandbox().await;
    let stream = TcpStream::connect(sandbox.addresses.imap).await.unwrap();
    let mut client = async_imap::Client::new(stream);
    client.read_response().await.unwrap().unwrap();
    assert!(client.login(ADDRESS, "falsch").await.is_err());
    let mut session = log_in(&sandbox).await;
    assert!(session.select("Archiv").await.is_err());
    session.create("Archiv").await.unwrap();
    session.select("Archiv").await.unwrap();
}
