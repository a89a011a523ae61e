//! Raw sockets: what well-behaved clients never send, and what faults look like on the wire.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::io::ErrorKind;
use std::net::SocketAddr;

use postrider_sandbox::faults::{Fault, FaultKind, Stage, Target};
use postrider_sandbox::{Client, Options, Sandbox};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

const SHOP: &str = "shop@example.test";

struct Raw(BufReader<TcpStream>);

impl Raw {
    async fn connect(address: SocketAddr) -> Self {
        let mut raw = Self(BufReader::new(TcpStream::connect(address).await.unwrap()));
        raw.line().await;
        raw
    }

    async fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).await.unwrap();
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        line
    }

    /// Lines up to the first that starts so.
    async fn until(&mut self, start: &str) -> String {
        let mut all = String::new();
        loop {
            let line = self.line().await;
            assert!(!line.is_empty(), "closed before {start}: {all}");
            all.push_str(&line);
            if line.starts_with(start) {
                return all;
            }
        }
    }
}

async fn sandbox() -> (Sandbox, Client) {
    let sandbox = Sandbox::spawn().await.unwrap();
    let client = sandbox.client();
    client.create_mailbox(SHOP, "geheim").await.unwrap();
    (sandbox, client)
}

#[tokio::test]
async fn reset_after_accept_is_a_tcp_reset() {
    let (sandbox, client) = sandbox().await;
    client.order(&Fault::new(Target::Smtp, FaultKind::ResetAfterAccept).times(1)).await.unwrap();
    let mut raw = Raw::connect(sandbox.addresses.smtp).await;
    raw.send("EHLO me\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<shop@example.test>\r\nDATA\r\n").await;
    raw.until("354").await;
    raw.send("Subject: x\r\n\r\nhello\r\n.\r\n").await;
    let error = raw.0.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(client.accepted().await.unwrap().len(), 1);
    assert_eq!(client.messages(SHOP).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_bare_line_feed_does_not_end_a_message() {
    let (sandbox, client) = sandbox().await;
    let mut raw = Raw::connect(sandbox.addresses.smtp).await;
    raw.send("EHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<shop@example.test>\r\nDATA\r\n").await;
    raw.until("354").await;
    raw.send("Subject: x\r\n\r\none\n.\nMAIL FROM:<evil@b.example>\n.\r\n..two\r\n.\r\n").await;
    raw.until("250 2.0.0").await;
    let stored = client.accepted_raw(1).await.unwrap();
    assert!(stored.ends_with(b"one\n.\nMAIL FROM:<evil@b.example>\n.\r\n.two\r\n"), "{stored:?}");
}

#[tokio::test]
async fn oversized_input_is_refused_and_the_server_lives_on() {
    let (sandbox, _client) = sandbox().await;
    let mut raw = Raw::connect(sandbox.addresses.smtp).await;
    raw.send(&"x".repeat(100_000)).await;
    assert!(raw.line().await.starts_with("500"));
    let mut raw = Raw::connect(sandbox.addresses.smtp).await;
    raw.send("EHLO me\r\nMAIL FROM:<a@b.example> SIZE=99999999999999999999999\r\n").await;
    raw.until("552").await;
    let mut raw = Raw::connect(sandbox.addresses.imap).await;
    raw.send("a LOGIN {9999999999}\r\n").await;
    assert!(raw.line().await.contains("TOOBIG"));
    raw.send(&format!("b {}\r\n", "(".repeat(60_000))).await;
    assert!(raw.line().await.starts_with("b BAD"));
    raw.send("c LOGIN {17}\r\n").await;
    assert!(raw.line().await.starts_with('+'));
    raw.send("shop@example.test {6+}\r\ngeheim\r\n").await;
    assert!(raw.line().await.starts_with("c OK"));
    raw.send("d SELECT inbox\r\n").await;
    raw.until("d OK").await;
    raw.send(&format!("e SEARCH {}ALL\r\n", "NOT ".repeat(15_000))).await;
    assert!(raw.line().await.starts_with("e BAD"));
    raw.send("f APPEND Sent {68000000+}\r\n").await;
    assert!(raw.line().await.starts_with("* BYE"));
}

#[tokio::test]
async fn a_client_that_vanishes_leaves_nothing_behind() {
    let (sandbox, client) = sandbox().await;
    let mut raw = Raw::connect(sandbox.addresses.smtp).await;
    raw.send("EHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<shop@example.test>\r\nDATA\r\n").await;
    raw.until("354").await;
    raw.send("Subject: half a mess").await;
    raw.0.get_ref().set_zero_linger().unwrap();
    drop(raw);
    let mut raw = Raw::connect(sandbox.addresses.smtp).await;
    raw.send("NOOP\r\n").await;
    assert!(raw.line().await.starts_with("250"));
    assert!(client.accepted().await.unwrap().is_empty());
}

#[tokio::test]
async fn imap_lies_as_told() {
    let (sandbox, client) = sandbox().await;
    let first = client.deliver(SHOP, "Subject: one\n\none\n", None).await.unwrap();
    let order = async |kind: FaultKind| client.order(&Fault::new(Target::Imap, kind).times(1)).await.unwrap();
    let mut raw = Raw::connect(sandbox.addresses.imap).await;
    order(FaultKind::LoginNo).await;
    raw.send("a LOGIN shop@example.test geheim\r\n").await;
    assert!(raw.line().await.starts_with("a NO"));
    raw.send("a LOGIN shop@example.test geheim\r\n").await;
    assert!(raw.line().await.starts_with("a OK"));

    let truth = format!("UIDVALIDITY {}]", first.uid_validity);
    order(FaultKind::WrongUidvalidity).await;
    raw.send("b SELECT INBOX\r\n").await;
    assert!(!raw.until("b OK").await.contains(&truth));
    raw.send("b SELECT INBOX\r\n").await;
    assert!(raw.until("b OK").await.contains(&truth));
    order(FaultKind::MissingFields).await;
    raw.send("c UID FETCH 1 (FLAGS BODY.PEEK[])\r\n").await;
    assert!(raw.until("c OK").await.contains("FETCH (UID 1)"));
    order(FaultKind::UidReset).await;
    raw.send("d SELECT INBOX\r\n").await;
    assert!(raw.until("d OK").await.contains(&format!("UIDVALIDITY {}]", first.uid_validity + 1)));
    client.order(&Fault::new(Target::Imap, FaultKind::Close).at(Stage::Search).times(1)).await.unwrap();
    raw.send("e UID SEARCH ALL\r\n").await;
    assert_eq!(raw.0.read_u8().await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn a_silent_client_is_sent_away() {
    let options = Options { idle_seconds: 1, ..Options::default() };
    let sandbox = Sandbox::start(options).await.unwrap();
    let mut smtp = Raw::connect(sandbox.addresses.smtp).await;
    let mut imap = Raw::connect(sandbox.addresses.imap).await;
    assert!(smtp.line().await.starts_with("421 4.4.2"));
    assert!(imap.line().await.starts_with("* BYE"));
}

#[tokio::test]
async fn an_impossible_fault_is_refused() {
    let (_sandbox, client) = sandbox().await;
    let refused = client.order(&Fault::new(Target::Llm, FaultKind::DailyLimit)).await.unwrap_err();
    assert!(refused.to_string().contains("422"), "{refused}");
}
