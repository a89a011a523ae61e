use std::collections::HashSet;

use postrider_queue::NewJob;
use postrider_shared::{
    accounts::Account,
    database::{AllTenants, StoreError},
    ids::MessageId,
    jobs::PriceQuote,
    mail::MailState,
    messages::{MessageState, PlannedMessage},
    pricing::Totals,
    quotes::{
        By, CreatedQuote, NewLine, NewQuote, PricedLine, PricedQuote, Quote, QuoteFilter, QuoteState, RenderedQuote,
        Step,
    },
};
use rust_decimal::Decimal;

use crate::scene::{Scene, on_both, request};

on_both!(
    a_quote_goes_from_mail_to_planned_reply,
    a_mail_gets_one_quote,
    late_and_repeated_steps_change_nothing,
    numbers_have_no_gaps_and_no_doubles,
    an_approval_happens_once_and_brings_its_job,
    a_quote_is_seen_by_its_tenant_only,
);

pub fn priced() -> PricedQuote {
    PricedQuote {
        lines: vec![PricedLine {
            position: 1,
            unit_price: "0.30".parse().unwrap(),
            total: "0.60".parse().unwrap(),
            explanation: serde_json::json!({"working": "0.1 + 0.2"}),
        }],
        totals: Totals {
            subtotal: "0.60".parse().unwrap(),
            tax_rate: "0.19".parse().unwrap(),
            tax: "0.11".parse().unwrap(),
            total: "0.71".parse().unwrap(),
        },
        valid_until: "2026-12-21".parse().unwrap(),
    }
}

pub fn rendered(quote: &Quote, account: &Account) -> RenderedQuote {
    RenderedQuote {
        pdf_key: "quote.pdf".to_owned(),
        message: PlannedMessage {
            id: MessageId::of_quote(quote.id, quote.revision()),
            account_id: account.id,
            quote_id: Some(quote.id),
            thread_id: Some(quote.thread_id),
            to_address: quote.customer_address.clone(),
            subject: "Re: Plates".to_owned(),
            rfc_message_id: format!("{}@example.com", quote.id),
            in_reply_to: Some("1@customer.example".to_owned()),
            references: vec!["1@customer.example".to_owned()],
            body_text: "Please find our quote attached.".to_owned(),
            attachment_key: Some("quote.pdf".to_owned()),
            attachment_name: Some("Q-00001.pdf".to_owned()),
        },
    }
}

async fn a_quote_goes_from_mail_to_planned_reply(scene: Scene) {
    let (account, quotes) = (scene.account().await, &scene.stores.quotes);
    let mail = scene.mail(&account, 1).await;
    let quote = scene.draft(&mail).await;
    assert_eq!((quote.state, quote.revision()), (QuoteState::Draft, 1));
    assert_eq!(scene.stores.mail.get(scene.tenant, mail.id).await.unwrap().state, MailState::Extracted);

    let step = quotes.price(scene.tenant, quote.id, 1, priced()).await.unwrap();
    assert!(step.is_taken());
    let lines = quotes.lines(scene.tenant, quote.id).await.unwrap();
    assert_eq!(lines[0].unit_price.unwrap().to_string(), "0.30", "with all its digits");
    assert_eq!(quotes.get(scene.tenant, quote.id).await.unwrap().total.unwrap().to_string(), "0.71");

    assert_eq!(quotes.number(scene.tenant, quote.id).await.unwrap(), "Q-00001");
    let step = quotes.render(scene.tenant, quote.id, 1, rendered(&quote, &account)).await.unwrap();
    assert_eq!(step.quote().state, QuoteState::Rendered);
    let message = scene.stores.messages.get(scene.tenant, MessageId::of_quote(quote.id, 1)).await.unwrap();
    assert_eq!((message.state, message.attempt()), (MessageState::Planned, 0));

    // The customer's answer to our reply finds the thread.
    let answer = postrider_shared::mail::NewMail {
        in_reply_to: Some(format!("<{}@example.com>", quote.id)),
        ..scene.new_mail(&account, 2)
    };
    let answer = scene.stores.mail.record(scene.tenant, answer, Vec::new()).await.unwrap();
    assert_eq!(answer.mail().thread_id, quote.thread_id);
}

async fn a_mail_gets_one_quote(scene: Scene) {
    let account = scene.account().await;
    let mail = scene.mail(&account, 1).await;
    let new = NewQuote { review: Some("no product was recognised".to_owned()), ..request(&mail) };
    let create = || scene.stores.quotes.create(scene.tenant, new.clone());
    let created = futures::future::join_all((0..6).map(|_| create())).await;
    let new_ones = created.iter().filter(|created| matches!(created, Ok(CreatedQuote::New(_)))).count();
    assert_eq!(new_ones, 1, "{created:?}");
    assert!(created.iter().all(Result::is_ok), "{created:?}");
    // What goes on by itself must be complete.
    let incomplete = NewQuote { review: None, ..new };
    let error = scene.stores.quotes.create(scene.tenant, incomplete).await.unwrap_err();
    assert!(matches!(error, StoreError::Invalid { .. }));
}

async fn late_and_repeated_steps_change_nothing(scene: Scene) {
    let (account, quotes) = (scene.account().await, &scene.stores.quotes);
    let quote = scene.draft(&scene.mail(&account, 1).await).await;
    let rendered = rendered(&quote, &account);
    let early = quotes.render(scene.tenant, quote.id, 1, rendered.clone()).await.unwrap();
    assert!(!early.is_taken());
    assert!(scene.stores.messages.get(scene.tenant, rendered.message.id).await.is_err(), "nothing was planned");

    let price = || quotes.price(scene.tenant, quote.id, 1, priced());
    let steps = futures::future::join_all((0..6).map(|_| price())).await;
    assert_eq!(steps.iter().filter(|step| step.as_ref().is_ok_and(Step::is_taken)).count(), 1);
    let other_revision = quotes.render(scene.tenant, quote.id, 2, rendered.clone()).await.unwrap();
    assert!(!other_revision.is_taken());
    assert!(quotes.render(scene.tenant, quote.id, 1, rendered.clone()).await.unwrap().is_taken());
    assert!(!quotes.render(scene.tenant, quote.id, 1, rendered).await.unwrap().is_taken());
    assert!(!quotes.review(scene.tenant, quote.id, 1, "too late").await.unwrap().is_taken());

    // Prices that do not match the lines are refused as a whole.
    let quote = scene.draft(&scene.mail(&account, 2).await).await;
    let wrong = PricedQuote { lines: vec![PricedLine { position: 2, ..priced().lines[0].clone() }], ..priced() };
    assert!(quotes.price(scene.tenant, quote.id, 1, wrong).await.is_err());
    assert_eq!(quotes.get(scene.tenant, quote.id).await.unwrap().state, QuoteState::Draft);
}

async fn numbers_have_no_gaps_and_no_doubles(scene: Scene) {
    let account = scene.account().await;
    let mut drafts = Vec::new();
    for uid in 1..=12 {
        drafts.push(scene.draft(&scene.mail(&account, uid).await).await.id);
    }
    // Each is numbered three times at once, as by jobs that run twice.
    let calls = drafts.iter().flat_map(|id| [*id; 3]).map(|id| {
        let quotes = scene.stores.quotes.clone();
        let tenant = scene.tenant;
        async move { (id, quotes.number(tenant, id).await.unwrap()) }
    });
    let numbers = futures::future::join_all(calls).await;
    let by_quote: HashSet<_> = numbers.iter().cloned().collect();
    assert_eq!(by_quote.len(), 12, "a quote keeps its number");
    let mut taken: Vec<String> = by_quote.into_iter().map(|(_, number)| number).collect();
    taken.sort();
    let expected: Vec<String> = (1..=12).map(|n| format!("Q-{n:05}")).collect();
    assert_eq!(taken, expected);
}

async fn an_approval_happens_once_and_brings_its_job(scene: Scene) {
    let (account, quotes) = (scene.account().await, &scene.stores.quotes);
    let quote = scene.draft(&scene.mail(&account, 1).await).await;
    let job = NewJob::of(scene.tenant.into(), &PriceQuote { quote_id: quote.id }).unwrap();
    let early = quotes.approve(scene.tenant, quote.id, None, &By::SYSTEM, &job).await.unwrap_err();
    assert!(matches!(early, StoreError::Conflict { .. }), "{early}");

    quotes.review(scene.tenant, quote.id, 1, "which width?").await.unwrap();
    let line = NewLine {
        product_id: None,
        sku: "PLATE".to_owned(),
        description: String::new(),
        dimensions: Vec::new(),
        material: None,
        quantity: Decimal::ONE,
    };
    let error = quotes.approve(scene.tenant, quote.id, Some(vec![line]), &By::SYSTEM, &job).await.unwrap_err();
    assert!(matches!(error, StoreError::Invalid { .. }), "{error}");

    let approve = || quotes.approve(scene.tenant, quote.id, None, &By::SYSTEM, &job);
    let approved = futures::future::join_all((0..6).map(|_| approve())).await;
    assert_eq!(approved.iter().filter(|approved| approved.is_ok()).count(), 1, "{approved:?}");
    assert_eq!(scene.stores.outbox.waiting(AllTenants, 10).await.unwrap().len(), 1);
    let quote = quotes.get(scene.tenant, quote.id).await.unwrap();
    assert_eq!((quote.state, quote.revision(), quote.reason), (QuoteState::Draft, 2, None));
    assert!(!quotes.price(scene.tenant, quote.id, 1, priced()).await.unwrap().is_taken(), "an old job's price");
}

async fn a_quote_is_seen_by_its_tenant_only(scene: Scene) {
    let (account, quotes) = (scene.account().await, &scene.stores.quotes);
    let quote = scene.draft(&scene.mail(&account, 1).await).await;
    assert!(quotes.get(scene.stranger, quote.id).await.is_err());
    assert!(quotes.lines(scene.stranger, quote.id).await.unwrap().is_empty());
    assert!(quotes.price(scene.stranger, quote.id, 1, priced()).await.is_err());
    assert!(quotes.number(scene.stranger, quote.id).await.is_err());
    let filter = QuoteFilter { state: Some(QuoteState::Draft), ..QuoteFilter::default() };
    assert!(quotes.list(scene.stranger, filter, None, 10).await.unwrap().items.is_empty());
    assert_eq!(quotes.list(scene.tenant, filter, None, 10).await.unwrap().items, [quote]);
}
