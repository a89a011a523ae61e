use std::{collections::HashSet, time::Duration};

use chrono::TimeDelta;
use postrider_shared::{
    accounts::Account,
    database::AllTenants,
    ids::MessageId,
    messages::{BeginSending, DOUBT_ENDS, Draft, Fence, Message, MessageState, PlannedMessage, Slot, Verdict},
};

use crate::{
    messages::planned,
    scene::{Scene, on_both},
};

on_both!(
    the_first_draft_that_is_stored_is_the_messages_own,
    an_attempt_that_was_overtaken_stores_no_draft,
    a_draft_that_was_cut_off_is_taken_up,
    a_draft_in_doubt_is_taken_up_until_somebody_settles_it,
    whoever_looks_after_a_draft_is_given_time,
    without_drafts_a_started_one_is_in_doubt_and_another_is_forgotten,
    answers_to_the_final_message_id_find_the_thread,
    drafts_about_which_nothing_can_be_done_keep_no_others_behind_them,
    accounts_with_something_left_of_drafts_are_known,
);

fn draft(id: &str) -> Draft {
    Draft { id: id.to_owned(), thread_id: "thread-1".to_owned() }
}

async fn begin(scene: &Scene, id: MessageId) -> (u32, Message) {
    match scene.stores.messages.begin_drafting(scene.tenant, id, Slot::default()).await.unwrap() {
        BeginSending::Go { attempt, message } => (attempt, message),
        other => panic!("{other:?}"),
    }
}

async fn store(scene: &Scene, id: MessageId, attempt: u32, name: &str) -> bool {
    matches!(scene.stores.messages.store_draft(scene.tenant, id, attempt, draft(name)).await.unwrap(), Fence::Open)
}

async fn start(scene: &Scene, id: MessageId, attempt: u32) -> bool {
    matches!(scene.stores.messages.data_starting(scene.tenant, id, attempt).await.unwrap(), Fence::Open)
}

async fn the_first_draft_that_is_stored_is_the_messages_own(scene: Scene) {
    let (_, id) = planned(&scene).await;
    let (first, message) = begin(&scene, id).await;
    assert_eq!(message.draft_id, None);
    assert!(store(&scene, id, first, "one").await);
    assert!(!store(&scene, id, first, "two").await, "there is one draft for all attempts");
    let (second, message) = begin(&scene, id).await;
    assert_eq!((second, message.draft_id.as_deref()), (2, Some("one")));
    assert!(!store(&scene, id, second, "three").await);
    let message = scene.stores.messages.get(scene.tenant, id).await.unwrap();
    assert_eq!((message.draft_id.as_deref(), message.provider_thread_id.as_deref()), (Some("one"), Some("thread-1")));
    assert!(scene.stores.messages.store_draft(scene.stranger, id, second, draft("x")).await.is_err());
}

async fn an_attempt_that_was_overtaken_stores_no_draft(scene: Scene) {
    let (_, id) = planned(&scene).await;
    let (sleeper, _) = begin(&scene, id).await;
    let (second, _) = begin(&scene, id).await;
    assert!(!store(&scene, id, sleeper, "late").await);
    assert!(store(&scene, id, second, "one").await);
    assert!(!start(&scene, id, sleeper).await);
    assert!(start(&scene, id, second).await);
}

async fn a_draft_that_was_cut_off_is_taken_up(scene: Scene) {
    let (_, id) = planned(&scene).await;
    let (first, _) = begin(&scene, id).await;
    assert!(store(&scene, id, first, "one").await && start(&scene, id, first).await);
    let (second, message) = begin(&scene, id).await;
    assert!(message.data_started_at.is_some(), "whoever goes on has to look first");
    assert!(!start(&scene, id, first).await);
    assert!(start(&scene, id, second).await);
    let accepted = Verdict::Accepted { at: scene.now(), provider_id: Some("m-1".to_owned()) };
    scene.stores.messages.settle(scene.tenant, id, second, accepted).await.unwrap();
    let settled = scene.stores.messages.begin_drafting(scene.tenant, id, Slot::default()).await.unwrap();
    assert!(matches!(settled, BeginSending::AlreadySettled(_)), "{settled:?}");
}

async fn a_draft_in_doubt_is_taken_up_until_somebody_settles_it(scene: Scene) {
    let (_, id) = planned(&scene).await;
    let messages = &scene.stores.messages;
    let (first, _) = begin(&scene, id).await;
    assert!(store(&scene, id, first, "one").await && start(&scene, id, first).await);
    let unknown = || Verdict::Unknown { reason: "lost".to_owned() };
    messages.settle(scene.tenant, id, first, unknown()).await.unwrap();
    let at_once = messages.begin_sending(scene.tenant, id, Slot::default()).await.unwrap();
    assert!(matches!(at_once, BeginSending::AlreadySettled(_)), "only who can look may go on: {at_once:?}");
    let (second, message) = begin(&scene, id).await;
    assert_eq!((message.state, second), (MessageState::Sending, 2));
    assert!(message.data_started_at.is_some() && message.draft_id.is_some(), "the doubt stays until somebody looked");
    let begun = messages.begin_sending(scene.tenant, id, Slot::default()).await.unwrap();
    assert!(matches!(begun, BeginSending::InDoubt(_)), "it is not sent beside its draft: {begun:?}");
    let (third, _) = begin(&scene, id).await;
    assert!(!start(&scene, id, second).await);
    messages.settle(scene.tenant, id, third, unknown()).await.unwrap();
    let arrived_not = Verdict::Failed { reason: "a person says so".to_owned() };
    messages.settle(scene.tenant, id, third, arrived_not).await.unwrap();
    assert!(!start(&scene, id, third).await, "whoever had looked before sends nothing");
    let settled = messages.begin_drafting(scene.tenant, id, Slot::default()).await.unwrap();
    assert!(matches!(settled, BeginSending::AlreadySettled(_)), "{settled:?}");
}

async fn whoever_looks_after_a_draft_is_given_time(scene: Scene) {
    let (_, id) = planned(&scene).await;
    let (first, _) = begin(&scene, id).await;
    assert!(store(&scene, id, first, "one").await && start(&scene, id, first).await);
    scene.clock.advance(Duration::from_hours(1));
    let unsettled = || scene.stores.messages.unsettled(AllTenants, scene.now() - TimeDelta::minutes(10), 10);
    assert_eq!(unsettled().await.unwrap().len(), 1);
    begin(&scene, id).await;
    assert!(unsettled().await.unwrap().is_empty(), "it is not in doubt for good while somebody looks");
    scene.clock.advance(Duration::from_mins(11));
    assert_eq!(unsettled().await.unwrap().len(), 1);
}

async fn without_drafts_a_started_one_is_in_doubt_and_another_is_forgotten(scene: Scene) {
    let (_, id) = planned(&scene).await;
    let (first, _) = begin(&scene, id).await;
    assert!(store(&scene, id, first, "one").await);
    let begun = scene.stores.messages.begin_sending(scene.tenant, id, Slot::default()).await.unwrap();
    let BeginSending::Go { attempt, message } = begun else { panic!("{begun:?}") };
    assert_eq!((attempt, message.draft_id), (2, None), "it is not sent beside what goes out now");
    assert!(start(&scene, id, 2).await);
    let begun = scene.stores.messages.begin_drafting(scene.tenant, id, Slot::default()).await.unwrap();
    assert!(
        matches!(begun, BeginSending::InDoubt(_)),
        "what went to a server without drafts stays in doubt: {begun:?}"
    );
}

async fn answers_to_the_final_message_id_find_the_thread(scene: Scene) {
    let (_, id) = planned(&scene).await;
    let (attempt, _) = begin(&scene, id).await;
    assert!(store(&scene, id, attempt, "one").await && start(&scene, id, attempt).await);
    let unknown = Verdict::Unknown { reason: "lost".to_owned() };
    scene.stores.messages.settle(scene.tenant, id, attempt, unknown).await.unwrap();
    let message = scene.stores.messages.get(scene.tenant, id).await.unwrap();
    let ends = |tenant| scene.stores.messages.loose_ends(tenant, message.account_id, 10);
    assert_eq!(ends(scene.tenant).await.unwrap().len(), 1);
    assert!(ends(scene.stranger).await.unwrap().is_empty());
    let accepted = Verdict::Accepted { at: scene.now(), provider_id: Some("m-1".to_owned()) };
    scene.stores.messages.settle(scene.tenant, id, attempt, accepted).await.unwrap();
    assert_eq!(ends(scene.tenant).await.unwrap().len(), 1, "its Message-ID is not known yet");
    scene.stores.messages.sent_as(scene.tenant, id, "<final@mail.example>").await.unwrap();
    let message = scene.stores.messages.get(scene.tenant, id).await.unwrap();
    assert_eq!(
        (message.state, message.sent_message_id.as_deref()),
        (MessageState::Accepted, Some("final@mail.example"))
    );
    assert!(ends(scene.tenant).await.unwrap().is_empty());
}

/// A message whose draft is in doubt, of an account.
async fn in_doubt(scene: &Scene, account: &Account) -> MessageId {
    let id = MessageId::random();
    let message = PlannedMessage::alone(id, account, "jo@customer.example");
    scene.stores.messages.plan(scene.tenant, message).await.unwrap();
    let (attempt, _) = begin(scene, id).await;
    assert!(store(scene, id, attempt, &id.to_string()).await && start(scene, id, attempt).await);
    let unknown = Verdict::Unknown { reason: "lost".to_owned() };
    scene.stores.messages.settle(scene.tenant, id, attempt, unknown).await.unwrap();
    id
}

async fn drafts_about_which_nothing_can_be_done_keep_no_others_behind_them(scene: Scene) {
    const FEW: u64 = 3;
    let account = scene.account().await;
    let (mut ends, mut unwanted) = (HashSet::new(), HashSet::new());
    for _ in 0..=FEW {
        ends.insert(in_doubt(&scene, &account).await);
        let withdrawn = in_doubt(&scene, &account).await;
        scene.stores.messages.withdraw(scene.tenant, withdrawn).await.unwrap();
        unwanted.insert(withdrawn);
        scene.clock.advance(Duration::from_secs(1));
    }
    let messages = &scene.stores.messages;
    // That one of them is never drawn is about as likely as that the machine breaks meanwhile.
    for _ in 0..200 {
        let shown = messages.loose_ends(scene.tenant, account.id, FEW).await.unwrap();
        assert_eq!(shown.len(), 3);
        assert!(shown.iter().all(|message| !unwanted.contains(&message.id)));
        ends.retain(|id| shown.iter().all(|message| message.id != *id));
        let shown = messages.unwanted_drafts(scene.tenant, account.id, FEW).await.unwrap();
        unwanted.retain(|id| shown.iter().all(|message| message.id != *id));
        if ends.is_empty() && unwanted.is_empty() {
            return;
        }
    }
    panic!("nobody ever looks at {ends:?} and {unwanted:?}");
}

async fn accounts_with_something_left_of_drafts_are_known(scene: Scene) {
    let accounts = [scene.account().await, scene.account().await, scene.account().await];
    in_doubt(&scene, &accounts[1]).await;
    let again = in_doubt(&scene, &accounts[2]).await;
    let (attempt, _) = begin(&scene, again).await;
    let accepted = Verdict::Accepted { at: scene.now(), provider_id: Some("m-1".to_owned()) };
    scene.stores.messages.settle(scene.tenant, again, attempt, accepted).await.unwrap();
    scene.stores.messages.sent_as(scene.tenant, again, "final@mail.example").await.unwrap();

    let all = accounts.map(|account| account.id);
    let [tidy, doubtful, drafted_again] = all;
    let left = || scene.stores.messages.left_drafts(AllTenants, &all);
    assert_eq!(left().await.unwrap(), HashSet::from([doubtful, drafted_again]));
    assert_eq!(scene.stores.messages.left_drafts(AllTenants, &[tidy]).await.unwrap(), HashSet::new());
    assert_eq!(scene.stores.messages.left_drafts(AllTenants, &[]).await.unwrap(), HashSet::new());
    scene.clock.advance(Duration::from_hours(25));
    assert_eq!(left().await.unwrap(), HashSet::from([doubtful]), "what nobody stored is not looked for any more");
    scene.clock.advance(DOUBT_ENDS.to_std().unwrap());
    assert_eq!(left().await.unwrap(), HashSet::new());
}
