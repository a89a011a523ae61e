//! Quotes after they were sent: decided, offered again, changed.

use postrider_tests::platform::Office;
use postrider_tests::{DatabaseKind, Platform, eventually, mails, pdf};
use serde_json::{Value, json};

const NEVER: u32 = 86_400;

on_both_databases!(a_sent_quote_is_declined_revised_and_accepted);

/// Waits until the quote is sent under this number.
async fn sent(office: &Office, path: &str, number: &str) -> Value {
    eventually("the quote to be sent", || async {
        let quote = office.api.get(path).await.ok();
        (quote["state"] == "sent" && quote["number"].as_str() == Some(number)).then_some(quote)
    })
    .await
}

async fn a_sent_quote_is_declined_revised_and_accepted(database: DatabaseKind) {
    let platform = Platform::with(database).start().await;
    let office = platform.workshop(NEVER).await;
    platform.sandbox().deliver(&office.address, mails::simple_request(1, &office.address).raw).await;
    office.poll().await;
    let id = eventually("the quote", || async {
        let quotes = office.api.all("/v1/quotes").await;
        quotes.first().and_then(|quote| quote["id"].as_str().map(str::to_owned))
    })
    .await;
    let path = format!("/v1/quotes/{id}");
    let number = eventually("its number", || async {
        let quote = office.api.get(&path).await.ok();
        (quote["state"] == "sent").then(|| quote["number"].as_str().map(str::to_owned)).flatten()
    })
    .await;
    let first = sent(&office, &path, &number).await;
    let action = |name: &str| format!("{path}/{name}");

    let stale = office.api.post(&action("accept"), &json!({ "revision": 7 })).await.problem(409, "state-conflict");
    assert!(stale["detail"].as_str().unwrap().contains("revision 1"), "{stale}");
    let declined = office.api.post(&action("decline"), &json!({ "revision": 1 })).await.ok();
    assert_eq!(declined["state"], "declined");
    office.api.post(&action("decline"), &json!({})).await.ok();
    let refused = office.api.post(&action("accept"), &json!({})).await.problem(409, "state-conflict");
    assert!(refused["detail"].as_str().unwrap().contains("revise it"), "{refused}");

    // Five instead of what was asked for.
    let mut item =
        json!({ "sku": first["lines"][0]["sku"], "quantity": "5", "dimensions": first["lines"][0]["dimensions"] });
    if !first["lines"][0]["material"].is_null() {
        item["material"] = first["lines"][0]["material"].clone();
    }
    let revised = office.api.post(&action("revise"), &json!({ "items": [item] })).await.expect_status(202).body;
    assert_eq!((&revised["state"], &revised["revision"]), (&json!("draft"), &json!(2)));
    let second = sent(&office, &path, &format!("{number}-R2")).await;
    assert_eq!(second["lines"][0]["quantity"], "5");
    let renewed = office.api.post(&action("renew"), &json!({})).await.expect_status(202).body;
    assert_eq!(renewed["revision"], 3);
    let third = sent(&office, &path, &format!("{number}-R3")).await;
    assert_eq!(third["total"], second["total"]);
    let replies = platform.sandbox().accepted_at_least(3).await;
    assert_eq!(replies.len(), 3, "each revision goes out once");

    let kept = office.api.get(&action("revisions")).await.ok();
    let numbers: Vec<_> = kept["items"].as_array().unwrap().iter().map(|kept| kept["number"].clone()).collect();
    assert_eq!(numbers, [json!(number), json!(format!("{number}-R2"))]);
    assert_eq!(kept["items"][0]["total"], first["total"]);
    let old = office.api.bytes(&action("revisions/1/pdf")).await;
    assert!(pdf::text(&old).contains(&number) && !pdf::text(&old).contains("-R2"));
    let new = office.api.bytes(&action("pdf")).await;
    assert!(pdf::text(&new).contains(&format!("{number}-R3")));
    office.api.get(&action("revisions/9/pdf")).await.problem(404, "not-found");

    let accepted = office.api.post(&action("accept"), &json!({})).await.ok();
    assert_eq!(accepted["state"], "accepted");
    let agreed = office.api.post(&action("renew"), &json!({})).await.problem(409, "state-conflict");
    assert!(agreed["detail"].as_str().unwrap().contains("agreed"), "{agreed}");
    let events = office.api.get(&action("events")).await.ok();
    let events = events["items"].as_array().unwrap();
    let last = events.last().unwrap();
    assert_eq!(
        (&last["from_state"], &last["to_state"], &last["actor"]),
        (&json!("sent"), &json!("accepted"), &json!("agent"))
    );
    assert!(last["via"].as_str().unwrap().starts_with("key "), "{last}");

    let stranger = platform.tenant("Nosy").await;
    for name in ["events", "revisions", "revisions/1/pdf"] {
        stranger.get(&action(name)).await.problem(404, "not-found");
    }
    for name in ["accept", "decline", "renew", "revise"] {
        stranger.post(&action(name), &json!({})).await.problem(404, "not-found");
    }
    platform.finish().await;
}
