//! Conversations: what belongs together stays together.

use postrider_tests::{DatabaseKind, Platform, mails};
use serde_json::json;

const NEVER: u32 = 86_400;

on_both_databases!(a_follow_up_joins_the_thread_and_starts_no_second_quote);

async fn a_follow_up_joins_the_thread_and_starts_no_second_quote(database: DatabaseKind) {
    let platform = Platform::with(database).start().await;
    let office = platform.workshop(NEVER).await;
    platform.sandbox().deliver(&office.address, mails::mail("01-de-banner-vereinsfest.eml").raw).await;
    office.poll().await;
    let reply = platform.sandbox().accepted_at_least(1).await.remove(0);

    // One answers our reply, one the customer's own mail, one comes again under another id.
    let ours = reply.message_id.clone().unwrap();
    let question = format!(
        "From: =?UTF-8?Q?J=C3=BCrgen_Pfeiffer?= <vorstand@sv-lindenau.example>\r\nTo: {}\r\nSubject: Re: Anfrage\r\n\
         Message-ID: <danke-1@sv-lindenau.example>\r\nIn-Reply-To: <{ours}>\r\nReferences: <{ours}>\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\nVielen Dank, wie lange ist die Lieferzeit?\r\n",
        office.address
    );
    platform.sandbox().deliver(&office.address, question.into_bytes()).await;
    for name in ["follow-up", "duplicate"] {
        platform.sandbox().deliver(&office.address, mails::mail(&format!("others/{name}.eml")).raw).await;
    }
    office.poll().await;
    platform.no_jobs_left().await;

    let inbound = office.mails().await;
    assert_eq!(inbound.len(), 4);
    assert!(inbound.iter().all(|mail| mail["thread_id"] == inbound[0]["thread_id"]), "{inbound:#?}");
    let intents: Vec<&str> = inbound.iter().map(|mail| mail["intent"].as_str().unwrap_or_default()).collect();
    assert_eq!(intents, ["new_request", "question", "question", "duplicate"]);
    assert_eq!(platform.sandbox().accepted().await.len(), 1);

    let thread = office.api.get(&format!("/v1/threads/{}", inbound[0]["thread_id"].as_str().unwrap())).await.ok();
    let shown = thread.to_string();
    assert!(shown.contains(&ours) && shown.contains("danke-1@sv-lindenau.example"), "{thread:#}");
    platform.finish().await;
}

#[tokio::test]
async fn threads_of_other_accounts_are_not_joined() {
    let platform = Platform::start().await;
    let office = platform.workshop(NEVER).await;
    let second =
        platform.mailbox(&office.api, "info@lindner-schilder.example", json!({ "poll_interval_seconds": NEVER })).await;
    let raw = mails::mail("01-de-banner-vereinsfest.eml").raw;
    for address in [office.address.as_str(), "info@lindner-schilder.example"] {
        platform.sandbox().deliver(address, raw.clone()).await;
    }
    office.poll().await;
    let other = postrider_tests::platform::Office { account_id: second, ..office.clone() };
    other.poll().await;
    platform.no_jobs_left().await;
    let inbound = office.mails().await;
    assert_eq!(inbound.len(), 2, "each mailbox has its own copy");
    assert_ne!(inbound[0]["thread_id"], inbound[1]["thread_id"]);
    platform.finish().await;
}
