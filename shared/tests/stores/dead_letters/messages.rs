//! Messages whose job is a dead letter: what the ledger says of them, and that none goes out twice.

use postrider_queue::{Job, Lane};
use postrider_shared::{
    database::AllTenants,
    dead_letters::{DeadLetter, DeadLetterFilter, Edit, Redriver},
    ids::MessageId,
    jobs::{PriceQuote, SendEmail},
    messages::{BeginSending, Fence, Message, MessageState, Slot, Verdict},
    quotes::{By, QuoteState, Revision},
};

use super::{bulk::Away, letter};
use crate::{
    messages::planned,
    outbox::Tray,
    scene::{Scene, on_both},
};

on_both!(
    a_message_whose_job_died_has_failed_until_it_is_redriven,
    a_letter_that_is_archived_again_does_not_bury_what_was_redriven,
    what_was_handed_over_or_settled_is_not_buried,
    a_reply_of_an_earlier_revision_is_not_redriven,
    many_messages_are_redriven_and_fail_again_if_there_is_no_room,
    a_message_that_was_given_up_can_be_redriven,
);

async fn message(scene: &Scene, id: MessageId) -> Message {
    scene.stores.messages.get(scene.tenant, id).await.unwrap()
}

async fn quote_of(scene: &Scene, id: MessageId) -> QuoteState {
    let quote = message(scene, id).await.quote_id.unwrap();
    scene.stores.quotes.get(scene.tenant, quote).await.unwrap().state
}

async fn both(scene: &Scene, id: MessageId) -> (MessageState, QuoteState) {
    (message(scene, id).await.state, quote_of(scene, id).await)
}

async fn begin(scene: &Scene, id: MessageId) -> BeginSending {
    scene.stores.messages.begin_sending(scene.tenant, id, Slot::default()).await.unwrap()
}

async fn go(scene: &Scene, id: MessageId) -> u32 {
    match begin(scene, id).await {
        BeginSending::Go { attempt, .. } => attempt,
        other => panic!("{other:?}"),
    }
}

async fn data(scene: &Scene, id: MessageId, attempt: u32) -> bool {
    scene.stores.messages.data_starting(scene.tenant, id, attempt).await.unwrap() == Fence::Open
}

fn death(scene: &Scene, id: MessageId, number: u64) -> postrider_queue::DeadLetter {
    let mut letter = letter(scene, number);
    letter.record.kind = SendEmail::KIND;
    letter.record.payload = serde_json::to_vec(&SendEmail { message_id: id, lane: Lane::default() }).unwrap();
    letter.error = "the token endpoint is away\0".into();
    letter
}

async fn die(scene: &Scene, id: MessageId, number: u64) -> DeadLetter {
    scene.stores.dead_letters.archive(AllTenants, &[death(scene, id, number)]).await.unwrap();
    let page = scene.stores.dead_letters.list(scene.tenant, &DeadLetterFilter::default(), None, 100).await.unwrap();
    page.items.into_iter().find(|letter| letter.death_number == number.cast_signed()).unwrap()
}

const FAILED: (MessageState, QuoteState) = (MessageState::Failed, QuoteState::Failed);
const SENDING: (MessageState, QuoteState) = (MessageState::Sending, QuoteState::Sending);

async fn a_message_whose_job_died_has_failed_until_it_is_redriven(scene: Scene) {
    let tray = Tray::default();
    let redriver = Redriver::new(scene.stores.dead_letters.clone(), &tray);
    let (_, id) = planned(&scene).await;
    let sleeper = go(&scene, id).await;
    let first = die(&scene, id, 1).await;
    assert_eq!(both(&scene, id).await, FAILED);
    let reason = message(&scene, id).await.reason.unwrap();
    assert_eq!(reason, "its job failed for good: the token endpoint is away");
    assert!(!data(&scene, id, sleeper).await, "whoever still believes to send it may not");

    redriver.redrive(scene.tenant, first.id, None).await.unwrap();
    assert_eq!(both(&scene, id).await, SENDING);
    assert_eq!(message(&scene, id).await.reason, None);
    assert!(!data(&scene, id, sleeper).await);
    // It dies again before it comes to an attempt, and is redriven again.
    let second = die(&scene, id, 2).await;
    assert_eq!(both(&scene, id).await, FAILED);
    redriver.redrive(scene.tenant, second.id, None).await.unwrap();
    let attempt = go(&scene, id).await;
    assert_eq!((attempt, data(&scene, id, sleeper).await, data(&scene, id, attempt).await), (2, false, true));
    let verdict = Verdict::Accepted { at: scene.now(), provider_id: None };
    scene.stores.messages.settle(scene.tenant, id, attempt, verdict).await.unwrap();
    assert_eq!(both(&scene, id).await, (MessageState::Accepted, QuoteState::Sent));

    // The job ended before the queue heard of it, and dies of something else: its message is out.
    let third = die(&scene, id, 3).await;
    redriver.redrive(scene.tenant, third.id, None).await.unwrap();
    assert_eq!(both(&scene, id).await, (MessageState::Accepted, QuoteState::Sent));
    assert!(matches!(begin(&scene, id).await, BeginSending::AlreadySettled(_)));
}

async fn a_letter_that_is_archived_again_does_not_bury_what_was_redriven(scene: Scene) {
    let tray = Tray::default();
    let redriver = Redriver::new(scene.stores.dead_letters.clone(), &tray);
    let (_, id) = planned(&scene).await;
    let first = die(&scene, id, 1).await;
    assert_eq!(both(&scene, id).await, FAILED, "it did not come to an attempt");
    redriver.redrive(scene.tenant, first.id, None).await.unwrap();
    die(&scene, id, 1).await;
    assert_eq!(both(&scene, id).await, SENDING);
    let stranger = death(&scene, id, 2);
    let mut record = stranger.record.clone();
    record.tenant = scene.stranger.into();
    let stranger = postrider_queue::DeadLetter { record, ..stranger };
    scene.stores.dead_letters.archive(AllTenants, &[stranger]).await.unwrap();
    assert_eq!(both(&scene, id).await, SENDING, "another tenant's job says nothing about it");
}

async fn what_was_handed_over_or_settled_is_not_buried(scene: Scene) {
    let tray = Tray::default();
    let redriver = Redriver::new(scene.stores.dead_letters.clone(), &tray);
    let (_, id) = planned(&scene).await;
    let attempt = go(&scene, id).await;
    assert!(data(&scene, id, attempt).await);
    let letter = die(&scene, id, 1).await;
    assert_eq!(both(&scene, id).await, SENDING, "the server may have it");
    redriver.redrive(scene.tenant, letter.id, None).await.unwrap();
    assert!(matches!(begin(&scene, id).await, BeginSending::InDoubt(_)));
    let verdict = Verdict::Failed { reason: "550 no such user".to_owned() };
    scene.stores.messages.settle(scene.tenant, id, attempt, verdict).await.unwrap();
    let letter = die(&scene, id, 2).await;
    redriver.redrive(scene.tenant, letter.id, None).await.unwrap();
    assert_eq!(message(&scene, id).await.reason.as_deref(), Some("550 no such user"));
    assert_eq!(both(&scene, id).await, FAILED);
    assert!(matches!(begin(&scene, id).await, BeginSending::AlreadySettled(_)));
}

async fn a_reply_of_an_earlier_revision_is_not_redriven(scene: Scene) {
    let tray = Tray::default();
    let redriver = Redriver::new(scene.stores.dead_letters.clone(), &tray);
    let (quote, id) = planned(&scene).await;
    let letter = die(&scene, id, 1).await;
    let revision = Revision { lines: None, review: None, by: By::SYSTEM };
    let job = postrider_queue::NewJob::of(scene.tenant.into(), &PriceQuote { quote_id: quote }).unwrap();
    scene.stores.quotes.revise(scene.tenant, quote, revision, &job).await.unwrap();
    redriver.redrive(scene.tenant, letter.id, None).await.unwrap();
    assert_eq!(both(&scene, id).await, (MessageState::Failed, QuoteState::Draft));
    assert!(matches!(begin(&scene, id).await, BeginSending::AlreadySettled(_)));
}

async fn many_messages_are_redriven_and_fail_again_if_there_is_no_room(scene: Scene) {
    let letters = &scene.stores.dead_letters;
    let (_, id) = planned(&scene).await;
    let letter = die(&scene, id, 1).await;
    let full = Redriver::new(letters.clone(), Away::Full);
    assert!(full.redrive(scene.tenant, letter.id, None).await.is_err());
    assert_eq!(both(&scene, id).await, FAILED);
    let all = DeadLetterFilter::default();
    let step = full.redrive_many(scene.tenant, &all, &Edit::AsItDied, None, 10).await.unwrap();
    assert_eq!((step.no_room, both(&scene, id).await), (true, FAILED));
    let tray = Tray::default();
    let redriver = Redriver::new(letters.clone(), &tray);
    let step = redriver.redrive_many(scene.tenant, &all, &Edit::AsItDied, None, 10).await.unwrap();
    assert_eq!((step.settled, both(&scene, id).await), (1, SENDING));

    // A queue that refuses it because another job stands for it.
    die(&scene, id, 2).await;
    *tray.holder.lock().unwrap() = Some(postrider_queue::JobId::derived(2, &["holder"]));
    let step = redriver.redrive_many(scene.tenant, &all, &Edit::AsItDied, None, 10).await.unwrap();
    assert_eq!((step.refused, both(&scene, id).await), (1, FAILED));
    assert_eq!(go(&scene, id).await, 1, "that one sends it all the same");
    assert_eq!(both(&scene, id).await, SENDING);
}

async fn a_message_that_was_given_up_can_be_redriven(scene: Scene) {
    let tray = Tray::default();
    let redriver = Redriver::new(scene.stores.dead_letters.clone(), &tray);
    let (_, id) = planned(&scene).await;
    let attempt = go(&scene, id).await;
    assert!(data(&scene, id, attempt).await);
    let verdict = Verdict::GivenUp { reason: "451 later".to_owned() };
    scene.stores.messages.settle(scene.tenant, id, attempt, verdict).await.unwrap();
    assert_eq!(both(&scene, id).await, FAILED);
    let letter = die(&scene, id, 1).await;
    assert_eq!(message(&scene, id).await.reason.as_deref(), Some("451 later"));
    redriver.redrive(scene.tenant, letter.id, None).await.unwrap();
    assert_eq!(both(&scene, id).await, SENDING);
    assert_eq!(go(&scene, id).await, 2);
    assert!(!data(&scene, id, attempt).await);
}
