//! A model that refuses, stops half-way, talks nonsense, invents or is busy: nobody gets a wrong price, nothing is lost.

use postrider_tests::platform::Office;
use postrider_tests::{Platform, eventually, mails};
use serde_json::{Value, json};

const NEVER: u32 = 86_400;

async fn with_fault(platform: &Platform, fault: Value) -> Office {
    let office = platform.workshop(NEVER).await;
    platform.sandbox().fault(fault).await;
    platform.sandbox().deliver(&office.address, mails::mail("27-es-tarjetas-movil.eml").raw).await;
    office.poll().await;
    office
}

/// Runs waiting extractions now until the mail's quote is in one of the states.
async fn quote_in(office: &Office, states: &[&str]) -> Value {
    eventually(&format!("a quote in {states:?}"), || async {
        for job in office.api.all("/v1/jobs?kind=extract_request").await {
            if matches!(job["state"].as_str(), Some("retryable" | "scheduled")) {
                let _ = office.api.post(&format!("/v1/jobs/{}/retry", job["id"].as_str().unwrap()), &json!({})).await;
            }
        }
        let quotes = office.quotes().await;
        quotes.into_iter().find(|quote| states.iter().any(|state| quote["state"] == *state))
    })
    .await
}

async fn ends_for_review(kind: &str) {
    let platform = Platform::start().await;
    let office = with_fault(&platform, json!({ "target": "llm", "kind": kind })).await;
    let quote = quote_in(&office, &["needs_review", "sent"]).await;
    assert_eq!(quote["state"], "needs_review", "{quote:#}");
    assert!(quote["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{quote:#}");
    assert_eq!(quote["total"], Value::Null);
    assert!(platform.sandbox().accepted().await.is_empty());
    platform.finish().await;
}

async fn is_served_in_the_end(fault: Value) {
    let platform = Platform::start().await;
    let office = with_fault(&platform, fault).await;
    let quote = quote_in(&office, &["needs_review", "sent"]).await;
    assert_eq!((&quote["state"], &quote["total"]), (&json!("sent"), &json!("130.90")), "{quote:#}");
    platform.finish().await;
}

#[tokio::test]
async fn a_refusal_goes_to_a_person() {
    ends_for_review("refusal").await;
}

#[tokio::test]
async fn an_answer_that_is_always_cut_goes_to_a_person() {
    ends_for_review("cut").await;
}

#[tokio::test]
async fn answers_that_are_never_json_go_to_a_person() {
    ends_for_review("malformed_json").await;
}

#[tokio::test]
async fn answers_that_never_fit_the_schema_go_to_a_person() {
    ends_for_review("not_in_schema").await;
}

#[tokio::test]
async fn invented_items_go_to_a_person() {
    ends_for_review("invented").await;
}

#[tokio::test]
async fn a_busy_model_is_asked_again_when_it_said() {
    is_served_in_the_end(json!({ "target": "llm", "kind": "rate_limit", "times": 2, "retry_after": 1 })).await;
}

#[tokio::test]
async fn an_error_of_the_models_server_is_tried_again() {
    is_served_in_the_end(json!({ "target": "llm", "kind": "server_error", "times": 2 })).await;
}

#[tokio::test]
async fn a_gateways_error_page_is_tried_again() {
    is_served_in_the_end(json!({ "target": "llm", "kind": "not_json", "times": 1 })).await;
}

#[tokio::test]
async fn a_busy_gateway_with_numeric_codes_is_asked_again() {
    is_served_in_the_end(json!({ "target": "llm", "kind": "numeric_code", "times": 1, "retry_after": 1 })).await;
}
