use std::collections::HashSet;

use chrono::DateTime;
use postrider_queue::{Job, Lane, LaneName, NewJob, ScopeKey, Tenant};
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::ids::{AccountId, CodeId, ConsentId, InvitationId, MailId, MessageId, NoticeId, QuoteId};

/// What travels through Redis, to the byte, for one payload of each kind.
pub(super) fn payload<J: Job>(job: &J) -> String {
    let job = NewJob::of(Tenant::parse("t").unwrap(), job).unwrap();
    format!("{} in {}: {}", job.kind, job.queue, String::from_utf8(job.payload).unwrap())
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

#[test]
fn payloads_on_the_wire() {
    let lane = Lane::with_scopes(
        LaneName::parse("account:1:transactional").unwrap(),
        vec![ScopeKey::parse("mailbox:sales@example.com").unwrap()],
    );
    let wire = [
        payload(&PollMailbox { account_id: AccountId(id(1)), planned_at: None }),
        payload(&PollMailbox { account_id: AccountId(id(1)), planned_at: DateTime::from_timestamp(1_790_000_000, 0) }),
        payload(&ExtractRequest { mail_id: MailId(id(2)) }),
        payload(&PriceQuote { quote_id: QuoteId(id(3)) }),
        payload(&RenderQuote { quote_id: QuoteId(id(3)), revision: 1 }),
        payload(&ConnectGoogle { consent_id: ConsentId(id(5)) }),
        payload(&RevokeGoogle { account_id: AccountId(id(1)) }),
        payload(&SettleDeadLetters {
            action: DeadLetterAction::Redrive,
            filter: crate::dead_letters::DeadLetterFilter { kind: Some("send_email".to_owned()), ..Default::default() },
            limit: 1000,
            payload: None,
            patch: None,
            dry_run: false,
            request_id: Some("request".to_owned()),
        }),
        payload(&CancelJobs {
            filter: WaitingJobs { kind: Some("diagnostic.echo".to_owned()), ..Default::default() },
            dry_run: false,
        }),
        payload(&RotateSecrets { to: "k2".to_owned() }),
        payload(&DeleteTenant {
            tenant_id: crate::ids::TenantId(id(8)),
            due: chrono::DateTime::from_timestamp(1_790_000_000, 0).unwrap(),
        }),
        payload(&TendDrafts { account_id: AccountId(id(1)) }),
        payload(&MailCode { code_id: CodeId(id(6)) }),
        payload(&MailInvitation { invitation_id: InvitationId(id(7)) }),
        payload(&MailNotice { notice_id: NoticeId(id(9)) }),
        payload(&FetchKeySet { issuer: "https://login.example.com".to_owned() }),
        payload(&SendEmail { message_id: MessageId(id(4)), lane }),
    ];
    insta::assert_snapshot!(wire.join("\n"));
}

#[test]
fn the_catalogue_as_clients_see_it() {
    // The diagnostic ones have theirs in their own file.
    let listing: Vec<_> = catalogue()
        .iter()
        .filter(|kind| !kind.kind.as_str().starts_with("diagnostic."))
        .map(|kind| {
            let by = match kind.submit {
                Submit::Never => "nobody",
                Submit::By(permission) => permission.as_str(),
            };
            json!({ "kind": kind.kind, "queue": kind.queue, "submit": by, "lane": kind.chooses_lane, "schema": kind.schema })
        })
        .collect();
    insta::assert_json_snapshot!(listing);
}

#[test]
fn names_and_aliases_are_taken_once() {
    let names: Vec<&str> =
        catalogue().iter().flat_map(|kind| kind.aliases.iter().copied().chain([kind.kind.as_str()])).collect();
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
    assert!(find("send_email").is_some());
    assert!(find("send_fax").is_none());
}

#[test]
fn every_queue_of_a_kind_exists() {
    for kind in catalogue() {
        kind.queue.as_str().parse::<Queue>().unwrap();
    }
}

#[test]
fn a_payload_that_does_not_fit_is_explained() {
    let tenant = || Tenant::parse("t").unwrap();
    let refused = |kind: &str, payload| find(kind).unwrap().new_job(tenant(), payload).unwrap_err().to_string();
    assert!(refused("diagnostic.sleep", json!({"ms": "soon"})).contains("diagnostic.sleep"));
    assert!(refused("diagnostic.sleep", json!({"ms": 600_001})).contains("600000"));
    assert!(refused("diagnostic.crash", json!({"extra": true})).contains("extra"));
    assert!(refused("poll_mailbox", json!({"account_id": "me"})).contains("UUID"));
    let job = find("diagnostic.echo").unwrap().new_job(tenant(), json!({"data": 1})).unwrap();
    assert_eq!(job.payload, br#"{"data":1}"#);
}

/// A customer's request must not wait for a person because the model, the database or a mail server was away for an hour.
#[test]
fn no_step_of_a_quote_is_a_dead_letter_after_an_hour() {
    fn patience<J: Job>() -> std::time::Duration {
        // Delays are drawn evenly from zero up.
        (1..J::MAX_ATTEMPTS).map(|attempt| J::BACKOFF.ceiling(attempt) / 2).sum()
    }
    let hour = std::time::Duration::from_hours(1);
    let steps =
        [patience::<ExtractRequest>(), patience::<PriceQuote>(), patience::<RenderQuote>(), patience::<SendEmail>()];
    assert!(steps.iter().all(|patience| *patience > hour), "{steps:?}");
}
