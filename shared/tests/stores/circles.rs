//! Two automata that answer each other: the circle ends, whoever plans the replies and however many at once.

use std::time::Duration;

use chrono::TimeDelta;
use postrider_queue::NewJob;
use postrider_shared::{
    accounts::Account,
    ids::MessageId,
    jobs::PriceQuote,
    mail::{InboundMail, NewMail},
    messages::{MOST_IN_A_THREAD, MOST_TO_ONE, WINDOW},
    quotes::{By, Quote, QuoteState},
};

use crate::{
    quotes::{priced, rendered},
    scene::{Scene, on_both},
};

on_both!(
    replies_planned_at_once_stop_at_the_limit,
    a_day_later_and_for_others_replies_go_on,
    a_thread_ends_whatever_address_it_comes_from,
    what_a_person_approved_goes_out,
);

const TO_ONE: usize = 10;

/// The mail number `uid` from an address, in answer to another.
async fn mail(scene: &Scene, account: &Account, uid: u32, from: &str, answers: Option<&str>) -> InboundMail {
    let new = NewMail {
        from_address: from.to_owned(),
        in_reply_to: answers.map(str::to_owned),
        ..scene.new_mail(account, uid)
    };
    scene.stores.mail.open_folder(scene.tenant, account.id, "INBOX", 7).await.unwrap();
    scene.stores.mail.record(scene.tenant, new, Vec::new()).await.unwrap().mail().clone()
}

/// A priced quote for each of these senders, in threads of their own.
async fn priced_for(
    scene: &Scene,
    account: &Account,
    uids: std::ops::Range<u32>,
    from: impl Fn(u32) -> String,
) -> Vec<Quote> {
    let mut quotes = Vec::new();
    for uid in uids {
        let quote = scene.draft(&mail(scene, account, uid, &from(uid), None).await).await;
        quotes.push(scene.stores.quotes.price(scene.tenant, quote.id, 1, priced()).await.unwrap().quote().clone());
    }
    quotes
}

/// Renders all at once, each twice, as jobs do that run twice; and how many will be sent.
async fn render(scene: &Scene, account: &Account, quotes: &[Quote]) -> usize {
    let calls = quotes.iter().flat_map(|quote| [quote; 2]).map(|quote| {
        let (store, tenant, reply) = (scene.stores.quotes.clone(), scene.tenant, rendered(quote, account));
        let (id, revision) = (quote.id, quote.revision());
        async move { store.render(tenant, id, revision, reply).await.unwrap() }
    });
    futures::future::join_all(calls).await;
    let mut out = 0;
    for quote in quotes {
        let quote = scene.stores.quotes.get(scene.tenant, quote.id).await.unwrap();
        let planned = scene.stores.messages.get(scene.tenant, MessageId::of_quote(quote.id, quote.revision())).await;
        match quote.state {
            QuoteState::Rendered => {
                assert!(planned.unwrap().automatic);
                out += 1;
            }
            QuoteState::NeedsReview => {
                assert!(planned.is_err(), "nothing is sent");
                assert!(quote.reason.unwrap().contains("automatic replies"));
            }
            other => panic!("{other}"),
        }
    }
    out
}

async fn replies_planned_at_once_stop_at_the_limit(scene: Scene) {
    assert_eq!(MOST_TO_ONE, 10);
    let account = scene.account().await;
    let quotes = priced_for(&scene, &account, 1..21, |uid| format!("Robot+{uid}@loop.example")).await;
    assert_eq!(render(&scene, &account, &quotes).await, TO_ONE);
}

async fn a_day_later_and_for_others_replies_go_on(scene: Scene) {
    let account = scene.account().await;
    let robot = |_| "robot@loop.example".to_owned();
    let quotes = priced_for(&scene, &account, 1..13, robot).await;
    assert_eq!(render(&scene, &account, &quotes).await, TO_ONE);
    let others = priced_for(&scene, &account, 13..16, |uid| format!("customer-{uid}@loop.example")).await;
    assert_eq!(render(&scene, &account, &others).await, 3);
    scene.clock.advance((WINDOW - TimeDelta::seconds(1)).to_std().unwrap());
    let early = priced_for(&scene, &account, 16..17, robot).await;
    assert_eq!(render(&scene, &account, &early).await, 0);
    scene.clock.advance(Duration::from_secs(1));
    let later = priced_for(&scene, &account, 17..18, robot).await;
    assert_eq!(render(&scene, &account, &later).await, 1);
}

async fn a_thread_ends_whatever_address_it_comes_from(scene: Scene) {
    let account = scene.account().await;
    let mut quotes = Vec::new();
    for uid in 1..=u32::try_from(MOST_IN_A_THREAD).unwrap() + 3 {
        let first = (uid > 1).then_some("1@customer.example");
        let mail = mail(&scene, &account, uid, &format!("robot-{uid}@loop.example"), first).await;
        let quote = scene.draft(&mail).await;
        quotes.push(scene.stores.quotes.price(scene.tenant, quote.id, 1, priced()).await.unwrap().quote().clone());
    }
    assert!(quotes.iter().all(|quote| quote.thread_id == quotes[0].thread_id));
    assert_eq!(render(&scene, &account, &quotes).await, usize::try_from(MOST_IN_A_THREAD).unwrap());
}

async fn what_a_person_approved_goes_out(scene: Scene) {
    let (account, store) = (scene.account().await, &scene.stores.quotes);
    let quotes = priced_for(&scene, &account, 1..12, |_| "robot@loop.example".to_owned()).await;
    assert_eq!(render(&scene, &account, &quotes).await, TO_ONE);
    let mut stopped = None;
    for quote in &quotes {
        let quote = store.get(scene.tenant, quote.id).await.unwrap();
        stopped = stopped.or((quote.state == QuoteState::NeedsReview).then_some(quote));
    }
    let stopped = stopped.unwrap();
    let job = NewJob::of(scene.tenant.into(), &PriceQuote { quote_id: stopped.id }).unwrap();
    let approved = store.approve(scene.tenant, stopped.id, None, &By::agent("key 1"), &job).await.unwrap().quote;
    let approved = store.price(scene.tenant, approved.id, approved.revision(), priced()).await.unwrap().quote().clone();
    let step =
        store.render(scene.tenant, approved.id, approved.revision(), rendered(&approved, &account)).await.unwrap();
    assert_eq!(step.quote().state, QuoteState::Rendered);
    let message = MessageId::of_quote(approved.id, approved.revision());
    assert!(!scene.stores.messages.get(scene.tenant, message).await.unwrap().automatic);
}
