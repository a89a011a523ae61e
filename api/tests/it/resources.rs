//! The business's things.

use std::collections::HashMap;

use postrider_queue::ScopeKey;
use postrider_shared::attachments::{Attachment, AttachmentState};
use postrider_shared::database::{AllTenants, Texts};
use postrider_shared::dead_letters::{DeadLetterFilter, Edit};
use postrider_shared::ids::{AccountId, AttachmentId, TenantId};
use postrider_shared::mail::{NewMail, Reading};
use postrider_shared::messages::{BeginSending, PlannedMessage, Slot, Verdict};
use postrider_shared::quotes::NewQuote;
use postrider_shared::scopes::Share;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::accounts::account;
use crate::api::{Api, TenantKeys, answer, problem};

/// A product with a formula of two dimensions and a material.
pub fn window() -> Value {
    json!({
        "sku": "WIN", "name": "Window", "aliases": ["windows"], "unit_label": "window",
        "dimensions": [
            { "name": "width", "unit": "mm", "min": "100", "max": "3000" },
            { "name": "height", "unit": "mm", "min": "100", "max": "2500" }
        ],
        "materials": [{ "code": "OAK", "name": "Oak", "rate": "120.50" }],
        "formula": "width * height / 1000000 * material_rate + 15",
        "min_quantity": "1", "max_quantity": "100"
    })
}

/// A mailbox nobody connects to.
pub fn mailbox(address: &str) -> Value {
    json!({
        "address": address, "imap_host": "imap.example.com", "smtp_host": "smtp.example.com",
        "password": "correct horse", "time_zone": "Europe/Berlin"
    })
}

/// Rows that only workers make: a mail, its quote in review, a message in doubt, a dead letter.
pub async fn rows(api: &Api, owner: &TenantKeys, account: &str) -> HashMap<&'static str, String> {
    let tenant: TenantId = owner.id.parse().unwrap();
    let account: AccountId = account.parse().unwrap();
    let stores = api.app.stores();
    let now = api.app.clock().now();
    let raw_key = format!("{tenant}/mail/1.eml");
    api.app.objects().put(&raw_key, "Subject: Windows\r\n\r\nTwo windows").await.unwrap();
    let mail = NewMail {
        account_id: account,
        dedupe_key: "m1@example.com".to_owned(),
        provider_id: None,
        rfc_message_id: Some("m1@example.com".to_owned()),
        in_reply_to: None,
        references: Vec::new(),
        from_address: "customer@example.com".to_owned(),
        from_name: None,
        subject: "Windows".to_owned(),
        sent_at: None,
        received_at: now,
        raw_key,
        size: 31,
        text: "Two windows".to_owned(),
        folder: "INBOX".to_owned(),
        uid_validity: 1,
        epoch: 0,
        uid: 1,
        failure: None,
    };
    stores.mail.open_folder(tenant, account, "INBOX", 1).await.unwrap();
    let mail = stores.mail.record(tenant, mail, Vec::new()).await.unwrap().mail().clone();
    let attachment = Attachment {
        id: AttachmentId::of(mail.id, 1),
        tenant_id: tenant,
        mail_id: mail.id,
        position: 1,
        name: "list.csv".to_owned(),
        kind: Some("csv".to_owned()),
        media_type: "text/csv".to_owned(),
        size: 3,
        sha256: "ab".to_owned(),
        object_key: None,
        state: AttachmentState::Read,
        reason: None,
        text: "1 | 2".to_owned(),
        left_out: Texts(Vec::new()),
        created_at: now,
    };
    stores.attachments.record(attachment).await.unwrap();
    let quote = NewQuote {
        mail_id: mail.id,
        language: "en".to_owned(),
        currency: "EUR".to_owned(),
        deadline: None,
        customer_name: None,
        customer_address: "customer@example.com".to_owned(),
        extraction: json!({}),
        lines: Vec::new(),
        review: Some("no size is given".to_owned()),
        fingerprint: None,
        reading: Reading::default(),
    };
    let quote = stores.quotes.create(tenant, quote).await.unwrap().quote().clone();
    let message = PlannedMessage {
        id: postrider_shared::ids::MessageId::random(),
        account_id: account,
        quote_id: None,
        thread_id: Some(mail.thread_id),
        to_address: "customer@example.com".to_owned(),
        subject: "Re: Windows".to_owned(),
        rfc_message_id: "ours@example.com".to_owned(),
        in_reply_to: Some("m1@example.com".to_owned()),
        references: vec!["m1@example.com".to_owned()],
        body_text: "See attachment".to_owned(),
        attachment_key: None,
        attachment_name: None,
    };
    let message = stores.messages.plan(tenant, message).await.unwrap();
    let BeginSending::Go { attempt, .. } =
        stores.messages.begin_sending(tenant, message.id, Slot::default()).await.unwrap()
    else {
        panic!("a planned message may be sent");
    };
    stores.messages.data_starting(tenant, message.id, attempt).await.unwrap();
    let doubt = Verdict::Unknown { reason: "the answer was lost".to_owned() };
    stores.messages.settle(tenant, message.id, attempt, doubt).await.unwrap();
    HashMap::from([
        ("attachments", AttachmentId::of(mail.id, 1).to_string()),
        ("mails", mail.id.to_string()),
        ("threads", mail.thread_id.to_string()),
        ("quotes", quote.id.to_string()),
        ("messages", message.id.to_string()),
        ("dead-letters", dead_letter(api, owner).await),
    ])
}

/// A dead letter, as the scheduler archives it.
pub async fn dead_letter(api: &Api, owner: &TenantKeys) -> String {
    dead_letter_of(api, owner, Vec::new()).await
}

/// The same, of a job that is in these scopes.
async fn dead_letter_of(api: &Api, owner: &TenantKeys, scopes: Vec<ScopeKey>) -> String {
    let job = json!({ "kind": "diagnostic.fail", "payload": { "times": 1 }, "run_at": "2999-01-01T00:00:00Z" });
    let accepted = answer(api.post(&owner.agent, "/v1/jobs", &job), StatusCode::ACCEPTED).await;
    let mut record = api.app.queue().get(accepted["id"].as_str().unwrap().parse().unwrap()).await.unwrap().unwrap();
    record.lane.scopes = scopes;
    let letter = postrider_queue::DeadLetter {
        record,
        death_number: 1,
        error: "it failed".to_owned(),
        attempts: 1,
        died_at: api.app.clock().now(),
    };
    api.app.stores().dead_letters.archive(AllTenants, &[letter]).await.unwrap();
    let letters = answer(api.get(&owner.viewer, "/v1/dead-letters"), StatusCode::OK).await;
    letters["items"][0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_bad_formula_is_refused_with_its_place_and_reason() {
    let api = Api::start().await;
    let keys = api.tenant("Formulas").await;
    let post = |formula: &str| {
        let mut product = window();
        product["formula"] = json!(formula);
        api.post(&keys.admin, "/v1/products", &product)
    };
    let refused = problem(post("width *\n  hieght"), "invalid-formula").await;
    assert_eq!(refused["position"], json!({ "line": 2, "column": 3 }));
    assert!(refused["errors"][0]["detail"].as_str().unwrap().contains("hieght"), "{refused}");
    for formula in ["1 / 0", "width / (height - height)", "0 - 5", "", "system(\"ls\")", "loop { }"] {
        let refused = post(formula).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY, "{formula}");
    }
    let listed = answer(api.get(&keys.viewer, "/v1/products"), StatusCode::OK).await;
    assert_eq!(listed["items"], json!([]));
}

#[tokio::test]
async fn a_product_is_kept_exactly() {
    let api = Api::start().await;
    let keys = api.tenant("Products").await;
    let made = answer(api.post(&keys.admin, "/v1/products", &window()), StatusCode::CREATED).await;
    let path = format!("/v1/products/{}", made["id"].as_str().unwrap());
    let found = answer(api.get(&keys.viewer, &path), StatusCode::OK).await;
    assert_eq!(found, made);
    assert_eq!(found["materials"][0]["rate"], "120.50");
    assert_eq!(found["dimensions"][0]["max"], "3000");
    let change = |body: Value| api.request(Method::PATCH, &path).bearer_auth(&keys.admin).json(&body);
    let changed = answer(change(json!({ "name": "Big window", "max_quantity": "50" })), StatusCode::OK).await;
    assert_eq!(
        (&changed["name"], &changed["max_quantity"], &changed["sku"]),
        (&json!("Big window"), &json!("50"), &json!("WIN"))
    );
    // What is left out stays; null takes the limit away.
    let changed = answer(change(json!({ "name": "Window" })), StatusCode::OK).await;
    assert_eq!(changed["max_quantity"], "50");
    let changed = answer(change(json!({ "max_quantity": null })), StatusCode::OK).await;
    assert_eq!(changed["max_quantity"], Value::Null);
    problem(change(json!({ "formula": "nonsense(" })), "invalid-formula").await;
    problem(change(json!({ "min_quantity": 1 })), "invalid-body").await;
    problem(api.post(&keys.admin, "/v1/products", &window()), "already-exists").await;
    let archived = answer(api.request(Method::DELETE, &path).bearer_auth(&keys.admin), StatusCode::OK).await;
    assert_eq!(archived["state"], "archived");
}

#[tokio::test]
async fn mails_and_threads_are_read() {
    let api = Api::start().await;
    let keys = api.tenant("Readers").await;
    let id = account(&api, &keys).await;
    let ids = rows(&api, &keys, &id).await;
    let mail = answer(api.get(&keys.viewer, &format!("/v1/mails/{}", ids["mails"])), StatusCode::OK).await;
    assert_eq!((&mail["subject"], &mail["rfc_message_id"]), (&json!("Windows"), &json!("m1@example.com")));
    let raw = api.get(&keys.viewer, &format!("/v1/mails/{}/raw", ids["mails"])).send().await.unwrap();
    assert_eq!(raw.headers()["content-type"], "message/rfc822");
    assert!(raw.headers()["content-disposition"].to_str().unwrap().starts_with("attachment"));
    assert!(raw.text().await.unwrap().starts_with("Subject: Windows\r\n"));
    let thread = answer(api.get(&keys.viewer, &format!("/v1/threads/{}", ids["threads"])), StatusCode::OK).await;
    assert_eq!(thread["mails"][0]["id"], mail["id"]);
    assert_eq!(thread["messages"][0]["id"], ids["messages"].as_str());
    for (list, count) in [("mails?state=extracted", 1), ("mails?state=received", 0), ("threads", 1)] {
        let page = answer(api.get(&keys.viewer, &format!("/v1/{list}")), StatusCode::OK).await;
        assert_eq!(page["items"].as_array().unwrap().len(), count, "{list}");
    }
    let resolve = api.post(&keys.agent, &format!("/v1/mails/{}/resolve", ids["mails"]), &json!({}));
    let refused = problem(resolve, "state-conflict").await;
    assert_eq!(refused["detail"], "The mail is extracted: only one that waits for a person can be resolved.");
}

#[tokio::test]
async fn a_quote_in_review_is_approved_with_items_that_can_be_priced() {
    let api = Api::start().await;
    let keys = api.tenant("Reviewers").await;
    let id = account(&api, &keys).await;
    let ids = rows(&api, &keys, &id).await;
    answer(api.post(&keys.admin, "/v1/products", &window()), StatusCode::CREATED).await;
    let path = format!("/v1/quotes/{}", ids["quotes"]);
    problem(api.get(&keys.viewer, &format!("{path}/pdf")), "state-conflict").await;
    let approve = |body: Value| api.post(&keys.agent, &format!("{path}/approve"), &body);
    let measure = |name: &str, value: &str, unit: &str| json!({ "name": name, "value": value, "unit": unit });
    let size = json!([measure("width", "120", "cm"), measure("height", "0.8", "m")]);
    let item = |sku: &str, dimensions: &Value, material: Option<&str>, quantity: &str| json!({ "items": [{ "sku": sku, "dimensions": dimensions, "material": material, "quantity": quantity }] });
    let wrong = [
        json!({}),
        json!({ "items": [] }),
        item("DOOR", &size, Some("OAK"), "2"),
        item("WIN", &json!([measure("width", "120", "cm")]), Some("OAK"), "2"),
        item("WIN", &json!([size[0], size[0], size[1]]), Some("OAK"), "2"),
        item("WIN", &json!([size[0], size[1], measure("depth", "1", "m")]), Some("OAK"), "2"),
        item("WIN", &json!([measure("width", "120", "kg"), size[1]]), Some("OAK"), "2"),
        item("WIN", &json!([measure("width", "120", "m"), size[1]]), Some("OAK"), "2"),
        item("WIN", &size, None, "2"),
        item("WIN", &size, Some("GOLD"), "2"),
        item("WIN", &size, Some("OAK"), "0"),
        item("WIN", &size, Some("OAK"), "-2"),
        item("WIN", &size, Some("OAK"), "101"),
    ];
    for body in wrong {
        problem(approve(body), "invalid-body").await;
    }
    let approved = answer(approve(item("WIN", &size, Some("OAK"), "2")), StatusCode::ACCEPTED).await;
    assert_eq!((&approved["state"], &approved["revision"]), (&json!("draft"), &json!(2)));
    assert_eq!(approved["lines"][0]["quantity"], "2");
    let jobs = answer(api.get(&keys.viewer, "/v1/jobs?kind=price_quote"), StatusCode::OK).await;
    assert_eq!(jobs["items"][0]["payload"]["quote_id"], ids["quotes"].as_str());
    problem(approve(item("WIN", &size, Some("OAK"), "2")), "state-conflict").await;
}

#[tokio::test]
async fn a_message_in_doubt_is_settled_by_a_person_once() {
    let api = Api::start().await;
    let keys = api.tenant("Doubters").await;
    let id = account(&api, &keys).await;
    let ids = rows(&api, &keys, &id).await;
    let path = format!("/v1/messages/{}", ids["messages"]);
    assert_eq!(answer(api.get(&keys.viewer, &path), StatusCode::OK).await["state"], "unknown");
    let settle = || api.post(&keys.agent, &format!("{path}/settle"), &json!({ "outcome": "accepted" }));
    let settled = answer(settle(), StatusCode::OK).await;
    assert_eq!(settled["state"], "accepted");
    assert!(settled["accepted_at"].is_string());
    problem(settle(), "state-conflict").await;
}

#[tokio::test]
async fn a_message_is_not_settled_at_a_time_at_which_it_cannot_have_been_taken() {
    let api = Api::start().await;
    let keys = api.tenant("Doubters").await;
    let id = account(&api, &keys).await;
    let ids = rows(&api, &keys, &id).await;
    let path = format!("/v1/messages/{}", ids["messages"]);
    let settle = |body: Value| api.post(&keys.agent, &format!("{path}/settle"), &body);
    let now = api.app.clock().now();
    let (long_ago, tomorrow) = (now - chrono::TimeDelta::days(3), now + chrono::TimeDelta::days(1));
    for at in [json!(long_ago), json!(tomorrow), json!("-200000-01-01T00:00:00Z"), json!("+262000-01-01T00:00:00Z")] {
        let refused = problem(settle(json!({ "outcome": "accepted", "accepted_at": at })), "invalid-body").await;
        assert_eq!(refused["errors"][0]["pointer"], "/accepted_at", "{at}");
    }
    for reason in ["x".repeat(2_001), "a\u{1b}[2Kb".to_owned()] {
        let refused = problem(settle(json!({ "outcome": "failed", "reason": reason })), "invalid-body").await;
        assert_eq!(refused["errors"][0]["pointer"], "/reason");
    }
    // Somebody who reads it off a mailbox reads minutes.
    let read = json!({ "outcome": "accepted", "accepted_at": now - chrono::TimeDelta::minutes(1) });
    let settled = answer(settle(read), StatusCode::OK).await;
    let at: chrono::DateTime<chrono::Utc> = settled["accepted_at"].as_str().unwrap().parse().unwrap();
    assert!(at > now - chrono::TimeDelta::minutes(1) && at <= api.app.clock().now(), "{at}, not before it was begun");
}

#[tokio::test]
async fn a_dead_letter_is_redriven_once_with_a_payload_that_fits() {
    let api = Api::start().await;
    let keys = api.tenant("Dead").await;
    let id = dead_letter(&api, &keys).await;
    let path = format!("/v1/dead-letters/{id}");
    let redrive = |body: Value| api.post(&keys.agent, &format!("{path}/redrive"), &body);
    problem(redrive(json!({ "payload": { "times": "x" } })), "invalid-payload").await;
    let first = answer(redrive(json!({ "payload": { "times": 0 } })), StatusCode::OK).await;
    assert_eq!(first["state"], "redriven");
    let again = answer(redrive(json!({})), StatusCode::OK).await;
    assert_eq!(again["redriven_job_id"], first["redriven_job_id"]);
    let job = first["redriven_job_id"].as_str().unwrap();
    let job = answer(api.get(&keys.viewer, &format!("/v1/jobs/{job}")), StatusCode::OK).await;
    assert_eq!(job["payload"]["times"], 0);
    problem(api.request(Method::POST, &format!("{path}/discard")).bearer_auth(&keys.agent), "state-conflict").await;
}

/// Redis may have lost the shares, and a tenant without an account has nobody else who tells them again.
#[tokio::test]
async fn the_share_of_a_redriven_job_is_defined() {
    let api = Api::start().await;
    let share = Share::Diagnosing.scope();
    for (name, many) in [("One", false), ("Many", true)] {
        let keys = api.tenant(name).await;
        let tenant: TenantId = keys.id.parse().unwrap();
        let letter = dead_letter_of(&api, &keys, vec![share.clone()]).await;
        let defined = async || api.app.queue().scope(&tenant.into(), &share).await.unwrap().is_some();
        assert!(!defined().await);
        let redriver = api.app.redriver();
        if many {
            let filter = DeadLetterFilter::default();
            let step = redriver.redrive_many(tenant, &filter, &Edit::AsItDied, None, 10).await.unwrap();
            assert_eq!(step.settled, 1);
        } else {
            redriver.redrive(tenant, letter.parse().unwrap(), None).await.unwrap();
        }
        assert!(defined().await, "{name}");
    }
}

#[tokio::test]
async fn a_tenants_settings_are_checked() {
    let api = Api::start().await;
    let keys = api.tenant("Settings").await;
    let path = format!("/v1/tenants/{}", keys.id);
    let change = |body: Value| api.request(Method::PATCH, &path).bearer_auth(&keys.admin).json(&body);
    let changed = answer(change(json!({ "tax_rate": "0.23", "time_zone": "Europe/Dublin" })), StatusCode::OK).await;
    assert_eq!((&changed["tax_rate"], &changed["name"]), (&json!("0.23"), &json!("Settings")));
    for (member, value) in [
        ("currency", json!("XXX1")),
        ("tax_rate", json!("1.5")),
        ("tax_rate", json!(0.2)),
        ("language", json!("EN")),
        ("brand_color", json!("red")),
        ("quote_validity_days", json!(0)),
        ("name", json!("")),
        ("name", json!("a\nb")),
    ] {
        problem(change(json!({ member: value })), "invalid-body").await;
    }
}

/// Two squares, 120 pixels wide, 40 high.
pub const LOGO: &str = "iVBORw0KGgoAAAANSUhEUgAAAHgAAAAoCAIAAAC6iKlyAAAAbElEQVR42u3YMREAIAwEwQhAAg0VOrCOsVCjAGayP6dgy4+92pOy2AI0aNCgQYMGDRo0aNCgQYMGDRo0aNCg7/qYpQINGjRo0KBBgwYNGjRo0KB9HU4l0KBBgwYNGjRo0KBBgwYNGjRo0H/uALSnDF7FS1ESAAAAAElFTkSuQmCC";

#[tokio::test]
async fn a_tenants_logo_is_a_picture_that_can_be_drawn() {
    let api = Api::start().await;
    let keys = api.tenant("Brand").await;
    let tenant: TenantId = keys.id.parse().unwrap();
    let path = format!("/v1/tenants/{tenant}");
    let change = |body: Value| api.request(Method::PATCH, &path).bearer_auth(&keys.admin).json(&body);
    let key = async || api.app.stores().tenants.get(tenant).await.unwrap().logo_key;
    let has = async |key: &str| api.app.objects().get(key).await.is_ok();
    let set = answer(change(json!({ "logo": LOGO, "brand_color": "#c2410c" })), StatusCode::OK).await;
    assert_eq!((&set["has_logo"], &set["brand_color"]), (&json!(true), &json!("#c2410c")));
    let first = key().await.unwrap();
    assert!(first.starts_with(&format!("{tenant}/")) && has(&first).await);

    let no_logo = "PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciLz4=";
    for wrong in [json!("not base64"), json!(no_logo), json!(LOGO[..80]), json!(""), json!(7)] {
        let refused = problem(change(json!({ "logo": wrong, "name": "Other" })), "invalid-body").await;
        assert_eq!(refused["errors"][0]["pointer"], "/logo", "{refused}");
    }
    assert_eq!(key().await.as_ref(), Some(&first), "a wrong one changes nothing");
    problem(change(json!({ "logo": LOGO, "name": "" })), "invalid-body").await;
    assert!(has(&first).await);

    let renamed = answer(change(json!({ "name": "Brand & Co" })), StatusCode::OK).await;
    assert_eq!(renamed["has_logo"], true, "what is left out stays");
    answer(change(json!({ "logo": LOGO })), StatusCode::OK).await;
    let second = key().await.unwrap();
    assert!(second != first && has(&second).await && !has(&first).await, "the one before is removed");
    let none = answer(change(json!({ "logo": null })), StatusCode::OK).await;
    assert!(none["has_logo"] == false && !has(&second).await);
    let other = api.tenant("Other").await;
    let theirs = api.request(Method::PATCH, &path).bearer_auth(&other.admin).json(&json!({ "logo": LOGO }));
    problem(theirs, "not-found").await;
}
