//! What mails of a quote's conversation do to it: once each, in order, and never to what they did not see.

use std::time::Duration;

use chrono::TimeDelta;
use futures::future::join_all;
use postrider_shared::{
    database::StoreError,
    ids::QuoteId,
    mail::{InboundMail, Intent, MailState, NewMail, Reading, Settled},
    quotes::{Amended, Amendment, By, CreatedQuote, Decision, NewLine, NewQuote, Quote, QuoteFilter, QuoteState},
    tenants::TenantSettings,
};
use rust_decimal::Decimal;

use crate::quote_life::sent;
use crate::scene::{Scene, on_both, plate, request};

on_both!(
    a_mail_amends_once_however_often_it_is_read,
    an_amendment_of_another_revision_is_stale,
    what_was_overtaken_or_agreed_is_not_amended,
    a_mail_in_doubt_is_left_to_a_person,
    a_mail_that_came_to_something_comes_to_nothing_else,
    mails_of_a_thread_wait_for_those_before,
    one_of_two_that_ask_the_same_makes_a_quote,
);

/// A mail of the quote's thread.
async fn follow_up(scene: &Scene, quote: QuoteId, uid: u32, written: TimeDelta) -> InboundMail {
    let quote = scene.stores.quotes.get(scene.tenant, quote).await.unwrap();
    let first = scene.stores.mail.get(scene.tenant, quote.mail_id).await.unwrap();
    let account = scene.stores.accounts.get(scene.tenant, quote.account_id).await.unwrap();
    scene.clock.advance(Duration::from_secs(60));
    let mail = NewMail {
        in_reply_to: first.rfc_message_id.clone(),
        sent_at: Some(scene.now() + written),
        ..scene.new_mail(&account, uid)
    };
    let mail = scene.stores.mail.record(scene.tenant, mail, Vec::new()).await.unwrap().mail().clone();
    assert_eq!(mail.thread_id, quote.thread_id);
    mail
}

async fn amendment(scene: &Scene, quote: QuoteId, mail: &InboundMail, quantity: i64) -> Amendment {
    let quote = scene.stores.quotes.get(scene.tenant, quote).await.unwrap();
    let line = scene.stores.quotes.lines(scene.tenant, quote.id).await.unwrap().remove(0);
    Amendment {
        quote_id: quote.id,
        revision: quote.revision(),
        mail_id: mail.id,
        lines: Some(vec![NewLine {
            product_id: line.product_id,
            sku: line.sku,
            description: line.description,
            dimensions: line.dimensions.0,
            material: line.material,
            quantity: Decimal::from(quantity),
        }]),
        review: None,
        deadline: None,
        extraction: serde_json::json!({ "intent": "amends" }),
        fingerprint: None,
        reading: Reading { intent: Some(Intent::Amends), ..Reading::default() },
    }
}

async fn amend(scene: &Scene, amendment: Amendment) -> Amended {
    scene.stores.quotes.amend(scene.tenant, amendment).await.unwrap()
}

async fn now(scene: &Scene, quote: QuoteId) -> (Quote, Decimal) {
    let lines = scene.stores.quotes.lines(scene.tenant, quote).await.unwrap();
    (scene.stores.quotes.get(scene.tenant, quote).await.unwrap(), lines[0].quantity.0)
}

async fn a_mail_amends_once_however_often_it_is_read(scene: Scene) {
    let account = scene.account().await;
    let quote = sent(&scene, &account, 1).await;
    let mail = follow_up(&scene, quote, 2, TimeDelta::zero()).await;
    let wanted = amendment(&scene, quote, &mail, 5).await;
    let all = join_all((0..4).map(|_| amend(&scene, wanted.clone()))).await;
    assert!(all.iter().all(|amended| matches!(amended, Amended::Done(quote) if quote.revision == 2)), "{all:?}");
    let again = amend(&scene, Amendment { revision: 2, ..wanted }).await;
    assert!(matches!(again, Amended::Done(quote) if quote.revision == 2), "also when it is read again");
    let (quote, quantity) = now(&scene, quote).await;
    assert_eq!((quote.state, quote.revision, quote.issue, quantity), (QuoteState::Draft, 2, 2, Decimal::from(5)));
    let mail = scene.stores.mail.get(scene.tenant, mail.id).await.unwrap();
    assert_eq!((mail.state, mail.quote_id, mail.quote_revision), (MailState::Extracted, Some(quote.id), Some(2)));
    assert_eq!(scene.stores.quotes.issued(scene.tenant, quote.id).await.unwrap().len(), 1);
}

async fn an_amendment_of_another_revision_is_stale(scene: Scene) {
    let account = scene.account().await;
    let quote = sent(&scene, &account, 1).await;
    let (first, second) =
        (follow_up(&scene, quote, 2, TimeDelta::zero()).await, follow_up(&scene, quote, 3, TimeDelta::zero()).await);
    let wanted = amendment(&scene, quote, &second, 7).await;
    amend(&scene, amendment(&scene, quote, &first, 5).await).await;
    assert!(matches!(amend(&scene, wanted).await, Amended::Stale(quote) if quote.revision == 2));
    assert_eq!(now(&scene, quote).await.1, Decimal::from(5));
}

async fn what_was_overtaken_or_agreed_is_not_amended(scene: Scene) {
    let account = scene.account().await;
    let quote = sent(&scene, &account, 1).await;
    let older = follow_up(&scene, quote, 2, TimeDelta::zero()).await;
    let newer = follow_up(&scene, quote, 3, TimeDelta::zero()).await;
    let written_before = follow_up(&scene, quote, 4, TimeDelta::minutes(-90)).await;
    amend(&scene, amendment(&scene, quote, &newer, 7).await).await;
    for mail in [&older, &written_before] {
        let amended = amend(&scene, amendment(&scene, quote, mail, 5).await).await;
        assert!(matches!(amended, Amended::Overtaken(_)), "{amended:?}");
    }
    assert_eq!(now(&scene, quote).await.1, Decimal::from(7));

    let agreed = sent(&scene, &account, 11).await;
    scene.stores.quotes.decide(scene.tenant, agreed, None, Decision::Accept, &By::SYSTEM).await.unwrap();
    let late = follow_up(&scene, agreed, 12, TimeDelta::zero()).await;
    assert!(matches!(amend(&scene, amendment(&scene, agreed, &late, 5).await).await, Amended::Refused(_)));
    assert_eq!(scene.stores.mail.get(scene.tenant, late.id).await.unwrap().state, MailState::Received);
}

async fn a_mail_in_doubt_is_left_to_a_person(scene: Scene) {
    let account = scene.account().await;
    let quote = sent(&scene, &account, 1).await;
    let mail = follow_up(&scene, quote, 2, TimeDelta::zero()).await;
    let reading = Reading { intent: Some(Intent::Question), ..Reading::default() };
    for _ in 0..2 {
        scene.stores.quotes.refer(scene.tenant, mail.id, Some(quote), reading.clone(), "it asks").await.unwrap();
    }
    let mail = scene.stores.mail.get(scene.tenant, mail.id).await.unwrap();
    assert_eq!((mail.state, mail.quote_id, mail.intent), (MailState::NeedsReview, Some(quote), Some(Intent::Question)));
    assert_eq!(now(&scene, quote).await.0.state, QuoteState::Sent, "the customer can still decide");
    let events = scene.stores.quotes.events(scene.tenant, quote).await.unwrap();
    let noted: Vec<_> = events.iter().filter(|event| event.reason.as_deref() == Some("it asks")).collect();
    assert_eq!(noted.len(), 1);
    assert_eq!((noted[0].from_state, noted[0].to_state), (Some(QuoteState::Sent), QuoteState::Sent));

    let elsewhere = scene.stores.tenants.create(TenantSettings::named("Stranger")).await.unwrap().id;
    let foreign = scene.stores.mail.resolve(elsewhere, mail.id).await;
    assert!(matches!(foreign, Err(StoreError::NotFound { .. })), "{foreign:?}");
    for _ in 0..2 {
        let resolved = scene.stores.mail.resolve(scene.tenant, mail.id).await.unwrap();
        assert_eq!((resolved.state, resolved.reason.as_deref()), (MailState::Resolved, Some("it asks")));
    }
    let unread = follow_up(&scene, quote, 3, TimeDelta::zero()).await;
    let early = scene.stores.mail.resolve(scene.tenant, unread.id).await;
    assert!(matches!(early, Err(StoreError::Conflict { .. })), "{early:?}");
}

async fn a_mail_that_came_to_something_comes_to_nothing_else(scene: Scene) {
    let (account, quotes) = (scene.account().await, &scene.stores.quotes);
    let quote = sent(&scene, &account, 1).await;
    let ignored = follow_up(&scene, quote, 2, TimeDelta::zero()).await;
    scene.stores.mail.ignored(scene.tenant, ignored.id, Reading::default(), "thanks").await.unwrap();
    // What a run that was overtaken wants of it.
    let review = Some("no product was recognised".to_owned());
    let made = quotes.create(scene.tenant, NewQuote { review: review.clone(), ..request(&ignored) }).await;
    assert!(matches!(made, Err(StoreError::Conflict { .. })), "{made:?}");
    assert_eq!(quotes.list(scene.tenant, QuoteFilter::default(), None, 10).await.unwrap().items.len(), 1);
    let amended = quotes.amend(scene.tenant, amendment(&scene, quote, &ignored, 5).await).await;
    assert!(matches!(amended, Err(StoreError::Conflict { .. })), "{amended:?}");
    assert_eq!(now(&scene, quote).await.0.revision, 1);

    // One that became a quote of its own tells so whoever wants something else of it.
    let asked = follow_up(&scene, quote, 3, TimeDelta::zero()).await;
    let own = quotes.create(scene.tenant, NewQuote { review, ..request(&asked) }).await.unwrap().quote().id;
    let amended = quotes.amend(scene.tenant, amendment(&scene, quote, &asked, 5).await).await;
    assert!(matches!(amended, Err(StoreError::Conflict { .. })), "{amended:?}");
    let said = [
        quotes.refer(scene.tenant, asked.id, Some(quote), Reading::default(), "it asks").await.unwrap(),
        quotes.repeated(scene.tenant, asked.id, (ignored.id, quote), Reading::default()).await.unwrap(),
        scene.stores.mail.ignored(scene.tenant, asked.id, Reading::default(), "thanks").await.unwrap(),
    ];
    for settled in said {
        let Settled::Before(mail) = settled else { panic!("{settled:?}") };
        assert_eq!((mail.state, mail.quote_id), (MailState::Extracted, Some(own)));
    }
}

async fn mails_of_a_thread_wait_for_those_before(scene: Scene) {
    let account = scene.account().await;
    let quote = sent(&scene, &account, 1).await;
    let first = follow_up(&scene, quote, 2, TimeDelta::zero()).await;
    let second = follow_up(&scene, quote, 3, TimeDelta::zero()).await;
    let elsewhere = scene.mail(&account, 4).await;
    let is_preceded = async |mail: &InboundMail| scene.stores.mail.is_preceded(mail).await.unwrap();
    assert_eq!(
        (is_preceded(&first).await, is_preceded(&second).await, is_preceded(&elsewhere).await),
        (false, true, false)
    );
    scene.stores.mail.ignored(scene.tenant, first.id, Reading::default(), "thanks").await.unwrap();
    assert!(!is_preceded(&second).await);
    let newest = scene.stores.mail.newest_from(scene.tenant, second.thread_id, "JO@customer.example").await.unwrap();
    assert_eq!(newest.map(|mail| mail.id), Some(second.id));
    let nobody = scene.stores.mail.newest_from(scene.tenant, second.thread_id, "ann@customer.example").await.unwrap();
    assert!(nobody.is_none());
    let carriers = scene.stores.quotes.carriers(&now(&scene, quote).await.0).await.unwrap();
    assert_eq!(carriers, [(1, vec![format!("{quote}-1@example.com")])]);
}

async fn one_of_two_that_ask_the_same_makes_a_quote(scene: Scene) {
    let account = scene.account().await;
    let mut mails = Vec::new();
    for uid in 1..=6 {
        mails.push(scene.mail(&account, uid).await);
    }
    let product = scene.stores.products.create(scene.tenant, plate()).await.unwrap();
    let make = |mail: &InboundMail| {
        let lines = vec![NewLine {
            product_id: Some(product.id),
            sku: product.sku.clone(),
            description: product.name.clone(),
            dimensions: Vec::new(),
            material: None,
            quantity: Decimal::TWO,
        }];
        let fingerprint = Some("the same".to_owned());
        scene.stores.quotes.create(scene.tenant, NewQuote { lines, fingerprint, ..request(mail) })
    };
    let made = join_all(mails[..4].iter().map(make)).await;
    let new: Vec<_> = made.iter().filter(|made| matches!(made, Ok(CreatedQuote::New(_)))).collect();
    let repeats = made.iter().filter(|made| matches!(made, Ok(CreatedQuote::Repeats(_)))).count();
    assert_eq!((new.len(), repeats), (1, 3), "{made:?}");
    let quote = new[0].as_ref().unwrap().quote().clone();
    for mail in &mails[..4] {
        let mail = scene.stores.mail.get(scene.tenant, mail.id).await.unwrap();
        let first = mail.id == quote.mail_id;
        assert_eq!(mail.state, if first { MailState::Extracted } else { MailState::Ignored });
        assert_eq!((mail.duplicate_of, mail.quote_id), ((!first).then_some(quote.mail_id), Some(quote.id)));
    }
    assert!(matches!(
        make(&scene.stores.mail.get(scene.tenant, quote.mail_id).await.unwrap()).await,
        Ok(CreatedQuote::Exists(_))
    ));

    // Days later the same words are meant anew; so they are when the first attempt came to nothing.
    scene.clock.advance(Duration::from_hours(73));
    let later = scene.mail(&account, 21).await;
    let Ok(CreatedQuote::New(second)) = make(&later).await else { panic!("a request of its own") };
    scene.stores.quotes.fail(scene.tenant, second.id, 1, "its mailbox was disconnected").await.unwrap();
    let after = scene.mail(&account, 22).await;
    assert!(matches!(make(&after).await, Ok(CreatedQuote::New(_))));
    assert_eq!(scene.stores.quotes.list(scene.tenant, QuoteFilter::default(), None, 10).await.unwrap().items.len(), 3);
}
