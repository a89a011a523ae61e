//! The SMTP server, driven by the client that the product uses.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::time::Duration;

use lettre::message::{Mailbox, header};
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use postrider_sandbox::faults::{Fault, FaultKind, Stage, Target};
use postrider_sandbox::{Client, Sandbox};

const SHOP: &str = "shop@example.test";
const BUYER: &str = "buyer@example.org";

async fn sandbox() -> (Sandbox, Client) {
    let sandbox = Sandbox::spawn().await.unwrap();
    let client = sandbox.client();
    client.create_mailbox(SHOP, "geheim").await.unwrap();
    client.create_mailbox(BUYER, "auch").await.unwrap();
    (sandbox, client)
}

fn transport(sandbox: &Sandbox, password: &str) -> AsyncSmtpTransport<Tokio1Executor> {
    let address = sandbox.addresses.smtp;
    AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(address.ip().to_string())
        .port(address.port())
        .credentials(Credentials::new(SHOP.into(), password.into()))
        .timeout(Some(Duration::from_secs(20)))
        .build()
}

fn reply(subject: &str) -> Message {
    Message::builder()
        .from(SHOP.parse::<Mailbox>().unwrap())
        .to(BUYER.parse::<Mailbox>().unwrap())
        .subject(subject)
        .message_id(Some("<reply-1@shop.example.test>".into()))
        .in_reply_to("<a1@example.org>".into())
        .references("<a0@example.org> <a1@example.org>".into())
        .header(header::ContentType::TEXT_PLAIN)
        .body(String::from("Guten Tag,\n.\n..ein Punkt am Anfang\nGrüße"))
        .unwrap()
}

#[tokio::test]
async fn records_and_delivers_what_it_accepts() {
    let (sandbox, client) = sandbox().await;
    let waiting = tokio::join!(client.wait_accepted(1, Duration::from_secs(20)), async {
        transport(&sandbox, "geheim").send(reply("Ihr Angebot – größer")).await.unwrap();
    });
    let accepted = waiting.0.unwrap();
    let [mail] = &accepted[..] else { panic!("{accepted:?}") };
    assert_eq!((mail.seq, mail.account.as_deref(), mail.mail_from.as_str()), (1, Some(SHOP), SHOP));
    assert_eq!(mail.rcpt_to, [BUYER]);
    assert_eq!(mail.subject.as_deref(), Some("Ihr Angebot – größer"));
    assert_eq!(mail.message_id.as_deref(), Some("reply-1@shop.example.test"));
    assert_eq!(mail.in_reply_to.as_deref(), Some("a1@example.org"));
    assert_eq!(mail.references, ["a0@example.org", "a1@example.org"]);
    assert_eq!(mail.accepted_at.timestamp_micros(), mail.accepted_at_us);
    let raw = client.accepted_raw(1).await.unwrap();
    assert_eq!(raw.len(), mail.bytes);
    assert_eq!(client.message(BUYER, 1).await.unwrap(), raw);
}

#[tokio::test]
async fn refuses_wrong_passwords_and_relaying() {
    let (sandbox, client) = sandbox().await;
    let error = transport(&sandbox, "falsch").send(reply("x")).await.unwrap_err();
    assert!(error.is_permanent(), "{error}");
    let address = sandbox.addresses.smtp;
    let anonymous =
        AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(address.ip().to_string()).port(address.port()).build();
    anonymous.send(reply("to a local mailbox")).await.unwrap();
    let mut elsewhere = reply("elsewhere");
    elsewhere.headers_mut().remove_raw("To");
    let envelope =
        lettre::address::Envelope::new(Some(SHOP.parse().unwrap()), vec!["x@far.example".parse().unwrap()]).unwrap();
    assert!(anonymous.send_raw(&envelope, &elsewhere.formatted()).await.unwrap_err().is_permanent());
    assert_eq!(client.accepted().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_reset_after_accept_is_recorded_and_looks_like_a_broken_connection() {
    let (sandbox, client) = sandbox().await;
    let fault = Fault::new(Target::Smtp, FaultKind::ResetAfterAccept).times(1).matching("lost answer");
    client.order(&fault).await.unwrap();
    let smtp = transport(&sandbox, "geheim");
    smtp.send(reply("another")).await.unwrap();
    let error = smtp.send(reply("the Lost Answer")).await.unwrap_err();
    assert!(!error.is_permanent() && !error.is_transient(), "no SMTP answer: {error:?}");
    smtp.send(reply("lost answer, but the fault is spent")).await.unwrap();
    assert_eq!(client.accepted().await.unwrap().len(), 3);
    assert_eq!(client.faults().await.unwrap()[0].struck, 1);
}

#[tokio::test]
async fn rejections_come_at_their_stage_and_record_nothing() {
    let (sandbox, client) = sandbox().await;
    for stage in [Stage::Connect, Stage::Auth, Stage::Mail, Stage::Rcpt, Stage::Data, Stage::End] {
        client.order(&Fault::new(Target::Smtp, FaultKind::Reject4xx).at(stage).times(1)).await.unwrap();
        let error = transport(&sandbox, "geheim").send(reply("x")).await.unwrap_err();
        assert!(error.is_transient(), "{stage:?}: {error}");
        client.order(&Fault::new(Target::Smtp, FaultKind::Reject5xx).at(stage).times(1)).await.unwrap();
        let error = transport(&sandbox, "geheim").send(reply("x")).await.unwrap_err();
        assert!(error.is_permanent(), "{stage:?}: {error}");
        client.order(&Fault::new(Target::Smtp, FaultKind::Close).at(stage).times(1)).await.unwrap();
        assert!(transport(&sandbox, "geheim").send(reply("x")).await.is_err(), "{stage:?}");
    }
    client.order(&Fault::new(Target::Smtp, FaultKind::DailyLimit).times(1)).await.unwrap();
    let error = transport(&sandbox, "geheim").send(reply("x")).await.unwrap_err();
    assert!(error.to_string().contains("5.4.5"), "{error}");
    assert!(client.accepted().await.unwrap().is_empty());
    let struck: u64 = client.faults().await.unwrap().iter().map(|fault| fault.struck).sum();
    assert_eq!(struck, 19);
}
