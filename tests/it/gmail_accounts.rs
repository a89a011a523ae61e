//! Mailboxes of Google accounts: connected by their owner's consent, read and sent from with tokens that expire and are revoked.

use std::time::Duration;

use postrider_sandbox::google::{Calls, Orders, Trouble};
use postrider_tests::platform::{Office, owner_answers};
use postrider_tests::{DatabaseKind, Platform, eventually, mails};
use serde_json::{Value, json};

const NEVER: u32 = 86_400;
const ADDRESS: &str = "angebot@lindner-schilder.example";
const BANNERS: &str = "01-de-banner-vereinsfest.eml";

async fn calls(platform: &Platform) -> Calls {
    platform.sandbox().client().google().await.unwrap()
}

async fn order(platform: &Platform, orders: Orders) {
    platform.sandbox().client().order_google(&orders).await.unwrap();
}

async fn office(platform: &Platform, settings: Value) -> Office {
    let mut all = json!({ "poll_interval_seconds": NEVER });
    all.as_object_mut().unwrap().extend(settings.as_object().cloned().unwrap_or_default());
    let google = platform.sandbox().client();
    let workshop = (&mails::workshop(), &mails::products()[..]);
    let office = platform.google_office(google, ADDRESS, workshop, all).await;
    over_smtp(&office).await;
    office
}

async fn over_smtp(office: &Office) {
    let body = json!({ "transport": "smtp" });
    office.api.patch(&format!("/v1/accounts/{}", office.account_id), &body).await;
}

/// `count` requests are read, and each has its reply ready, which the mailbox's cap of 0 keeps back.
async fn replies_wait(platform: &Platform, office: &Office, count: usize) {
    for number in 0..count {
        let request = mails::simple_request(number, ADDRESS);
        platform.sandbox().deliver(ADDRESS, request.raw).await;
    }
    office.poll().await;
    eventually("all replies to be planned", || async {
        (platform.ledger().await.iter().filter(|row| row.state == "planned").count() == count).then_some(())
    })
    .await;
    assert!(platform.sandbox().accepted().await.is_empty());
}

async fn cap(office: &Office, cap: u32) {
    office.api.patch(&format!("/v1/accounts/{}", office.account_id), &json!({ "daily_cap": cap })).await.ok();
}

async fn all_are_sent_once(platform: &Platform, office: &Office, count: usize) {
    platform.sandbox().accepted_at_least(count).await;
    platform.no_jobs_left().await;
    assert_eq!(platform.sandbox().accepted().await.len(), count);
    let ledger = platform.ledger().await;
    assert!(ledger.len() == count && ledger.iter().all(|row| row.state == "accepted"), "{ledger:#?}");
    for job in office.api.all("/v1/jobs?kind=send_email").await {
        assert_eq!((&job["state"], &job["attempt"]), (&json!("completed"), &json!(1)), "no attempt is burnt: {job}");
    }
}

on_both_databases!(
    a_mailbox_is_connected_read_answered_and_given_back,
    sixty_four_sends_on_an_expired_token_renew_it_once,
    a_revoked_grant_stops_the_mailbox_after_one_call_and_loses_nothing,
);

async fn a_mailbox_is_connected_read_answered_and_given_back(database: DatabaseKind) {
    let platform = Platform::with(database).start().await;
    let office = office(&platform, json!({})).await;
    platform.sandbox().deliver(&office.address, mails::mail(BANNERS).raw).await;
    office.poll().await;
    let accepted = platform.sandbox().accepted_at_least(1).await;
    assert_eq!(accepted[0].account.as_deref(), Some(ADDRESS), "handed in by the account that XOAUTH2 named");
    platform.no_jobs_left().await;
    for _ in 0..5 {
        office.poll().await;
    }
    let made = calls(&platform).await;
    assert_eq!((made.exchange, made.profile, made.refresh, made.refused), (1, 1, 0, 0), "{made:?}");

    let account = office.in_state("active").await;
    assert_eq!((&account["login"], &account["pause_reason"]), (&json!("google"), &Value::Null), "{account}");
    assert_eq!(office.events().await, [("connected".to_owned(), String::new())]);
    assert!(!account.to_string().contains("ya29"), "{account}");

    office.api.delete(&format!("/v1/accounts/{}", office.account_id)).await.expect_status(204);
    eventually("the tokens to be given back", || async { (calls(&platform).await.revoke == 1).then_some(()) }).await;
    office.api.get(&format!("/v1/accounts/{}", office.account_id)).await.problem(404, "not-found");
    platform.finish().await;
}

async fn sixty_four_sends_on_an_expired_token_renew_it_once(database: DatabaseKind) {
    let platform = Platform::with(database).workers(2).start().await;
    order(&platform, Orders { expires_in: 5, ..Orders::default() }).await;
    let office = office(&platform, json!({ "daily_cap": 0 })).await;
    replies_wait(&platform, &office, 64).await;
    let google = platform.sandbox().client();
    order(&platform, Orders { expires_in: 3_599, ..Orders::default() }).await;
    eventually("the last token to expire", || async {
        (google.standing_tokens(ADDRESS).await.unwrap().access_tokens == 0).then_some(())
    })
    .await;
    let before = calls(&platform).await;
    cap(&office, 250).await;
    all_are_sent_once(&platform, &office, 64).await;
    let after = calls(&platform).await;
    assert_eq!(after.refresh - before.refresh, 1, "64 sends of two processes");
    assert_eq!(after.refused, before.refused, "nobody tried the expired token");
    platform.finish().await;
}

async fn a_revoked_grant_stops_the_mailbox_after_one_call_and_loses_nothing(database: DatabaseKind) {
    let platform = Platform::with(database).workers(2).start().await;
    let office = office(&platform, json!({ "daily_cap": 0 })).await;
    replies_wait(&platform, &office, 12).await;
    platform.sandbox().client().revoke_grants(ADDRESS).await.unwrap();
    let before = calls(&platform).await;
    cap(&office, 250).await;
    let account = office.in_state("needs_consent").await;
    assert!(account["pause_reason"].as_str().unwrap().contains("expired or revoked"), "{account}");
    office.poll().await;
    let resume = office.api.post(&format!("/v1/accounts/{}/resume", office.account_id), &json!({})).await;
    resume.problem(409, "state-conflict");
    // Later jobs of the same workers overtake what waits.
    for _ in 0..3 {
        let probe = office.api.submit("diagnostic.sleep", &json!({ "ms": 250 })).await;
        office.api.finished(&probe.id).await;
    }
    assert_eq!(calls(&platform).await.refresh - before.refresh, 1, "Google is asked once");
    assert!(platform.sandbox().accepted().await.is_empty());
    let told: Vec<String> = office.events().await.into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(told, ["connected", "needs_consent"]);

    let consent = office.ask_consent().await;
    platform.consents(&consent).await.expect_status(200);
    office.in_state("active").await;
    all_are_sent_once(&platform, &office, 12).await;
    platform.finish().await;
}

#[tokio::test]
async fn a_token_that_is_refused_before_its_time_is_renewed_once() {
    let platform = Platform::start().await;
    let office = office(&platform, json!({})).await;
    platform.sandbox().client().expire_tokens(ADDRESS).await.unwrap();
    platform.sandbox().deliver(&office.address, mails::mail(BANNERS).raw).await;
    assert_eq!(office.poll().await.attempt, 1);
    platform.sandbox().accepted_at_least(1).await;
    let made = calls(&platform).await;
    assert_eq!((made.refresh, made.refused), (1, 1), "{made:?}");
    office.in_state("active").await;
    platform.finish().await;
}

#[tokio::test]
async fn a_worker_that_is_killed_while_it_renews_is_waited_for_and_then_replaced() {
    let platform = Platform::with(DatabaseKind::Sqlite).start().await;
    order(&platform, Orders { expires_in: 3, ..Orders::default() }).await;
    let office = office(&platform, json!({})).await;
    let google = platform.sandbox().client();
    eventually("the first polls to be over, and their token to expire", || async {
        let polls = office.api.all("/v1/jobs?kind=poll_mailbox").await;
        let over = !polls.is_empty() && polls.iter().all(|job| job["state"] == "completed");
        (over && google.standing_tokens(ADDRESS).await.unwrap().access_tokens == 0).then_some(())
    })
    .await;
    let slow = Trouble { status: 0, error: String::new(), times: 1, delay_ms: 8_000, retry_after: None };
    order(&platform, Orders { troubles: vec![slow], ..Orders::default() }).await;
    let before = calls(&platform).await.refresh;
    let body = json!({ "kind": "poll_mailbox", "payload": { "account_id": office.account_id } });
    let job = office.api.post("/v1/jobs", &body).await.expect_status(202).body;
    eventually("the renewal to begin", || async { (calls(&platform).await.refresh > before).then_some(()) }).await;
    platform.worker(0).kill_and_restart().await;
    let job = office.api.finished(job["id"].as_str().unwrap()).await;
    assert_eq!(job.state, "completed", "{job:?}");
    assert_eq!(calls(&platform).await.refresh - before, 2, "the dead process's call, and one more");
    platform.finish().await;
}

#[tokio::test]
async fn troubles_of_googles_token_endpoint_stop_no_mailbox() {
    let platform = Platform::start().await;
    let office = office(&platform, json!({ "daily_cap": 0 })).await;
    replies_wait(&platform, &office, 3).await;
    let trouble = |status, error: &str| Trouble {
        status,
        error: error.into(),
        times: 1,
        delay_ms: 0,
        retry_after: (status == 429).then_some(1),
    };
    let troubles = vec![trouble(503, ""), trouble(429, "rate_limit_exceeded")];
    order(&platform, Orders { troubles, ..Orders::default() }).await;
    platform.sandbox().client().expire_tokens(ADDRESS).await.unwrap();
    let before = calls(&platform).await.refresh;
    cap(&office, 250).await;
    all_are_sent_once(&platform, &office, 3).await;
    assert_eq!(calls(&platform).await.refresh - before, 3);
    assert_eq!(office.in_state("active").await["login_problem"], Value::Null, "it is over");
    assert_eq!(office.events().await.len(), 1);
    platform.finish().await;
}

#[tokio::test]
async fn consents_that_are_denied_of_another_mailbox_or_repeated_connect_nothing() {
    let platform = Platform::start().await;
    let google = platform.sandbox().client();
    let api = platform.tenant("Lindner").await;
    let settings = json!({ "poll_interval_seconds": NEVER });
    let (account_id, consent) = platform.google_account(&api, google, ADDRESS, settings).await;
    let office = Office { tenant_id: String::new(), account_id, address: ADDRESS.into(), api };

    order(&platform, Orders { deny: true, ..Orders::default() }).await;
    platform.consents(&consent).await.expect_status(200);
    let denied = office.in_state("needs_consent").await;
    assert!(denied["pause_reason"].as_str().unwrap().contains("access_denied"), "{denied}");
    platform.consents(&consent).await.problem(409, "consent-used");

    google.create_mailbox("somebody@else.example", "x").await.unwrap();
    order(&platform, Orders { consent_as: Some("somebody@else.example".into()), ..Orders::default() }).await;
    platform.consents(&office.ask_consent().await).await.expect_status(200);
    eventually("the other mailbox to be noticed", || async {
        office.events().await.iter().any(|(_, detail)| detail.contains("somebody@else.example consented")).then_some(())
    })
    .await;
    assert_eq!(calls(&platform).await.revoke, 1, "the other mailbox's grant is not kept");
    assert!(!platform.worker(0).log().contains("else.example"), "logs name no addresses");
    office.in_state("needs_consent").await;

    let readonly = Some("https://www.googleapis.com/auth/gmail.readonly".to_owned());
    order(&platform, Orders { granted_scope: readonly, ..Orders::default() }).await;
    platform.consents(&office.ask_consent().await).await.expect_status(200);
    eventually("the missing scope to be noticed", || async {
        office.events().await.iter().any(|(_, detail)| detail.contains("does not include")).then_some(())
    })
    .await;

    order(&platform, Orders::default()).await;
    let old = office.ask_consent().await;
    let newer = office.ask_consent().await;
    platform.consents(&old).await.problem(409, "consent-used");
    let query = owner_answers(newer["url"].as_str().unwrap()).await;
    let (forged, state) = query.split('&').map(|pair| pair.split_once('=').unwrap()).fold(
        (String::new(), String::new()),
        |(forged, state), (name, value)| match name {
            "state" => (forged, value.to_owned()),
            _ => (format!("{forged}&{name}={value}"), state),
        },
    );
    for state in ["", "AAAA", &state[..state.len() - 4], &flipped(&state), &"x".repeat(5_000)] {
        platform.callback(&format!("state={state}{forged}")).await.problem(400, "consent-invalid");
    }
    platform.callback(&format!("state={state}")).await.problem(400, "consent-invalid");
    assert_eq!(platform.callback(&query).await.status, 200, "none of that used it up");
    platform.callback(&query).await.problem(409, "consent-used");
    office.in_state("active").await;
    assert_eq!(calls(&platform).await.exchange, 3);
    platform.finish().await;
}

/// With another character in its middle.
fn flipped(state: &str) -> String {
    let middle = state.len() / 2;
    let other = if state.as_bytes()[middle] == b'A' { 'B' } else { 'A' };
    format!("{}{other}{}", &state[..middle], &state[middle + 1..])
}

#[tokio::test]
async fn a_consent_that_took_too_long_is_over_under_faketime() {
    let start = "2027-02-01T09:00:00Z".parse().unwrap();
    let platform = Platform::with(DatabaseKind::Sqlite).at_time(start).start().await;
    let api = platform.tenant("Lindner").await;
    let google = platform.sandbox().client();
    let (_, consent) = platform.google_account(&api, google, ADDRESS, json!({})).await;
    platform.time().unwrap().set(start + Duration::from_mins(70));
    platform.consents(&consent).await.problem(410, "consent-expired");
    platform.finish().await;
}

#[tokio::test]
async fn a_wrong_client_secret_is_told_and_stops_no_mailbox() {
    let platform = Platform::start().await;
    let office = office(&platform, json!({ "daily_cap": 0 })).await;
    replies_wait(&platform, &office, 3).await;
    let wrong = Trouble { status: 401, error: "invalid_client".into(), times: 1, delay_ms: 0, retry_after: None };
    order(&platform, Orders { troubles: vec![wrong], ..Orders::default() }).await;
    platform.sandbox().client().expire_tokens(ADDRESS).await.unwrap();
    let before = calls(&platform).await.refresh;
    cap(&office, 250).await;
    let path = format!("/v1/accounts/{}", office.account_id);
    let account = eventually("the mistake to be told", || async {
        let account = office.api.get(&path).await.ok();
        account["login_problem"].is_string().then_some(account)
    })
    .await;
    assert!(account["login_problem"].as_str().unwrap().contains("invalid_client"), "{account}");
    assert_eq!(account["state"], "active", "it is not the owner's to mend");
    assert_eq!(calls(&platform).await.refresh - before, 1);
    assert!(platform.sandbox().accepted().await.is_empty());
    platform.abandon("its messages wait for a minute until Google is asked again");
}

#[tokio::test]
async fn a_token_that_google_does_not_take_back_is_tried_once_and_again_by_a_redrive() {
    let platform = Platform::start().await;
    let office = office(&platform, json!({})).await;
    order(&platform, Orders { keep: Some((401, "invalid_client".into())), ..Orders::default() }).await;
    office.api.delete(&format!("/v1/accounts/{}", office.account_id)).await.expect_status(204);
    let letter = eventually("the dead letter", || async {
        office.api.all("/v1/dead-letters?kind=revoke_google").await.into_iter().next()
    })
    .await;
    assert!(letter["error"].as_str().unwrap().contains("mend GOOGLE_CLIENT_ID"), "{letter}");
    assert_eq!(calls(&platform).await.revoke, 1, "asking again does not help");

    let google = platform.sandbox().client();
    assert_eq!(google.standing_tokens(ADDRESS).await.unwrap().refresh_tokens, 1);
    order(&platform, Orders::default()).await;
    let path = format!("/v1/dead-letters/{}/redrive", letter["id"].as_str().unwrap());
    let job = office.api.post(&path, &json!({})).await.ok()["redriven_job_id"].as_str().unwrap().to_owned();
    let done = office.api.finished(&job).await;
    assert_eq!(done.output.unwrap()["revoked"], true);
    assert_eq!(google.standing_tokens(ADDRESS).await.unwrap().refresh_tokens, 0);
    platform.finish().await;
}

#[tokio::test]
async fn a_consent_waits_until_a_wrong_client_secret_is_mended() {
    let platform = Platform::start().await;
    let google = platform.sandbox().client();
    let api = platform.tenant("Lindner").await;
    let (account_id, consent) =
        platform.google_account(&api, google, ADDRESS, json!({ "poll_interval_seconds": NEVER })).await;
    let office = Office { tenant_id: String::new(), account_id, address: ADDRESS.into(), api };
    let wrong = Trouble { status: 401, error: "invalid_client".into(), times: 2, delay_ms: 0, retry_after: None };
    order(&platform, Orders { troubles: vec![wrong], ..Orders::default() }).await;
    platform.consents(&consent).await.expect_status(200);
    eventually("the consent to go through", || async {
        for job in office.api.all("/v1/jobs?kind=connect_google&state=scheduled").await {
            // It may have started meanwhile.
            let _ = office.api.post(&format!("/v1/jobs/{}/retry", job["id"].as_str().unwrap()), &json!({})).await;
        }
        let account = office.api.get(&format!("/v1/accounts/{}", office.account_id)).await.ok();
        (account["state"] == "active").then_some(())
    })
    .await;
    let job = office.api.all("/v1/jobs?kind=connect_google").await.remove(0);
    assert_eq!(job["attempt"], 1, "no attempt is burnt: {job}");
    assert_eq!(calls(&platform).await.exchange, 3);
    platform.finish().await;
}

#[tokio::test]
async fn a_consent_whose_code_has_expired_says_what_to_do_under_faketime() {
    let start = "2027-02-01T09:00:00Z".parse().unwrap();
    let platform = Platform::with(DatabaseKind::Sqlite).at_time(start).start().await;
    let google = platform.sandbox().client();
    let api = platform.tenant("Lindner").await;
    let (account_id, consent) = platform.google_account(&api, google, ADDRESS, json!({})).await;
    let office = Office { tenant_id: String::new(), account_id, address: ADDRESS.into(), api };
    let wrong = Trouble { status: 401, error: "invalid_client".into(), times: 99, delay_ms: 0, retry_after: None };
    order(&platform, Orders { troubles: vec![wrong], ..Orders::default() }).await;
    platform.consents(&consent).await.expect_status(200);
    eventually("the job to wait", || async {
        office.api.all("/v1/jobs?kind=connect_google&state=scheduled").await.into_iter().next()
    })
    .await;
    platform.time().unwrap().set(start + Duration::from_mins(11));
    let account = office.in_state("needs_consent").await;
    let reason = account["pause_reason"].as_str().unwrap();
    assert!(reason.contains("GOOGLE_CLIENT_ID") && reason.contains("consent again"), "{account}");
    platform.finish().await;
}
