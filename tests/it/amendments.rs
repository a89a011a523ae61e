//! Customers who change their minds: a follow-up becomes the next revision of the quote, once, in order, and only theirs.

use postrider_tests::platform::Reply;
use postrider_tests::{DatabaseKind, Platform, eventually};
use serde_json::{Value, json};

const NEVER: u32 = 86_400;
const JO: &str = "jo@kunden.example";
/// The Message-ID of what Jo asks first: two roll-ups.
const FIRST: &str = "jo@kunden.example";

fn from_jo<'a>(message_id: &'a str, thread: &'a [&'a str], text: &'a str) -> Reply<'a> {
    Reply { from: JO, message_id, thread, date: None, text }
}

/// SKU and quantity of each line.
fn lines(quote: &Value) -> Vec<(&str, &str)> {
    let lines = quote["lines"].as_array().expect("its lines").iter();
    lines
        .map(|line| (line["sku"].as_str().unwrap_or_default(), line["quantity"].as_str().unwrap_or_default()))
        .collect()
}

on_both_databases!(a_follow_up_amends_the_quote_and_is_answered_in_the_thread);

async fn a_follow_up_amends_the_quote_and_is_answered_in_the_thread(database: DatabaseKind) {
    let platform = Platform::with(database).start().await;
    let (office, first) = platform.quoted("jo").await;

    let thread = [FIRST, first.as_str()];
    platform.deliver_reply(&office, from_jo("more@kunden.example", &thread, "Bitte doch 5 statt 2.")).await;
    office.poll().await;
    let quote = office.sent_revision(2).await;
    assert_eq!(lines(&quote), [("ROLLUP", "5")]);
    let mail = office.read_mail("more@kunden.example").await;
    assert_eq!((&mail["state"], &mail["intent"]), (&json!("extracted"), &json!("amends")), "{mail:#}");
    assert_eq!((&mail["quote_id"], &mail["quote_revision"]), (&quote["id"], &json!(2)));
    let second = platform.sandbox().accepted_at_least(2).await.remove(1);
    assert_eq!(second.in_reply_to.as_deref(), Some("more@kunden.example"));
    assert_eq!(second.references, [FIRST, &first, "more@kunden.example"]);
    assert_eq!(second.subject.as_deref(), Some("Re: Anfrage"));
    let second = second.message_id.unwrap();

    let thread = [FIRST, &first, "more@kunden.example", &second];
    let text = "Bitte noch 200 Visitenkarten, 350 g matt, dazu.";
    platform.deliver_reply(&office, from_jo("cards@kunden.example", &thread, text)).await;
    office.poll().await;
    let quote = office.sent_revision(3).await;
    assert_eq!(lines(&quote), [("ROLLUP", "5"), ("CARD", "200")]);
    let third = platform.sandbox().accepted_at_least(3).await.remove(2).message_id.unwrap();
    platform.deliver_reply(&office, from_jo("less@kunden.example", &[&third], "Bitte doch ohne Roll-ups.")).await;
    office.poll().await;
    assert_eq!(lines(&office.sent_revision(4).await), [("CARD", "200")]);

    platform.no_jobs_left().await;
    assert_eq!(platform.sandbox().accepted().await.len(), 4);
    let events = office.api.get(&format!("/v1/quotes/{}/events", quote["id"].as_str().unwrap())).await.ok();
    let by_jo = events["items"].as_array().unwrap().iter().filter(|event| event["actor"] == "customer").count();
    assert_eq!(by_jo, 3, "{events:#}");
    platform.finish().await;
}

on_both_databases!(follow_ups_that_come_together_are_taken_in_order);

async fn follow_ups_that_come_together_are_taken_in_order(database: DatabaseKind) {
    let platform = Platform::with(database).workers(2).start().await;
    let (office, first) = platform.quoted("jo").await;
    // The first one takes a while to read.
    let slow =
        json!({ "target": "llm", "kind": "latency", "stage": "request", "match": "Doch 5", "times": 1, "ms": 1_500 });
    platform.sandbox().fault(slow).await;
    platform.deliver_reply(&office, from_jo("five@kunden.example", &[&first], "Doch 5 statt 2.")).await;
    platform.deliver_reply(&office, from_jo("seven@kunden.example", &[&first], "Nein, bitte 7.")).await;
    office.poll().await;
    let quote = office.sent_revision(3).await;
    assert_eq!(lines(&quote), [("ROLLUP", "7")]);
    for (name, revision) in [("five@kunden.example", 2), ("seven@kunden.example", 3)] {
        let mail = office.read_mail(name).await;
        assert_eq!((&mail["intent"], &mail["quote_revision"]), (&json!("amends"), &json!(revision)), "{mail:#}");
    }
    platform.finish().await;
}

#[tokio::test]
async fn a_follow_up_that_was_overtaken_on_its_way_goes_to_a_person() {
    let platform = Platform::start().await;
    let (office, first) = platform.quoted("jo").await;
    let thread = [first.as_str()];
    let newer =
        Reply { date: Some("Sat, 21 Nov 2026 10:05:00 +0000"), ..from_jo("newer@kunden.example", &thread, "Bitte 7.") };
    platform.deliver_reply(&office, newer).await;
    office.poll().await;
    office.sent_revision(2).await;
    let older =
        Reply { date: Some("Sat, 21 Nov 2026 10:00:00 +0000"), ..from_jo("older@kunden.example", &thread, "Bitte 5.") };
    platform.deliver_reply(&office, older).await;
    office.poll().await;
    let mail = office.read_mail("older@kunden.example").await;
    assert_eq!(mail["state"], "needs_review", "{mail:#}");
    assert!(mail["reason"].as_str().unwrap().contains("written later"), "{mail:#}");
    assert_eq!(lines(&office.sent_revision(2).await), [("ROLLUP", "7")]);
    platform.finish().await;
}

#[tokio::test]
async fn a_follow_up_waits_for_the_reply_that_is_on_its_way() {
    let platform = Platform::start().await;
    let office = platform.workshop(NEVER).await;
    let slow = json!({ "target": "smtp", "kind": "latency", "stage": "end", "match": JO, "times": 1, "ms": 8_000 });
    platform.sandbox().fault(slow).await;
    platform.deliver_request(&office, "jo").await;
    office.poll().await;
    eventually("the reply to be on its way", || async {
        let quotes = office.quotes().await;
        quotes.first().is_some_and(|quote| quote["state"] == "sending").then_some(())
    })
    .await;
    platform.deliver_reply(&office, from_jo("more@kunden.example", &[FIRST], "Bitte 5 statt 2.")).await;
    office.poll().await;
    assert_eq!(lines(&office.sent_revision(2).await), [("ROLLUP", "5")]);
    let replies = platform.sandbox().accepted_at_least(2).await;
    let answered: Vec<_> = replies.iter().map(|reply| reply.in_reply_to.as_deref().unwrap_or_default()).collect();
    assert_eq!(answered, [FIRST, "more@kunden.example"]);
    platform.finish().await;
}

#[tokio::test]
async fn nobody_but_the_customer_amends_and_nobody_what_is_agreed() {
    let platform = Platform::start().await;
    let (office, first) = platform.quoted("jo").await;
    let thread = [first.as_str()];
    let colleague =
        Reply { from: "ann@kunden.example", ..from_jo("ann-1@kunden.example", &thread, "Bitte 50 statt 2.") };
    platform.deliver_reply(&office, colleague).await;
    office.poll().await;
    let mail = office.read_mail("ann-1@kunden.example").await;
    assert_eq!(mail["state"], "needs_review", "{mail:#}");
    assert!(mail["reason"].as_str().unwrap().contains(JO), "{mail:#}");
    let quote = office.sent_revision(1).await;
    assert_eq!(mail["quote_id"], quote["id"]);
    let path = format!("/v1/quotes/{}", quote["id"].as_str().unwrap());
    let events = office.api.get(&format!("{path}/events")).await.ok();
    let noted = events["items"].as_array().unwrap().last().unwrap().clone();
    assert!(noted["via"].as_str().unwrap().contains(mail["id"].as_str().unwrap()), "{noted:#}");

    office.api.post(&format!("{path}/accept"), &json!({})).await.ok();
    platform.deliver_reply(&office, from_jo("late@kunden.example", &[&first], "Bitte noch 3 Roll-ups.")).await;
    office.poll().await;
    let mail = office.read_mail("late@kunden.example").await;
    assert_eq!((&mail["state"], &mail["intent"]), (&json!("extracted"), &json!("new_request")), "{mail:#}");
    let quotes = office.settled_quotes(1).await;
    assert_eq!(quotes.len(), 2, "what is agreed stays, the rest is a quote of its own");
    assert_eq!((&quotes[0]["state"], lines(&quotes[0])), (&json!("accepted"), vec![("ROLLUP", "2")]));
    assert_eq!((&quotes[1]["state"], lines(&quotes[1])), (&json!("sent"), vec![("ROLLUP", "3")]));
    platform.finish().await;
}

#[tokio::test]
async fn a_follow_up_in_doubt_waits_for_a_person_under_the_next_revision() {
    let platform = Platform::start().await;
    let (office, first) = platform.quoted("jo").await;
    platform.deliver_reply(&office, from_jo("many@kunden.example", &[&first], "Bitte doch 5000 Roll-ups.")).await;
    office.poll().await;
    let mail = office.read_mail("many@kunden.example").await;
    assert_eq!(mail["intent"], "amends", "{mail:#}");
    let quotes = office.quotes().await;
    assert_eq!((&quotes[0]["state"], &quotes[0]["revision"]), (&json!("needs_review"), &json!(2)));
    assert!(quotes[0]["reason"].as_str().unwrap().contains("at most"), "{quotes:#?}");
    assert_eq!(lines(&quotes[0]), [("ROLLUP", "2")], "what the customer has stays until somebody decided");
    assert_eq!(platform.sandbox().accepted().await.len(), 1);
    platform.finish().await;
}

on_both_databases!(a_worker_killed_while_it_amends_makes_one_revision);

async fn a_worker_killed_while_it_amends_makes_one_revision(database: DatabaseKind) {
    let platform = Platform::with(database).start().await;
    let (office, first) = platform.quoted("jo").await;
    let held =
        json!({ "target": "llm", "kind": "latency", "stage": "request", "match": "5 statt", "times": 1, "ms": 20_000 });
    platform.sandbox().fault(held).await;
    platform.deliver_reply(&office, from_jo("more@kunden.example", &[&first], "Bitte 5 statt 2.")).await;
    office.poll().await;
    eventually("the mail to be held", || async {
        (platform.sandbox().struck().await.iter().sum::<u64>() == 1).then_some(())
    })
    .await;
    platform.worker(0).kill();
    platform.worker(0).start();
    platform.worker(0).ready().await;
    assert_eq!(lines(&office.sent_revision(2).await), [("ROLLUP", "5")]);
    platform.no_jobs_left().await;
    assert_eq!(platform.sandbox().accepted().await.len(), 2);
    platform.finish().await;
}
