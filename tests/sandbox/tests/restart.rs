//! What a restart finds.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::path::Path;

use postrider_sandbox::{Options, Sandbox};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SHOP: &str = "shop@example.test";

async fn start(data: &Path) -> Sandbox {
    Sandbox::start(Options { data: Some(data.to_owned()), ..Options::default() }).await.unwrap()
}

async fn submit(sandbox: &Sandbox, subject: &str) {
    let mut smtp = TcpStream::connect(sandbox.addresses.smtp).await.unwrap();
    let text = format!(
        "EHLO me\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<{SHOP}>\r\nDATA\r\nSubject: {subject}\r\n\r\nhi\r\n.\r\nQUIT\r\n"
    );
    smtp.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    smtp.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("250 2.0.0 accepted"), "{answer}");
}

#[tokio::test]
async fn mail_and_ledger_survive_and_a_torn_record_is_cut_off() {
    let data = tempfile::tempdir().unwrap();
    let sandbox = start(data.path()).await;
    let client = sandbox.client();
    client.create_mailbox(SHOP, "geheim").await.unwrap();
    client.deliver(SHOP, "Subject: delivered\n\nhi\n", Some("sample-1")).await.unwrap();
    submit(&sandbox, "submitted").await;
    let before = (client.accepted().await.unwrap(), client.messages(SHOP).await.unwrap());
    assert_eq!((before.0.len(), before.1.len()), (1, 2));
    sandbox.stop().await;

    // A crash in the middle of a write.
    let ledger = data.path().join("accepted.journal");
    let mut bytes = std::fs::read(&ledger).unwrap();
    let whole = bytes.len();
    bytes.extend_from_slice(b"{\"bytes\":500,\"head\":{\"seq\":2}}\nSubject: torn");
    std::fs::write(&ledger, bytes).unwrap();

    let sandbox = start(data.path()).await;
    assert_eq!(std::fs::metadata(&ledger).unwrap().len(), whole as u64);
    let client = sandbox.client();
    assert_eq!((client.accepted().await.unwrap(), client.messages(SHOP).await.unwrap()), before);
    assert!(!client.deliver(SHOP, "Subject: delivered\n\nhi\n", Some("sample-1")).await.unwrap().created);
    submit(&sandbox, "next").await;
    assert_eq!(client.accepted().await.unwrap().last().unwrap().seq, 2);
}

#[tokio::test]
async fn what_was_accepted_but_not_delivered_arrives_after_the_restart() {
    let data = tempfile::tempdir().unwrap();
    let sandbox = start(data.path()).await;
    sandbox.client().create_mailbox(SHOP, "geheim").await.unwrap();
    let mailboxes = std::fs::read(data.path().join("mailboxes.journal")).unwrap();
    submit(&sandbox, "submitted").await;
    sandbox.stop().await;
    // As after a crash between the ledger's sync and the delivery.
    std::fs::write(data.path().join("mailboxes.journal"), mailboxes).unwrap();
    let sandbox = start(data.path()).await;
    assert_eq!(sandbox.client().messages(SHOP).await.unwrap().len(), 1);
}
