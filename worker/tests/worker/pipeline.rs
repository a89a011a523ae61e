//! From the mail in the mailbox to the quote in the thread, with the worker in this process.

use std::time::Duration;

use mail_parser::{MessageParser, MimeHeaders};
use postrider_queue::{Job, JobState, ListFilter, NewJob};
use postrider_sandbox::faults::{Fault, FaultKind, Target};
use postrider_shared::accounts::{Account, AccountChange, AccountSettings};
use postrider_shared::clock::Clock;
use postrider_shared::database::StoreError;
use postrider_shared::jobs::{ExtractRequest, PollMailbox, PriceQuote, RenderQuote, SendEmail, TendDrafts};
use postrider_shared::mail::{MailState, Reading};
use postrider_shared::messages::MessageState;
use postrider_shared::objects::logo_key;
use postrider_shared::quotes::{NewLine, NewQuote, QuoteFilter, QuoteState};
use postrider_shared::scopes::Scopes;
use postrider_shared::tenants::TenantSettings;
use sea_orm::ConnectionTrait;

use super::shop::Shop;

const REQUEST: &str = "From: Anna Berg <anna@example.org>
To: shop@example.com
Subject: Quote for displays
Message-ID: <request-1@example.org>
References: <before@example.org>
Content-Type: text/plain; charset=utf-8

Hello,

please quote 3 roll-up displays.

Anna Berg
";

const NEWSLETTER: &str = "From: News <news@example.net>
To: shop@example.com
Subject: 20 % on roll-up displays
Message-ID: <news-1@example.net>
List-Id: <news.example.net>

Order 50 roll-up displays now!
";

const SMALL_TALK: &str = "From: Anna Berg <anna@example.org>
To: shop@example.com
Subject: Hello
Message-ID: <hello@example.org>

The weather was fine on Sunday.
";

#[tokio::test(flavor = "multi_thread")]
async fn a_request_becomes_a_quote_in_its_thread_once() {
    let shop = Shop::open().await;
    shop.deliver(REQUEST).await;
    shop.deliver(&format!("Received: from elsewhere\n{REQUEST}")).await;
    shop.deliver(NEWSLETTER).await;
    shop.deliver("From: x@example.org\nMessage-ID: <empty@example.org>\n\n").await;
    let output = shop.poll().await;
    assert_eq!((&output["recorded"], &output["known"], &output["failed"]), (&2.into(), &1.into(), &1.into()));
    let accepted = shop.servers.control.wait_accepted(1, Duration::from_secs(20)).await.unwrap();
    assert_eq!(accepted[0].rcpt_to, ["anna@example.org"]);
    let raw = shop.servers.control.accepted_raw(accepted[0].seq).await.unwrap();
    let reply = MessageParser::default().parse(&raw).unwrap();
    assert_eq!(reply.in_reply_to().as_text(), Some("request-1@example.org"));
    assert_eq!(reply.references().as_text_list().unwrap(), ["before@example.org", "request-1@example.org"]);
    assert_eq!(reply.subject(), Some("Re: Quote for displays"));
    assert!(reply.attachment(0).unwrap().contents().starts_with(b"%PDF"));
    assert_eq!(reply.attachment(0).unwrap().attachment_name(), Some("Quote-Q-00001.pdf"));
    shop.until("the ledger", || async { (shop.messages(MessageState::Accepted).await == 1).then_some(()) }).await;
    let quotes = shop.stores.quotes.list(shop.tenant, QuoteFilter::default(), None, 10).await.unwrap().items;
    assert_eq!(quotes.len(), 1);
    assert_eq!(quotes[0].state, QuoteState::Sent);
    assert_eq!(quotes[0].total.unwrap().to_string(), "268.50");
    shop.until("the newsletter", || async { (shop.mails(MailState::Ignored).await == 1).then_some(()) }).await;
    assert_eq!(shop.mails(MailState::Failed).await, 1);
    assert_eq!(shop.poll().await["recorded"], 0);
    assert_eq!(shop.servers.control.accepted().await.unwrap().len(), 1);
    assert!(shop.objects.get(quotes[0].pdf_key.as_ref().unwrap()).await.is_ok());
    shop.close().await;
}

/// The first run is held up by the logo, a pipe that nobody writes into, after it read everything else.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_overtaken_leaves_the_pdf_that_was_sent() {
    let shop = Shop::open().await;
    let tenants = &shop.stores.tenants;
    let logo = logo_key(shop.tenant, "logo.png");
    let pipe = shop.folder.path().join("objects").join(&logo);
    std::fs::create_dir_all(pipe.parent().unwrap()).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    tenants.change(shop.tenant, |settings| TenantSettings { logo_key: Some(logo), ..settings }).await.unwrap();
    shop.deliver(REQUEST).await;
    shop.poll().await;
    let quote =
        || async { shop.stores.quotes.list(shop.tenant, QuoteFilter::default(), None, 10).await.unwrap().items.pop() };
    let numbered = shop.until("the number", || async { quote().await.filter(|quote| quote.number.is_some()) }).await;

    let renamed = |settings| TenantSettings { name: "Lindner & Co".into(), logo_key: None, ..settings };
    tenants.change(shop.tenant, renamed).await.unwrap();
    let again = RenderQuote { quote_id: numbered.id, revision: numbered.revision() };
    // As if the first had been rescued: it does not wait for it.
    let again = NewJob { unique_key: None, ..NewJob::of(shop.tenant.into(), &again).unwrap() };
    shop.queue.enqueue(again).await.unwrap();
    let sent =
        shop.until("the sent quote", || async { quote().await.filter(|quote| quote.state == QuoteState::Sent) }).await;
    let pdf = async || shop.objects.get(sent.pdf_key.as_ref().unwrap()).await.unwrap();
    let before = pdf().await;

    drop(std::fs::OpenOptions::new().write(true).open(&pipe).unwrap());
    let filter = ListFilter { kind: Some(RenderQuote::KIND), ..ListFilter::default() };
    shop.until("the end of both runs", || async {
        let jobs = shop.queue.list(&shop.tenant.into(), &filter, None, 10).await.unwrap().items;
        (jobs.len() == 2 && jobs.iter().all(|job| job.state == JobState::Completed)).then_some(())
    })
    .await;
    assert!(pdf().await == before, "it is another one now");
    assert_eq!(shop.servers.control.accepted().await.unwrap().len(), 1);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_stays_in_doubt_and_is_not_sent_again() {
    let shop = Shop::open().await;
    shop.servers.order(Target::Smtp, FaultKind::ResetAfterAccept, None).await;
    shop.deliver(REQUEST).await;
    shop.poll().await;
    shop.until("the doubt", || async { (shop.messages(MessageState::Unknown).await == 1).then_some(()) }).await;
    assert_eq!(shop.servers.control.accepted().await.unwrap().len(), 1);
    let scope = shop.queue.scope(&shop.tenant.into(), &shop.account.scope()).await.unwrap().unwrap();
    assert_eq!(scope.caps[0].used + scope.reserved, 1, "doubt stays charged");
    shop.close().await;
}

/// The server has the message, or may have it; what it said cannot be written down.
async fn the_unit_stays_charged(shop: Shop, lost: MessageState) {
    let settings = AccountSettings { daily_cap: 1, ..shop.account.settings() };
    let change = |_: &Account| Ok::<_, StoreError>(settings.into());
    let account = shop.stores.accounts.change(shop.tenant, shop.account.id, change).await.unwrap();
    let scopes =
        Scopes::new(shop.stores.accounts.clone(), shop.stores.messages.clone(), shop.queue.clone(), Clock::system());
    scopes.define(&account).await.unwrap();
    shop.refuse(lost).await;
    shop.deliver(REQUEST).await;
    shop.poll().await;
    let filter = ListFilter { kind: Some(SendEmail::KIND), ..ListFilter::default() };
    shop.until("the end of its first run", || async {
        let job = shop.queue.list(&shop.tenant.into(), &filter, None, 10).await.unwrap().items.pop()?;
        // Without a unit it does not run again.
        (matches!(job.state, JobState::Retryable | JobState::Available) && job.attempt == 1).then_some(())
    })
    .await;
    let scope = shop.queue.scope(&shop.tenant.into(), &account.scope()).await.unwrap().unwrap();
    assert_eq!((scope.caps[0].used, scope.reserved), (1, 0), "nobody else gets what it used");
    assert_eq!(shop.messages(MessageState::Sending).await, 1, "its row says that it may be out");
    assert_eq!(shop.servers.control.accepted().await.unwrap().len(), 1);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_message_stays_charged_if_the_database_does_not_take_the_news() {
    the_unit_stays_charged(Shop::open().await, MessageState::Accepted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn doubt_stays_charged_if_the_database_does_not_take_it() {
    let shop = Shop::open().await;
    shop.servers.order(Target::Smtp, FaultKind::ResetAfterAccept, None).await;
    the_unit_stays_charged(shop, MessageState::Unknown).await;
}

/// An outage of the database or of the object store that a planned look runs into, at all of its attempts.
#[tokio::test(flavor = "multi_thread")]
async fn a_planned_look_that_our_own_outage_ends_is_no_dead_letter_and_the_next_one_reads() {
    let shop = Shop::open().await;
    let database = shop.database().await;
    let sql = async |statement: &str| database.reader().execute_unprepared(statement).await.unwrap();
    sql("CREATE TRIGGER outage BEFORE INSERT ON inbound_mails BEGIN SELECT RAISE(ABORT, 'away'); END").await;
    shop.deliver(REQUEST).await;
    let planned = async || {
        let job = PollMailbox { account_id: shop.account.id, planned_at: Some(Clock::system().now()) };
        let id = shop.queue.enqueue(NewJob::of(shop.tenant.into(), &job).unwrap()).await.unwrap().id();
        shop.queue.wait(id, Duration::from_secs(20)).await.unwrap().unwrap()
    };
    let ended = planned().await;
    assert_eq!((ended.state, ended.attempt), (JobState::Completed, 3), "{:?}", ended.error);
    assert!(ended.output.unwrap()["failed"].as_str().unwrap().contains("database"));
    sql("DROP TRIGGER outage").await;
    assert_eq!(planned().await.output.unwrap()["recorded"], 1);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_drafts_that_an_outage_ends_is_no_dead_letter() {
    let shop = Shop::open().await;
    shop.database().await.reader().execute_unprepared("ALTER TABLE accounts RENAME TO away").await.unwrap();
    let job = NewJob::of(shop.tenant.into(), &TendDrafts { account_id: shop.account.id }).unwrap();
    let id = shop.queue.enqueue(job).await.unwrap().id();
    let ended = shop.queue.wait(id, Duration::from_secs(20)).await.unwrap().unwrap();
    assert_eq!((ended.state, ended.attempt), (JobState::Completed, 3), "{:?}", ended.error);
    assert!(ended.output.unwrap()["failed"].as_str().unwrap().contains("database"));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_pause_the_mailbox_and_say_why() {
    let shop = Shop::open().await;
    let change = |account: &Account| {
        Ok::<_, StoreError>(AccountChange { password: Some("wrong".into()), ..account.settings().into() })
    };
    shop.stores.accounts.change(shop.tenant, shop.account.id, change).await.unwrap();
    assert!(shop.poll().await["paused"].is_string());
    let account = shop.stores.accounts.get(shop.tenant, shop.account.id).await.unwrap();
    assert!(!account.is_active() && account.pause_reason.unwrap().contains("login"));
    assert_eq!(shop.poll().await["skipped"], "the mailbox is paused");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_is_fetched_only_when_there_is_memory_for_it() {
    let shop = Shop::open().await;
    let extraction = "extraction".parse().unwrap();
    shop.queue.pause(&extraction).await.unwrap();
    shop.deliver(REQUEST).await;
    shop.poll().await;
    let mail = shop.stores.mail.list(shop.tenant, Some(MailState::Received), None, 10).await.unwrap().items.remove(0);
    let raw = shop.objects.get(&mail.raw_key).await.unwrap();
    // Whoever fetches it now fails for good.
    shop.objects.delete(&mail.raw_key).await.unwrap();
    let all = shop.memory.reserve(shop.tenant, u64::MAX).await;
    shop.queue.resume(&extraction).await.unwrap();
    let filter = ListFilter { kind: Some(ExtractRequest::KIND), ..ListFilter::default() };
    let job = shop.queue.list(&shop.tenant.into(), &filter, None, 10).await.unwrap().items.remove(0).id;
    let record = async || shop.queue.get(job).await.unwrap().unwrap();
    shop.until("its start", || async { (record().await.started_at.is_some()).then_some(()) }).await;
    // Later jobs of the same worker overtake it.
    for _ in 0..3 {
        shop.poll().await;
    }
    assert_eq!(record().await.state, JobState::Running, "{:?}", record().await.error);
    shop.objects.put(&mail.raw_key, raw).await.unwrap();
    drop(all);
    shop.until("the quote", || async { (shop.messages(MessageState::Accepted).await == 1).then_some(()) }).await;
    assert_eq!(record().await.attempt, 1);
    shop.close().await;
}

/// A run that lost its lease while the model thought makes the quote, and its outcome is refused with the job that prices it. The
/// model tells the run that has the lease something else.
#[tokio::test(flavor = "multi_thread")]
async fn a_quote_that_an_overtaken_run_made_goes_on() {
    let shop = Shop::open().await;
    let slow = Fault { ms: 4_000, ..super::fault(Target::Llm, FaultKind::Latency, None) };
    shop.servers.control.order(&slow).await.unwrap();
    shop.deliver(SMALL_TALK).await;
    shop.poll().await;
    let asks =
        || async { shop.servers.control.faults().await.unwrap().iter().any(|fault| fault.struck == 1).then_some(()) };
    shop.until("the question to the model", asks).await;
    let mail = shop.stores.mail.list(shop.tenant, Some(MailState::Received), None, 10).await.unwrap().items.remove(0);
    let product = shop.stores.products.offered(shop.tenant).await.unwrap().remove(0);
    let line = NewLine {
        product_id: Some(product.id),
        sku: product.sku,
        description: product.name,
        dimensions: Vec::new(),
        material: None,
        quantity: 2.into(),
    };
    let new = NewQuote {
        mail_id: mail.id,
        language: "en".into(),
        currency: "EUR".into(),
        deadline: None,
        customer_name: None,
        customer_address: mail.from_address,
        extraction: serde_json::json!({}),
        lines: vec![line],
        review: None,
        fingerprint: None,
        reading: Reading::default(),
    };
    let quote = shop.stores.quotes.create(shop.tenant, new).await.unwrap().quote().id;
    shop.until("the quote to be sent", || async {
        let quote = shop.stores.quotes.get(shop.tenant, quote).await.unwrap();
        (quote.state == QuoteState::Sent).then_some(())
    })
    .await;
    let filter = ListFilter { kind: Some(PriceQuote::KIND), ..ListFilter::default() };
    assert_eq!(shop.queue.list(&shop.tenant.into(), &filter, None, 10).await.unwrap().items.len(), 1);
    assert_eq!(shop.servers.control.accepted().await.unwrap().len(), 1);
    shop.close().await;
}
