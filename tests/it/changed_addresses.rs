//! The address of a mailbox is changed while replies wait for its limits: they wait for those of the new address from then on, and
//! what was sent on the day of the change counts there.

use std::collections::BTreeMap;

use postrider_tests::platform::Office;
use postrider_tests::{DatabaseKind, Platform, canaries, eventually, mails};
use serde_json::{Value, json};

const NEVER: u32 = 86_400;
const OLD: &str = "angebot@lindner-schilder.example";
const NEW: &str = "quotes@lindner-schilder.example";

async fn office(platform: &Platform, daily_cap: u32) -> Office {
    let settings = json!({ "poll_interval_seconds": NEVER, "daily_cap": daily_cap, "time_zone": "Europe/Berlin" });
    platform.sandbox().client().create_mailbox(NEW, canaries::MAILBOX_PASSWORD).await.unwrap();
    platform.office(OLD, &mails::workshop(), &mails::products(), settings).await
}

async fn request(platform: &Platform, office: &Office, name: &str) {
    let before = platform.ledger().await.len();
    platform.deliver_request(office, name).await;
    office.poll().await;
    eventually("the planned reply", || async { (platform.ledger().await.len() > before).then_some(()) }).await;
}

async fn change_address(office: Office, address: &str, more: Value) -> Office {
    let mut body = json!({ "address": address, "imap_username": address, "smtp_username": address });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    office.api.patch(&format!("/v1/accounts/{}", office.account_id), &body).await.ok();
    Office { address: address.to_owned(), ..office }
}

async fn all_are_accepted(platform: &Platform, count: usize) {
    eventually("all replies to be sent", || async {
        let ledger = platform.ledger().await;
        (ledger.len() == count && ledger.iter().all(|row| row.state == "accepted")).then_some(())
    })
    .await;
    platform.no_jobs_left().await;
    assert_eq!(platform.sandbox().accepted().await.len(), count);
}

on_both_databases!(what_waits_for_a_cap_or_a_pause_is_sent_under_the_new_address);

async fn what_waits_for_a_cap_or_a_pause_is_sent_under_the_new_address(database: DatabaseKind) {
    let platform = Platform::with(database).start().await;
    let office = office(&platform, 0).await;
    request(&platform, &office, "one").await;
    let office = change_address(office, NEW, json!({ "daily_cap": 9 })).await;
    all_are_accepted(&platform, 1).await;

    let path = format!("/v1/accounts/{}", office.account_id);
    office.api.patch(&path, &json!({ "daily_cap": 0 })).await.ok();
    request(&platform, &office, "two").await;
    office.api.post(&format!("{path}/pause"), &json!({})).await.ok();
    // There and back again: in between it may be neither here nor there.
    let office = change_address(office, OLD, json!({ "daily_cap": 9 })).await;
    let office = change_address(office, NEW, json!({})).await;
    let office = change_address(office, OLD, json!({})).await;
    assert_eq!(platform.sandbox().accepted().await.len(), 1, "it is paused");
    office.api.post(&format!("{path}/resume"), &json!({})).await.ok();
    all_are_accepted(&platform, 2).await;
    platform.finish().await;
}

#[tokio::test]
async fn a_cap_holds_over_a_change_of_address_under_faketime() {
    let platform = Platform::with(DatabaseKind::Sqlite).at_time("2027-03-10T09:00:00Z".parse().unwrap()).start().await;
    let office = office(&platform, 1).await;
    for name in ["one", "two"] {
        request(&platform, &office, name).await;
    }
    platform.sandbox().accepted_at_least(1).await;
    let office = change_address(office, NEW, json!({})).await;
    for name in ["three", "four"] {
        request(&platform, &office, name).await;
    }
    for (sent, day) in (2..).zip(["2027-03-11", "2027-03-12"]) {
        platform.time().unwrap().set(format!("{day}T09:00:00Z").parse().unwrap());
        platform.sandbox().accepted_at_least(sent).await;
        // Until the worker has noted it, it would count in the next day.
        eventually("the acceptance to be noted", || async {
            let ledger = platform.ledger().await;
            (ledger.iter().filter(|row| row.state == "accepted").count() == sent).then_some(())
        })
        .await;
    }
    let raised = json!({ "daily_cap": 2 });
    office.api.patch(&format!("/v1/accounts/{}", office.account_id), &raised).await.ok();
    all_are_accepted(&platform, 4).await;
    let mut days: BTreeMap<String, usize> = BTreeMap::new();
    for message in office.api.all("/v1/messages").await {
        let day = message["accepted_at"].as_str().unwrap().chars().take(10).collect();
        *days.entry(day).or_default() += 1;
    }
    assert_eq!(days.into_values().collect::<Vec<_>>(), [1, 1, 2], "one a day, until the cap was 2");
    platform.finish().await;
}
