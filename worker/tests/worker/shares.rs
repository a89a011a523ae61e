//! What one tenant's jobs wait for does not keep another tenant's mail waiting.

use std::net::{SocketAddr, TcpListener};

use postrider_queue::{Job, JobId, JobState, ListFilter, NewJob};
use postrider_shared::accounts::Account;
use postrider_shared::clock::Clock;
use postrider_shared::ids::{MailId, MessageId, TenantId};
use postrider_shared::jobs::{ExtractRequest, PollMailbox, SendEmail};
use postrider_shared::mail::NewMail;
use postrider_shared::messages::PlannedMessage;
use postrider_shared::objects::raw_mail_key;
use postrider_shared::scopes::Scopes;
use postrider_shared::tenants::TenantSettings;

use super::shop::{self, CONCURRENCY, Shop};

/// Accepts connections, and never says a word.
fn silent() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Mailboxes of another tenant at such a server, one for each place of the worker.
async fn slow_mailboxes(shop: &Shop, server: SocketAddr) -> (TenantId, Vec<Account>) {
    let tenant = shop.stores.tenants.create(TenantSettings::named("Slow & Co")).await.unwrap().id;
    let scopes =
        Scopes::new(shop.stores.accounts.clone(), shop.stores.messages.clone(), shop.queue.clone(), Clock::system());
    let mut accounts = Vec::new();
    for number in 0..CONCURRENCY {
        let mut new = shop::account(&shop.servers);
        let address = format!("box-{number}@slow.example");
        for at in [&mut new.settings.imap, &mut new.settings.smtp] {
            (at.port, at.username) = (server.port(), address.clone());
        }
        new.settings.address = address;
        let account = shop.stores.accounts.create(tenant, new).await.unwrap();
        scopes.define(&account).await.unwrap();
        accounts.push(account);
    }
    (tenant, accounts)
}

async fn enqueue<J: Job>(shop: &Shop, tenant: TenantId, job: &J) -> JobId {
    shop.queue.enqueue(NewJob::of(tenant.into(), job).unwrap()).await.unwrap().id()
}

/// The worker has taken as many of these as it takes, and reads the mailbox of its own shop before any of them has ended.
async fn the_shop_is_served_before_they_end<J: Job>(shop: Shop, slow: TenantId) {
    let filter = ListFilter { kind: Some(J::KIND), ..ListFilter::default() };
    let jobs = async || shop.queue.list(&slow.into(), &filter, None, 200).await.unwrap().items;
    let running = async || jobs().await.iter().filter(|job| job.state == JobState::Running).count();
    shop.until("the first of them to run", async || (running().await > 0).then_some(())).await;
    assert_eq!(shop.poll().await["recorded"], 0);
    let jobs = jobs().await;
    assert_eq!(jobs.len(), CONCURRENCY);
    for job in &jobs {
        assert!(matches!(job.state, JobState::Running | JobState::Available) && job.attempt <= 1, "{job:?}");
    }
    assert!(running().await <= CONCURRENCY / 6);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_whose_mailboxes_answer_slowly_keeps_no_other_waiting() {
    let shop = Shop::open().await;
    let (_listener, server) = silent();
    let (slow, accounts) = slow_mailboxes(&shop, server).await;
    for account in &accounts {
        enqueue(&shop, slow, &PollMailbox { account_id: account.id, planned_at: None }).await;
    }
    the_shop_is_served_before_they_end::<PollMailbox>(shop, slow).await;
}

/// Each waits for memory that the tenant's other mails have.
#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_gets_many_large_mails_keeps_no_other_waiting() {
    let shop = Shop::open().await;
    let (_listener, server) = silent();
    let (slow, accounts) = slow_mailboxes(&shop, server).await;
    let all = shop.memory.reserve(slow, u64::MAX).await;
    for account in &accounts {
        let mail = mail(slow, account);
        let job = ExtractRequest { mail_id: mail.id() };
        shop.stores.mail.open_folder(slow, account.id, "INBOX", 7).await.unwrap();
        shop.stores.mail.record(slow, mail, Vec::new()).await.unwrap();
        enqueue(&shop, slow, &job).await;
    }
    the_shop_is_served_before_they_end::<ExtractRequest>(shop, slow).await;
    drop(all);
}

fn mail(tenant: TenantId, account: &Account) -> NewMail {
    let now = Clock::system().now();
    NewMail {
        account_id: account.id,
        folder: "INBOX".into(),
        uid_validity: 7,
        epoch: 0,
        uid: 1,
        dedupe_key: "large@example.org".into(),
        rfc_message_id: Some("large@example.org".into()),
        provider_id: None,
        in_reply_to: None,
        references: Vec::new(),
        from_address: "anna@example.org".into(),
        from_name: None,
        subject: "Quote".into(),
        sent_at: Some(now),
        received_at: now,
        raw_key: raw_mail_key(tenant, account.id, MailId::of(account.id, "large@example.org")),
        size: 50_000_000,
        text: "3 roll-up displays, please.".into(),
        failure: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_whose_servers_take_mail_slowly_keeps_no_other_waiting() {
    let shop = Shop::open().await;
    let (_listener, server) = silent();
    let (slow, accounts) = slow_mailboxes(&shop, server).await;
    for account in &accounts {
        let id = MessageId::random();
        let message = PlannedMessage::alone(id, account, "anna@example.org");
        shop.stores.messages.plan(slow, message).await.unwrap();
        enqueue(&shop, slow, &SendEmail { message_id: id, lane: account.transactional_lane() }).await;
    }
    the_shop_is_served_before_they_end::<SendEmail>(shop, slow).await;
}
