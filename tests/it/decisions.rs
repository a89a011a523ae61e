//! Customers who answer a quote by mail: yes, no, yes but, and questions.

use postrider_tests::platform::{Office, Reply};
use postrider_tests::{DatabaseKind, Platform};
use serde_json::{Value, json};

const JO: &str = "jo@kunden.example";
const FIRST: &str = "jo@kunden.example";

/// Says something in answer to the last of these mails, and returns the mail as it was read and the quote.
async fn said(platform: &Platform, office: &Office, from: &str, thread: &[&str], text: &str) -> (Value, Value) {
    let message_id = format!("{}@says.example", text.chars().filter(char::is_ascii_alphanumeric).collect::<String>());
    platform.deliver_reply(office, Reply { from, message_id: &message_id, thread, date: None, text }).await;
    office.poll().await;
    let mail = office.read_mail(&message_id).await;
    (mail, office.quotes().await.remove(0))
}

fn reason(mail: &Value) -> &str {
    assert_eq!(mail["state"], "needs_review", "{mail:#}");
    mail["reason"].as_str().expect("a reason")
}

on_both_databases!(a_customer_accepts_by_reply);

async fn a_customer_accepts_by_reply(database: DatabaseKind) {
    let platform = Platform::with(database).start().await;
    let (office, ours) = platform.quoted("jo").await;
    let (mail, quote) =
        said(&platform, &office, "Jo <JO@Kunden.Example>", &[FIRST, &ours], "Danke, wir sind einverstanden.").await;
    assert_eq!((&mail["state"], &mail["intent"]), (&json!("extracted"), &json!("accepts")), "{mail:#}");
    assert_eq!(
        (&quote["state"], &mail["quote_id"], &mail["quote_revision"]),
        (&json!("accepted"), &quote["id"], &json!(1))
    );
    let events = office.api.get(&format!("/v1/quotes/{}/events", quote["id"].as_str().unwrap())).await.ok();
    let last = events["items"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["to_state"], &last["actor"]), (&json!("accepted"), &json!("customer")));
    assert_eq!(last["via"], format!("reply {}", mail["id"].as_str().unwrap()));

    // Once more is no news, and a change of mind is for a person.
    let (again, _) = said(&platform, &office, JO, &[FIRST, &ours], "Wie gesagt: einverstanden.").await;
    assert_eq!(again["state"], "extracted", "{again:#}");
    let (back, quote) = said(&platform, &office, JO, &[FIRST, &ours], "Sorry, we decline after all.").await;
    assert!(reason(&back).contains("agreed"), "{back:#}");
    assert_eq!(quote["state"], "accepted");
    platform.no_jobs_left().await;
    assert_eq!(platform.sandbox().accepted().await.len(), 1, "nothing goes out by itself");
    platform.finish().await;
}

#[tokio::test]
async fn a_customer_declines_by_reply() {
    let platform = Platform::start().await;
    let (office, ours) = platform.quoted("jo").await;
    let (mail, quote) = said(&platform, &office, JO, &[&ours], "Sorry, that is too expensive for us.").await;
    assert_eq!((&mail["intent"], &quote["state"]), (&json!("declines"), &json!("declined")), "{mail:#}");
    platform.finish().await;
}

#[tokio::test]
async fn only_the_customers_plain_yes_to_the_newest_revision_binds() {
    let platform = Platform::start().await;
    let (office, ours) = platform.quoted("jo").await;
    let yes = "We accept.";
    let (mail, _) = said(&platform, &office, "ann@kunden.example", &[FIRST, &ours], yes).await;
    assert!(reason(&mail).contains(JO), "{mail:#}");
    let (mail, _) = said(&platform, &office, JO, &[FIRST], "We accept it.").await;
    assert!(reason(&mail).contains("none of the mails"), "{mail:#}");
    for (text, intent) in [
        ("Yes, we accept, but 10 % cheaper.", "question"),
        ("We accept. When can you deliver?", "question"),
        ("Wie lange dauert die Lieferung?", "question"),
    ] {
        let (mail, quote) = said(&platform, &office, JO, &[FIRST, &ours], text).await;
        assert!(!reason(&mail).is_empty());
        assert_eq!((&mail["intent"], &mail["quote_id"]), (&json!(intent), &quote["id"]), "{mail:#}");
        assert_eq!(quote["state"], "sent", "{text}");
    }
    let waiting = office.api.all("/v1/mails?state=needs_review").await;
    assert_eq!(waiting.len(), 5, "what a person must answer is listed");

    // The revision they answer was replaced.
    said(&platform, &office, JO, &[FIRST, &ours], "Bitte 5 statt 2.").await;
    office.sent_revision(2).await;
    let (mail, quote) = said(&platform, &office, JO, &[FIRST, &ours], "Yes, please go ahead.").await;
    assert!(reason(&mail).contains("revision 1"), "{mail:#}");
    assert_eq!(quote["state"], "sent");
    let newest = platform.sandbox().accepted_at_least(2).await.remove(1).message_id.unwrap();
    let (_, quote) = said(&platform, &office, JO, &[FIRST, &ours, &newest], "Please go ahead with the 5.").await;
    assert_eq!((&quote["state"], &quote["revision"]), (&json!("accepted"), &json!(2)));
    platform.finish().await;
}
