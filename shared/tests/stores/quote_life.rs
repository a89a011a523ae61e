//! What becomes of quotes after they were sent.

use std::time::Duration;

use futures::future::join_all;
use postrider_queue::NewJob;
use postrider_shared::{
    accounts::Account,
    database::{AllTenants, StoreError},
    ids::{MessageId, QuoteId},
    jobs::PriceQuote,
    messages::{BeginSending, Slot, Verdict},
    quotes::{Actor, By, Decision, PricedQuote, Quote, QuoteState, Revision, Step},
    time_zone::TimeZone,
};

use crate::quotes::{priced, rendered};
use crate::scene::{Scene, on_both};

on_both!(
    a_customer_decides_once,
    accepting_and_expiring_at_once_has_one_winner,
    quotes_expire_after_their_last_day_where_the_tenant_is,
    a_renewed_quote_keeps_what_was_sent_before,
    a_revision_replaces_lines_or_waits_for_a_person,
    late_news_of_an_earlier_revision_change_nothing,
    every_change_leaves_its_row,
);

const DAY: Duration = Duration::from_hours(24);

/// Prices, renders and plans the quote as it is.
async fn offered(scene: &Scene, account: &Account, quote: &Quote) -> MessageId {
    let (quotes, revision) = (&scene.stores.quotes, quote.revision());
    let valid_until = scene.now().date_naive() + chrono::Days::new(30);
    let price = PricedQuote { valid_until, ..priced() };
    assert!(quotes.price(scene.tenant, quote.id, revision, price).await.unwrap().is_taken());
    quotes.number(scene.tenant, quote.id).await.unwrap();
    let mut rendered = rendered(quote, account);
    rendered.pdf_key = format!("{revision}.pdf");
    rendered.message.rfc_message_id = format!("{}-{revision}@example.com", quote.id);
    let message = rendered.message.id;
    assert!(quotes.render(scene.tenant, quote.id, revision, rendered).await.unwrap().is_taken());
    message
}

async fn hand_over(scene: &Scene, message: MessageId) -> u32 {
    let begun = scene.stores.messages.begin_sending(scene.tenant, message, Slot::default()).await.unwrap();
    let BeginSending::Go { attempt, .. } = begun else { panic!("{begun:?}") };
    scene.stores.messages.data_starting(scene.tenant, message, attempt).await.unwrap();
    attempt
}

async fn end(scene: &Scene, message: MessageId, attempt: u32, verdict: Verdict) {
    scene.stores.messages.settle(scene.tenant, message, attempt, verdict).await.unwrap();
}

fn accepted(scene: &Scene) -> Verdict {
    Verdict::Accepted { at: scene.now(), provider_id: None }
}

/// A quote that its customer has, good for 30 days.
pub async fn sent(scene: &Scene, account: &Account, uid: u32) -> QuoteId {
    let quote = scene.draft(&scene.mail(account, uid).await).await;
    let message = offered(scene, account, &quote).await;
    let attempt = hand_over(scene, message).await;
    end(scene, message, attempt, accepted(scene)).await;
    assert_eq!(state(scene, quote.id).await, QuoteState::Sent);
    quote.id
}

async fn state(scene: &Scene, id: QuoteId) -> QuoteState {
    scene.stores.quotes.get(scene.tenant, id).await.unwrap().state
}

async fn decide(scene: &Scene, id: QuoteId, decision: Decision) -> Step {
    let by = By::customer("link");
    scene.stores.quotes.decide(scene.tenant, id, Some(1), decision, &by).await.unwrap()
}

fn price(scene: &Scene, id: QuoteId) -> NewJob {
    NewJob::of(scene.tenant.into(), &PriceQuote { quote_id: id }).unwrap()
}

/// Walks over all quotes in small steps, and returns how many expired.
async fn expire(scene: &Scene) -> u64 {
    let (mut expired, mut after) = (0, None);
    loop {
        let step = scene.stores.quotes.expire_due(AllTenants, after, 2).await.unwrap();
        expired += step.expired;
        after = step.next;
        if after.is_none() {
            return expired;
        }
    }
}

async fn a_customer_decides_once(scene: Scene) {
    let account = scene.account().await;
    let quote = sent(&scene, &account, 1).await;
    let both = [Decision::Accept, Decision::Decline, Decision::Accept, Decision::Decline];
    let steps = join_all(both.into_iter().map(|decision| decide(&scene, quote, decision))).await;
    assert_eq!(steps.iter().filter(|step| step.is_taken()).count(), 1, "{steps:?}");
    let winner = steps.iter().find(|step| step.is_taken()).unwrap().quote().state;
    assert_eq!(state(&scene, quote).await, winner);
    // Late news from the mail server do not undo it.
    assert!(!decide(&scene, quote, Decision::Accept).await.is_taken());

    let draft = scene.draft(&scene.mail(&account, 2).await).await;
    assert!(!decide(&scene, draft.id, Decision::Accept).await.is_taken(), "nobody saw it yet");
    let message = offered(&scene, &account, &draft).await;
    let attempt = hand_over(&scene, message).await;
    // The customer has the mail before we know that the server took it.
    assert!(decide(&scene, draft.id, Decision::Accept).await.is_taken());
    end(&scene, message, attempt, accepted(&scene)).await;
    assert_eq!(state(&scene, draft.id).await, QuoteState::Accepted);

    let other = sent(&scene, &account, 3).await;
    let by = By::customer("link");
    let quotes = &scene.stores.quotes;
    assert!(quotes.decide(scene.stranger, other, None, Decision::Accept, &by).await.is_err());
    assert!(!quotes.decide(scene.tenant, other, Some(2), Decision::Accept, &by).await.unwrap().is_taken());
    assert_eq!(state(&scene, other).await, QuoteState::Sent);
}

async fn accepting_and_expiring_at_once_has_one_winner(scene: Scene) {
    let account = scene.account().await;
    let mut all = Vec::new();
    for uid in 1..=8 {
        all.push(sent(&scene, &account, uid).await);
    }
    scene.clock.advance(DAY * 31);
    let decisions = join_all(all.iter().map(|id| decide(&scene, *id, Decision::Accept)));
    let (steps, first, second) = tokio::join!(decisions, expire(&scene), expire(&scene));
    // Past the last day the customer never wins, and each expires once, whoever noticed.
    assert!(steps.iter().all(|step| !step.is_taken()), "{steps:?}");
    assert!(first + second <= 8);
    for id in all {
        let events = scene.stores.quotes.events(scene.tenant, id).await.unwrap();
        assert_eq!(events.iter().filter(|event| event.to_state == QuoteState::Expired).count(), 1);
        assert_eq!(state(&scene, id).await, QuoteState::Expired);
    }
    // On the last day both may come: a decision stays.
    let quote = sent(&scene, &account, 9).await;
    scene.clock.advance(DAY * 30);
    assert!(decide(&scene, quote, Decision::Accept).await.is_taken());
    scene.clock.advance(DAY * 2);
    assert_eq!(expire(&scene).await, 0);
    assert_eq!(state(&scene, quote).await, QuoteState::Accepted);
}

async fn quotes_expire_after_their_last_day_where_the_tenant_is(scene: Scene) {
    let account = scene.account().await;
    let zone = |name: &str| name.parse::<TimeZone>().unwrap();
    let settings = scene.stores.tenants.get(scene.tenant).await.unwrap().settings();
    let west = postrider_shared::tenants::TenantSettings { time_zone: zone("Pacific/Honolulu"), ..settings };
    scene.stores.tenants.change(scene.tenant, |_| west).await.unwrap();
    let mut all = Vec::new();
    for uid in 1..=3 {
        all.push(sent(&scene, &account, uid).await);
    }
    let last_day = scene.stores.quotes.get(scene.tenant, all[0]).await.unwrap().valid_until.unwrap();
    // The day is over in UTC, and in Honolulu ten hours later.
    let midnight = (last_day + chrono::Days::new(1)).and_hms_opt(0, 0, 0).unwrap().and_utc();
    for (hours, expired) in [(-1, 0), (1, 0), (9, 0), (11, 3), (12, 0)] {
        scene.clock.set(midnight + chrono::TimeDelta::hours(hours));
        assert_eq!(expire(&scene).await, expired, "{hours} hours after the day's end in UTC");
    }
}

async fn a_renewed_quote_keeps_what_was_sent_before(scene: Scene) {
    let account = scene.account().await;
    let quotes = &scene.stores.quotes;
    let id = sent(&scene, &account, 1).await;
    scene.clock.advance(DAY * 40);
    assert_eq!(expire(&scene).await, 1);

    let renew = || quotes.renew(scene.tenant, id, By::agent("key 1"), Box::leak(Box::new(price(&scene, id))));
    let renewed = join_all((0..4).map(|_| renew())).await;
    assert_eq!(renewed.iter().filter(|renewed| renewed.is_ok()).count(), 1, "{renewed:?}");
    assert_eq!(scene.stores.outbox.waiting(AllTenants, 10).await.unwrap().len(), 1);
    let quote = quotes.get(scene.tenant, id).await.unwrap();
    assert_eq!((quote.state, quote.revision(), quote.issue), (QuoteState::Draft, 2, 2));
    assert_eq!((quote.total, quote.valid_until, quote.pdf_key.as_deref()), (None, None, None));

    let message = offered(&scene, &account, &quote).await;
    assert_ne!(message, MessageId::of_quote(id, 1), "a mail of its own");
    assert_eq!(quotes.number(scene.tenant, id).await.unwrap(), "Q-00001-R2");
    let attempt = hand_over(&scene, message).await;
    end(&scene, message, attempt, accepted(&scene)).await;
    assert_eq!(state(&scene, id).await, QuoteState::Sent);
    assert!(!decide(&scene, id, Decision::Accept).await.is_taken(), "the link of the first revision");

    let kept = quotes.issued(scene.tenant, id).await.unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].revision, kept[0].number.as_deref()), (1, Some("Q-00001")));
    assert_eq!((kept[0].state, kept[0].pdf_key.as_str()), (QuoteState::Expired, "1.pdf"));
    assert_eq!((kept[0].total.unwrap().to_string().as_str(), &kept[0].lines[0]["total"]), ("0.71", &"0.60".into()));
    assert!(quotes.issued(scene.stranger, id).await.unwrap().is_empty());
    // The next number goes on without a gap.
    let other = scene.draft(&scene.mail(&account, 2).await).await;
    assert_eq!(quotes.number(scene.tenant, other.id).await.unwrap(), "Q-00002");
}

async fn a_revision_replaces_lines_or_waits_for_a_person(scene: Scene) {
    let account = scene.account().await;
    let quotes = &scene.stores.quotes;
    let id = sent(&scene, &account, 1).await;
    let revision =
        |review: Option<&str>| Revision { lines: None, review: review.map(str::to_owned), by: By::customer("reply 7") };
    let job = price(&scene, id);
    let revised = quotes.revise(scene.tenant, id, revision(Some("which colour?")), &job).await.unwrap();
    assert_eq!((revised.quote.state, revised.outbox), (QuoteState::NeedsReview, None));
    assert_eq!(revised.quote.reason.as_deref(), Some("which colour?"));
    let lines = quotes.lines(scene.tenant, id).await.unwrap();
    assert!(lines.iter().all(|line| line.total.is_none()), "old prices stand for nothing");

    // What was not offered yet is replaced without leaving a revision, and keeps its number.
    let revised = quotes.revise(scene.tenant, id, revision(None), &job).await.unwrap();
    assert_eq!((revised.quote.state, revised.quote.revision(), revised.quote.issue), (QuoteState::Draft, 3, 2));
    assert!(revised.outbox.is_some());
    assert_eq!(quotes.issued(scene.tenant, id).await.unwrap().len(), 1);

    offered(&scene, &account, &revised.quote).await;
    let early = quotes.revise(scene.tenant, id, revision(None), &job).await.unwrap_err();
    assert!(matches!(early, StoreError::Conflict { .. }) && early.to_string().contains("on its way"), "{early}");
    let mut empty = revision(None);
    empty.lines = Some(Vec::new());
    let other = sent(&scene, &account, 2).await;
    let error = quotes.revise(scene.tenant, other, empty, &price(&scene, other)).await.unwrap_err();
    assert!(matches!(error, StoreError::Invalid { .. }), "{error}");
    assert!(quotes.issued(scene.tenant, other).await.unwrap().is_empty(), "what was refused leaves nothing");
    decide(&scene, other, Decision::Accept).await;
    let agreed = quotes.revise(scene.tenant, other, revision(None), &price(&scene, other)).await.unwrap_err();
    assert!(agreed.to_string().contains("agreed"), "{agreed}");
}

async fn late_news_of_an_earlier_revision_change_nothing(scene: Scene) {
    let account = scene.account().await;
    let quotes = &scene.stores.quotes;
    let quote = scene.draft(&scene.mail(&account, 1).await).await;
    let message = offered(&scene, &account, &quote).await;
    let attempt = hand_over(&scene, message).await;
    end(&scene, message, attempt, Verdict::Unknown { reason: "no answer".to_owned() }).await;
    scene.clock.advance(DAY * 40);
    assert_eq!(expire(&scene).await, 1, "a doubt ends with the quote");
    let renewed = quotes.renew(scene.tenant, quote.id, By::agent("key 1"), &price(&scene, quote.id)).await.unwrap();
    offered(&scene, &account, &renewed.quote).await;
    end(&scene, message, attempt, accepted(&scene)).await;
    assert_eq!(state(&scene, quote.id).await, QuoteState::Rendered, "the second reply is not sent yet");
}

async fn every_change_leaves_its_row(scene: Scene) {
    let account = scene.account().await;
    let id = sent(&scene, &account, 1).await;
    decide(&scene, id, Decision::Decline).await;
    let events = scene.stores.quotes.events(scene.tenant, id).await.unwrap();
    let told: Vec<_> = events.iter().map(|event| (event.position, event.from_state, event.to_state)).collect();
    let [draft, priced, rendered, sending] =
        [QuoteState::Draft, QuoteState::Priced, QuoteState::Rendered, QuoteState::Sending];
    assert_eq!(
        told,
        [
            (1, None, draft),
            (2, Some(draft), priced),
            (3, Some(priced), rendered),
            (4, Some(rendered), sending),
            (5, Some(sending), QuoteState::Sent),
            (6, Some(QuoteState::Sent), QuoteState::Declined),
        ]
    );
    assert_eq!((events[4].actor, events[5].actor), (Actor::System, Actor::Customer));
    assert_eq!(events[5].via.as_deref(), Some("link"));
    assert!(scene.stores.quotes.events(scene.stranger, id).await.unwrap().is_empty());
}
