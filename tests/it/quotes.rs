//! Quotes a person has to look at.

use postrider_tests::{DatabaseKind, Platform, eventually, mails, pdf};
use serde_json::{Value, json};

const NEVER: u32 = 86_400;

on_both_databases!(a_reviewed_quote_is_completed_by_a_person_and_sent);

async fn a_reviewed_quote_is_completed_by_a_person_and_sent(database: DatabaseKind) {
    let platform = Platform::with(database).start().await;
    let office = platform.workshop(NEVER).await;
    platform.sandbox().deliver(&office.address, mails::mail("06-de-aufkleber-preis.eml").raw).await;
    office.poll().await;
    platform.no_jobs_left().await;
    let quote = office.quotes().await.remove(0);
    assert_eq!(quote["state"], "needs_review");
    let path = format!("/v1/quotes/{}", quote["id"].as_str().unwrap());

    let item = json!({
        "sku": "STICKER", "quantity": "500", "material": "VINYL-W",
        "dimensions": [{ "name": "width", "value": "80", "unit": "mm" }, { "name": "height", "value": "8", "unit": "cm" }],
    });
    let changed = |field: &str, value: Value| {
        let mut item = item.clone();
        item[field] = value;
        json!({ "items": [item] })
    };
    for wrong in [
        changed("sku", json!("POLO")),
        changed("quantity", json!("-500")),
        changed("quantity", json!("99999999999999999999999999999999999999")),
        changed("quantity", json!("1.5e9")),
        changed("material", json!("GOLD")),
        changed("dimensions", json!([{ "name": "width", "value": "80", "unit": "mm" }])),
        changed(
            "dimensions",
            json!([{ "name": "width", "value": "80", "unit": "kg" }, { "name": "height", "value": "80", "unit": "mm" }]),
        ),
        json!({ "items": [] }),
    ] {
        let answer = office.api.post(&format!("{path}/approve"), &wrong).await;
        assert_eq!(answer.status, 422, "{wrong}: {answer:#?}");
    }
    assert_eq!(office.api.get(&path).await.ok()["state"], "needs_review");

    office.api.post(&format!("{path}/approve"), &json!({ "items": [item] })).await.ok();
    let sent = eventually("the quote to be sent", || async {
        let quote = office.api.get(&path).await.ok();
        (quote["state"] == "sent").then_some(quote)
    })
    .await;
    // 64 cm² at 0.006, less a fifth: 0.3072, so 0.31; 500 of them and 19 % tax.
    assert_eq!(
        (&sent["subtotal"], &sent["tax"], &sent["total"]),
        (&json!("155.00"), &json!("29.45"), &json!("184.45"))
    );
    assert_eq!(platform.sandbox().accepted_at_least(1).await.len(), 1);

    office.api.post(&format!("{path}/approve"), &json!({ "items": [item] })).await.problem(409, "state-conflict");
    let stranger = platform.tenant("Nosy").await;
    stranger.get(&path).await.problem(404, "not-found");
    stranger.get(&format!("{path}/pdf")).await.problem(404, "not-found");
    platform.finish().await;
}

#[tokio::test]
async fn a_quote_whose_mailbox_is_disconnected_ends_with_the_reason() {
    let platform = Platform::start().await;
    let office = platform.workshop(86_400).await;
    platform.api().post("/v1/queues/quotes/pause", &json!({})).await.ok();
    platform.sandbox().deliver(&office.address, mails::mail("27-es-tarjetas-movil.eml").raw).await;
    office.poll().await;
    postrider_tests::eventually("the draft", || async { (!office.quotes().await.is_empty()).then_some(()) }).await;
    let answer = office.api.delete(&format!("/v1/accounts/{}", office.account_id)).await;
    assert_eq!(answer.status, 204);
    platform.api().post("/v1/queues/quotes/resume", &json!({})).await.ok();
    platform.no_jobs_left().await;
    let quote = office.quotes().await.remove(0);
    assert_eq!((&quote["state"], &quote["reason"]), (&json!("failed"), &json!("its mailbox was disconnected")));
    assert!(office.api.all("/v1/dead-letters").await.is_empty());
    assert!(platform.sandbox().accepted().await.is_empty());
    platform.finish().await;
}

/// Two squares, 120 pixels wide, 40 high: the left one is orange.
const LOGO: &str = "iVBORw0KGgoAAAANSUhEUgAAAHgAAAAoCAIAAAC6iKlyAAAAbElEQVR42u3YMREAIAwEwQhAAg0VOrCOsVCjAGayP6dgy4+92pOy2AI0aNCgQYMGDRo0aNCgQYMGDRo0aNCg7/qYpQINGjRo0KBBgwYNGjRo0KB9HU4l0KBBgwYNGjRo0KBBgwYNGjRo0H/uALSnDF7FS1ESAAAAAElFTkSuQmCC";

#[tokio::test]
async fn a_tenants_logo_stands_on_its_quotes() {
    let platform = Platform::start().await;
    let office = platform.workshop(NEVER).await;
    let admin = platform.key(&office.api, "tenant_admin").await;
    let set = admin.patch(&format!("/v1/tenants/{}", office.tenant_id), &json!({ "logo": LOGO })).await.ok();
    assert_eq!(set["has_logo"], true);
    platform.deliver_request(&office, "anna").await;
    office.poll().await;
    let quote = office.settled_quotes(1).await.remove(0);
    let pdf = office.api.bytes(&format!("/v1/quotes/{}/pdf", quote["id"].as_str().unwrap())).await;
    let orange = pdf::points(&pdf, [0xc2, 0x41, 0x0c]);
    assert!(orange.len() > 100 && orange.iter().all(|(x, y)| *x < 130 && *y < 130), "no logo on the left: {orange:?}");
    platform.finish().await;
}
