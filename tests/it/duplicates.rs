//! The same request under another Message-ID is answered once.

use postrider_tests::platform::{Office, Reply};
use postrider_tests::{DatabaseKind, Platform};
use serde_json::{Value, json};

const NEVER: u32 = 86_400;
const JO: &str = "Jo <jo@kunden.example>";
const ASKS: &str = "Bitte ein Angebot: 2 Roll-ups.";

async fn deliver(platform: &Platform, address: &str, message_id: &str, text: &str) {
    let raw = format!(
        "From: {JO}\r\nTo: {address}\r\nSubject: Anfrage\r\nMessage-ID: <{message_id}>\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
    );
    platform.sandbox().deliver(address, raw.into_bytes()).await;
}

/// How often the model was asked.
async fn asked(platform: &Platform) -> usize {
    platform.sandbox().client().llm().await.unwrap().len()
}

/// The mail that was read first, and those that repeat it, each named by it.
fn one_and_its_repeats(mails: &[Value]) {
    let (repeats, first): (Vec<&Value>, Vec<&Value>) = mails.iter().partition(|mail| mail["intent"] == "duplicate");
    assert_eq!(first.len(), 1, "{mails:#?}");
    for repeat in repeats {
        assert_eq!((&repeat["state"], &repeat["duplicate_of"]), (&json!("ignored"), &first[0]["id"]), "{repeat:#}");
        assert_eq!(repeat["quote_id"], first[0]["quote_id"]);
    }
}

on_both_databases!(a_request_that_was_sent_twice_is_answered_once);

async fn a_request_that_was_sent_twice_is_answered_once(database: DatabaseKind) {
    let platform = Platform::with(database).start().await;
    let office = platform.workshop(NEVER).await;
    let second =
        platform.mailbox(&office.api, "info@lindner-schilder.example", json!({ "poll_interval_seconds": NEVER })).await;
    let second = Office { account_id: second, address: "info@lindner-schilder.example".to_owned(), ..office.clone() };
    deliver(&platform, &office.address, "one@kunden.example", ASKS).await;
    office.poll().await;
    office.sent_revision(1).await;
    let before = asked(&platform).await;

    // Sent again, with other line breaks; and a copy to another mailbox of the same business.
    deliver(&platform, &office.address, "two@kunden.example", "Bitte ein Angebot:\r\n  2 Roll-ups.").await;
    deliver(&platform, &second.address, "one@kunden.example", ASKS).await;
    office.poll().await;
    second.poll().await;
    platform.no_jobs_left().await;
    let mails = office.mails().await;
    assert_eq!(mails.len(), 3);
    one_and_its_repeats(&mails);
    assert_eq!(asked(&platform).await, before, "nobody has to be asked about that");

    // Another wish of the same customer is another request.
    deliver(&platform, &office.address, "three@kunden.example", "Bitte ein Angebot: 3 Roll-ups.").await;
    office.poll().await;
    assert_eq!(office.settled_quotes(2).await.len(), 2);
    assert_eq!(platform.sandbox().accepted().await.len(), 2);
    platform.finish().await;
}

on_both_databases!(copies_that_are_read_at_the_same_moment_make_one_quote);

async fn copies_that_are_read_at_the_same_moment_make_one_quote(database: DatabaseKind) {
    let platform = Platform::with(database).workers(2).start().await;
    let office = platform.workshop(NEVER).await;
    // All are with the model before any is answered.
    let slow =
        json!({ "target": "llm", "kind": "latency", "stage": "request", "match": "Anfrage", "times": 4, "ms": 5_000 });
    platform.sandbox().fault(slow).await;
    for number in 1..=4 {
        deliver(&platform, &office.address, &format!("copy-{number}@kunden.example"), ASKS).await;
    }
    office.poll().await;
    office.sent_revision(1).await;
    platform.no_jobs_left().await;
    assert!(asked(&platform).await > 1, "they were read at the same moment");
    one_and_its_repeats(&office.mails().await);
    assert_eq!(platform.sandbox().accepted().await.len(), 1);
    platform.finish().await;
}

#[tokio::test]
async fn the_same_after_an_agreement_or_a_change_is_for_a_person() {
    let platform = Platform::start().await;
    let office = platform.workshop(NEVER).await;
    deliver(&platform, &office.address, "one@kunden.example", ASKS).await;
    office.poll().await;
    let quote = office.sent_revision(1).await;
    let ours = platform.sandbox().accepted_at_least(1).await.remove(0).message_id.unwrap();
    for (name, text) in [("five", "Bitte doch 5."), ("seven", "Bitte doch 7."), ("again", "Bitte  doch 5.")] {
        let message_id = format!("{name}@kunden.example");
        let reply = Reply { from: JO, message_id: &message_id, thread: &[&ours], date: None, text };
        platform.deliver_reply(&office, reply).await;
        office.poll().await;
        office.read_mail(&message_id).await;
        platform.no_jobs_left().await;
    }
    let again = office.read_mail("again@kunden.example").await;
    assert_eq!(again["state"], "needs_review", "{again:#}");
    assert!(again["reason"].as_str().unwrap().contains("changed since"), "{again:#}");

    let path = format!("/v1/quotes/{}/accept", quote["id"].as_str().unwrap());
    office.api.post(&path, &json!({})).await.ok();
    deliver(&platform, &office.address, "more@kunden.example", ASKS).await;
    office.poll().await;
    office.read_mail("more@kunden.example").await;
    let quotes = office.quotes().await;
    assert_eq!((quotes.len(), &quotes[1]["state"]), (2, &json!("needs_review")), "{quotes:#?}");
    assert!(quotes[1]["reason"].as_str().unwrap().contains("accepted"), "{quotes:#?}");
    platform.finish().await;
}
