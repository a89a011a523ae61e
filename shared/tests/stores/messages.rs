use std::time::Duration;

use postrider_queue::ScopeKey;
use postrider_shared::{
    database::AllTenants,
    ids::{MessageId, QuoteId},
    mail::Settled,
    messages::{BeginSending, Draft, Fence, Message, MessageState, Slot, Verdict},
    quotes::QuoteState,
};

use crate::{
    quotes::{priced, rendered},
    scene::{Scene, on_both},
};

on_both!(
    a_message_is_sent_once,
    of_many_that_begin_together_one_holds_the_message,
    an_attempt_that_was_overtaken_sends_nothing,
    a_crash_before_the_data_is_tried_again,
    a_crash_after_the_data_is_in_doubt_and_never_sent_again,
    not_now_is_tried_again_also_after_the_data,
    late_news_settles_a_doubt,
    a_doubt_that_was_given_up_is_ended_by_a_person_either_way,
    a_withdrawn_message_that_did_not_arrive_is_not_sent,
    a_message_withdrawn_while_its_data_is_under_way_does_not_wait_for_ever,
    a_message_withdrawn_while_its_data_is_under_way_may_arrive,
    what_waits_can_be_skipped,
    a_quote_whose_last_day_is_over_is_not_sent_any_more,
    a_quote_that_may_be_out_when_its_last_day_is_over_stays_in_doubt,
    caps_are_seeded_from_the_ledger,
);

pub(crate) async fn planned(scene: &Scene) -> (QuoteId, MessageId) {
    let account = scene.account().await;
    let quote = scene.draft(&scene.mail(&account, 1).await).await;
    scene.stores.quotes.price(scene.tenant, quote.id, 1, priced()).await.unwrap();
    let rendered = rendered(&quote, &account);
    let id = rendered.message.id;
    assert!(scene.stores.quotes.render(scene.tenant, quote.id, 1, rendered).await.unwrap().is_taken());
    (quote.id, id)
}

fn scope() -> ScopeKey {
    ScopeKey::parse("mailbox:sales@example.com").unwrap()
}

async fn begin(scene: &Scene, id: MessageId) -> BeginSending {
    let slot = Slot { scope: Some(scope()), window: Some(scene.now()) };
    scene.stores.messages.begin_sending(scene.tenant, id, slot).await.unwrap()
}

async fn go(scene: &Scene, id: MessageId) -> u32 {
    match begin(scene, id).await {
        BeginSending::Go { attempt, .. } => attempt,
        other => panic!("{other:?}"),
    }
}

async fn data(scene: &Scene, id: MessageId, attempt: u32) -> bool {
    matches!(scene.stores.messages.data_starting(scene.tenant, id, attempt).await.unwrap(), Fence::Open)
}

async fn settle(scene: &Scene, id: MessageId, attempt: u32, verdict: Verdict) -> Settled<Message> {
    scene.stores.messages.settle(scene.tenant, id, attempt, verdict).await.unwrap()
}

fn accepted(scene: &Scene) -> Verdict {
    Verdict::Accepted { at: scene.now(), provider_id: Some("250 queued as 7".to_owned()) }
}

async fn quote_state(scene: &Scene, id: QuoteId) -> QuoteState {
    scene.stores.quotes.get(scene.tenant, id).await.unwrap().state
}

async fn a_message_is_sent_once(scene: Scene) {
    let (quote, id) = planned(&scene).await;
    let attempt = go(&scene, id).await;
    assert_eq!(attempt, 1);
    assert_eq!(quote_state(&scene, quote).await, QuoteState::Sending);
    assert!(data(&scene, id, attempt).await);
    let settled = settle(&scene, id, attempt, accepted(&scene)).await;
    let Settled::Now(message) = settled else { panic!("{settled:?}") };
    assert_eq!((message.state, message.accepted_at), (MessageState::Accepted, Some(scene.now())));
    assert_eq!(quote_state(&scene, quote).await, QuoteState::Sent);

    assert_eq!(begin(&scene, id).await, BeginSending::AlreadySettled(message.clone()));
    assert!(!data(&scene, id, attempt).await);
    let late = Verdict::Failed { reason: "a late 550".to_owned() };
    assert_eq!(settle(&scene, id, attempt, late).await, Settled::Before(message));
    assert!(scene.stores.messages.get(scene.stranger, id).await.is_err());
    assert!(scene.stores.messages.begin_sending(scene.stranger, id, Slot::default()).await.is_err());
}

async fn of_many_that_begin_together_one_holds_the_message(scene: Scene) {
    let (_, id) = planned(&scene).await;
    let begun = futures::future::join_all((0..8).map(|_| begin(&scene, id))).await;
    let mut attempts: Vec<u32> = begun
        .iter()
        .map(|begun| match begun {
            BeginSending::Go { attempt, .. } => *attempt,
            other => panic!("{other:?}"),
        })
        .collect();
    attempts.sort_unstable();
    assert_eq!(attempts, [1, 2, 3, 4, 5, 6, 7, 8], "every opening has its own number");
    let fences = futures::future::join_all((1..=8).map(|attempt| data(&scene, id, attempt))).await;
    assert_eq!(fences.iter().filter(|open| **open).count(), 1);
    assert!(fences[7], "the last one holds it");
}

async fn an_attempt_that_was_overtaken_sends_nothing(scene: Scene) {
    let (quote, id) = planned(&scene).await;
    let sleeper = go(&scene, id).await;
    let second = go(&scene, id).await;
    assert!(!data(&scene, id, sleeper).await);
    let verdict = Verdict::Failed { reason: "the sleeper's".to_owned() };
    assert!(matches!(settle(&scene, id, sleeper, verdict).await, Settled::Before(_)));
    assert!(data(&scene, id, second).await);
    settle(&scene, id, second, accepted(&scene)).await;
    assert_eq!(quote_state(&scene, quote).await, QuoteState::Sent);
}

async fn a_crash_before_the_data_is_tried_again(scene: Scene) {
    let (_, id) = planned(&scene).await;
    go(&scene, id).await;
    // The process ends here. Its successor:
    let attempt = go(&scene, id).await;
    assert_eq!(attempt, 2);
    assert!(data(&scene, id, attempt).await);
}

async fn a_crash_after_the_data_is_in_doubt_and_never_sent_again(scene: Scene) {
    let (quote, id) = planned(&scene).await;
    let attempt = go(&scene, id).await;
    assert!(data(&scene, id, attempt).await);
    let begun = begin(&scene, id).await;
    let BeginSending::InDoubt(message) = begun else { panic!("{begun:?}") };
    assert_eq!((message.state, message.attempt()), (MessageState::Unknown, 1));
    assert!(message.reason.is_some());
    assert!(matches!(begin(&scene, id).await, BeginSending::AlreadySettled(_)));
    assert_eq!(quote_state(&scene, quote).await, QuoteState::Sending);

    let messages = &scene.stores.messages;
    assert!(messages.doubtful(AllTenants, scene.now(), 10).await.unwrap().is_empty());
    scene.clock.advance(Duration::from_hours(7 * 24));
    assert_eq!(messages.doubtful(AllTenants, scene.now(), 10).await.unwrap().len(), 1);
    assert_eq!(messages.give_up(AllTenants, scene.now(), 10).await.unwrap(), 1);
    let message = messages.get(scene.tenant, id).await.unwrap();
    assert_eq!(begin(&scene, id).await, BeginSending::AlreadySettled(message));
}

async fn a_doubt_that_was_given_up_is_ended_by_a_person_either_way(scene: Scene) {
    let (quote, id) = planned(&scene).await;
    let attempt = go(&scene, id).await;
    assert!(data(&scene, id, attempt).await);
    assert!(matches!(begin(&scene, id).await, BeginSending::InDoubt(_)));
    scene.clock.advance(Duration::from_hours(7 * 24 + 1));
    let messages = &scene.stores.messages;
    assert_eq!(messages.give_up(AllTenants, scene.now(), 10).await.unwrap(), 1);
    let failed = Verdict::Failed { reason: "it did not arrive".to_owned() };
    let settled = settle(&scene, id, attempt, failed).await;
    let Settled::Now(message) = settled else { panic!("its quote is sending for ever: {settled:?}") };
    assert_eq!((message.state, message.was_buried()), (MessageState::Failed, false));
    assert_eq!(quote_state(&scene, quote).await, QuoteState::Failed);
    assert!(matches!(begin(&scene, id).await, BeginSending::AlreadySettled(_)));
}

/// The job ends with that answer, whatever it is: nobody would try again.
async fn a_message_withdrawn_while_its_data_is_under_way_does_not_wait_for_ever(scene: Scene) {
    let (quote, id) = planned(&scene).await;
    let messages = &scene.stores.messages;
    let attempt = go(&scene, id).await;
    assert!(data(&scene, id, attempt).await);
    messages.withdraw(scene.tenant, id).await.unwrap();
    messages.withdraw(scene.tenant, id).await.unwrap();
    assert_eq!(messages.get(scene.tenant, id).await.unwrap().state, MessageState::Sending, "the server has the word");
    let verdict = Verdict::Refused { reason: "451 try again later".to_owned() };
    settle(&scene, id, attempt, verdict).await;
    let message = messages.get(scene.tenant, id).await.unwrap();
    assert_eq!((message.state, message.reason.as_deref()), (MessageState::Skipped, Some("its job was cancelled")));
    assert_eq!(quote_state(&scene, quote).await, QuoteState::Failed);
    assert!(matches!(begin(&scene, id).await, BeginSending::AlreadySettled(_)));
}

async fn a_message_withdrawn_while_its_data_is_under_way_may_arrive(scene: Scene) {
    let (quote, id) = planned(&scene).await;
    let attempt = go(&scene, id).await;
    assert!(data(&scene, id, attempt).await);
    scene.stores.messages.withdraw(scene.tenant, id).await.unwrap();
    settle(&scene, id, attempt, accepted(&scene)).await;
    let message = scene.stores.messages.get(scene.tenant, id).await.unwrap();
    assert_eq!((message.state, message.reason), (MessageState::Accepted, None));
    assert_eq!(quote_state(&scene, quote).await, QuoteState::Sent);
}

/// Whoever withdrew it is not undone by who says that it did not arrive.
async fn a_withdrawn_message_that_did_not_arrive_is_not_sent(scene: Scene) {
    let (_, id) = planned(&scene).await;
    let messages = &scene.stores.messages;
    let begun = messages.begin_drafting(scene.tenant, id, Slot::default()).await.unwrap();
    let BeginSending::Go { attempt, .. } = begun else { panic!("{begun:?}") };
    let draft = Draft { id: "one".to_owned(), thread_id: "thread-1".to_owned() };
    messages.store_draft(scene.tenant, id, attempt, draft).await.unwrap();
    assert!(data(&scene, id, attempt).await);
    messages.withdraw(scene.tenant, id).await.unwrap();
    let failed = Verdict::Failed { reason: "it did not arrive".to_owned() };
    assert!(matches!(settle(&scene, id, attempt, failed).await, Settled::Now(_)));
    let begun = messages.begin_drafting(scene.tenant, id, Slot::default()).await.unwrap();
    assert!(matches!(begun, BeginSending::AlreadySettled(_)), "a redrive of its job sends it: {begun:?}");
}

async fn not_now_is_tried_again_also_after_the_data(scene: Scene) {
    let (_, id) = planned(&scene).await;
    let attempt = go(&scene, id).await;
    assert!(data(&scene, id, attempt).await);
    let verdict = Verdict::Refused { reason: "451 try again later".to_owned() };
    assert!(matches!(settle(&scene, id, attempt, verdict).await, Settled::Now(_)));
    assert!(!data(&scene, id, attempt).await, "a closed attempt sends nothing");
    assert_eq!(scene.stores.messages.used(scene.tenant, &scope(), &[], scene.now()).await.unwrap(), 0);
    let attempt = go(&scene, id).await;
    assert_eq!(attempt, 2);
    assert!(data(&scene, id, attempt).await);
}

async fn late_news_settles_a_doubt(scene: Scene) {
    let (quote, id) = planned(&scene).await;
    let attempt = go(&scene, id).await;
    assert!(data(&scene, id, attempt).await);
    // Another worker takes over while the first one still waits for its answer, which then comes.
    assert!(matches!(begin(&scene, id).await, BeginSending::InDoubt(_)));
    let refused = Verdict::Refused { reason: "not for a doubt".to_owned() };
    assert!(matches!(settle(&scene, id, attempt, refused).await, Settled::Before(_)));
    assert!(matches!(settle(&scene, id, attempt, accepted(&scene)).await, Settled::Now(_)));
    assert_eq!(quote_state(&scene, quote).await, QuoteState::Sent);
}

async fn what_waits_can_be_skipped(scene: Scene) {
    let (quote, id) = planned(&scene).await;
    let attempt = go(&scene, id).await;
    let skip = || scene.stores.messages.skip(scene.tenant, id, "cancelled");
    assert!(data(&scene, id, attempt).await);
    assert!(matches!(skip().await.unwrap(), Settled::Before(_)), "the server may have taken it");
    settle(&scene, id, attempt, Verdict::Refused { reason: "421".to_owned() }).await;
    let attempt = go(&scene, id).await;
    let skipped = skip().await.unwrap();
    assert!(matches!(&skipped, Settled::Now(message) if message.state == MessageState::Skipped));
    assert!(!data(&scene, id, attempt).await, "an open attempt hands it over all the same");
    assert_eq!(quote_state(&scene, quote).await, QuoteState::Failed);
    assert!(matches!(begin(&scene, id).await, BeginSending::AlreadySettled(_)));
}

async fn caps_are_seeded_from_the_ledger(scene: Scene) {
    let (_, id) = planned(&scene).await;
    let messages = &scene.stores.messages;
    let used = async |since| messages.used(scene.tenant, &scope(), &[], since).await.unwrap();
    let yesterday = scene.now();
    assert_eq!(used(yesterday).await, 0);
    let attempt = go(&scene, id).await;
    scene.clock.advance(Duration::from_hours(24));
    let today = scene.now();
    assert_eq!(used(today).await, 1, "an open attempt may still be accepted today");
    assert!(data(&scene, id, attempt).await);
    settle(&scene, id, attempt, Verdict::Accepted { at: yesterday, provider_id: None }).await;
    assert_eq!((used(yesterday).await, used(today).await), (1, 0));
    assert_eq!(messages.used(scene.stranger, &scope(), &[], yesterday).await.unwrap(), 0);
    let other = ScopeKey::parse("mailbox:other").unwrap();
    assert_eq!(messages.used(scene.tenant, &other, &[], yesterday).await.unwrap(), 0);
    let account = messages.get(scene.tenant, id).await.unwrap().account_id;
    let moved = async |tenant, since| messages.used(tenant, &other, &[account], since).await.unwrap();
    assert_eq!(moved(scene.tenant, yesterday).await, 1, "its account was at another address then");
    assert_eq!((moved(scene.tenant, today).await, moved(scene.stranger, yesterday).await), (0, 0));
}

/// The mailbox was paused, or its server away, for longer than the quote holds.
async fn a_quote_whose_last_day_is_over_is_not_sent_any_more(scene: Scene) {
    let (quote, id) = planned(&scene).await;
    let last_day = scene.stores.quotes.get(scene.tenant, quote).await.unwrap().valid_until.unwrap();
    let over = last_day.succ_opt().unwrap().and_time(chrono::NaiveTime::MIN).and_utc();
    scene.clock.set(over - chrono::TimeDelta::seconds(1));
    let attempt = go(&scene, id).await;
    let refused = Verdict::Refused { reason: "451 try again later".to_owned() };
    settle(&scene, id, attempt, refused).await;
    scene.clock.set(over);
    let BeginSending::AlreadySettled(message) = begin(&scene, id).await else { panic!("it is sent all the same") };
    assert_eq!(message.state, MessageState::Skipped);
    assert!(message.reason.unwrap().contains("2026-12-21"));
    let settled = scene.stores.quotes.get(scene.tenant, quote).await.unwrap();
    assert_eq!(settled.state, QuoteState::Failed);
    assert!(settled.reason.unwrap().contains("revise the quote"), "its owner learns what to do");
    assert!(matches!(begin(&scene, id).await, BeginSending::AlreadySettled(_)));
}

async fn a_quote_that_may_be_out_when_its_last_day_is_over_stays_in_doubt(scene: Scene) {
    let (_, id) = planned(&scene).await;
    let attempt = go(&scene, id).await;
    assert!(data(&scene, id, attempt).await);
    scene.clock.advance(Duration::from_hours(24 * 365));
    assert!(matches!(begin(&scene, id).await, BeginSending::InDoubt(_)));
}
