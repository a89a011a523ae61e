//! Mailboxes that send through the Gmail API, and messages that no pipeline made.

use postrider_queue::{NewJob, QueueClient, QueueConfig};
use postrider_shared::clock::Clock;
use postrider_shared::config::{DatabaseConfig, ObjectsConfig};
use postrider_shared::database::Database;
use postrider_shared::ids::{AccountId, MessageId, TenantId};
use postrider_shared::jobs::SendEmail;
use postrider_shared::messages::PlannedMessage;
use postrider_shared::objects::Objects;
use postrider_shared::stores::Stores;
use serde_json::Value;

use super::{Office, Platform};
use crate::mails;

impl Platform {
    /// The sign workshop with a Gmail mailbox, which it sends from through the API. `settings` are further fields of the account.
    pub async fn gmail_workshop(&self, settings: Value) -> Office {
        let workshop = (&mails::workshop(), &mails::products()[..]);
        self.google_office(self.sandbox().client(), "angebot@gmail.example", workshop, settings).await
    }

    /// Plans a message from the office to each of these and has it sent; with an attachment of these bytes.
    ///
    /// # Panics
    /// When the database, the object store or the queue refuses.
    pub async fn send(&self, office: &Office, to: &[String], attachment: Option<Vec<u8>>) {
        let stores = Stores::new(&self.open_database().await, &Clock::system(), None);
        let tenant: TenantId = office.tenant_id.parse().expect("a tenant's id");
        let account: AccountId = office.account_id.parse().expect("an account's id");
        let account = stores.accounts.get(tenant, account).await.expect("the account");
        let key = "drill/attachment.pdf".to_owned();
        let attached = attachment.is_some();
        if let Some(bytes) = attachment {
            let url = format!("file://{}", self.folder().join("objects").display());
            let objects = Objects::open(&ObjectsConfig::at(url)).expect("the object store");
            objects.put(&key, bytes).await.expect("store the attachment");
        }
        let queue = QueueClient::connect(QueueConfig::new(self.redis().url())).await.expect("connect to the queue");
        let mut jobs = Vec::new();
        for address in to {
            let id = MessageId::random();
            let message = PlannedMessage {
                subject: "Re: Drill".to_owned(),
                body_text: "A message of a drill.".to_owned(),
                attachment_key: attached.then(|| key.clone()),
                attachment_name: attached.then(|| "attachment.pdf".to_owned()),
                ..PlannedMessage::alone(id, &account, address)
            };
            stores.messages.plan(tenant, message).await.expect("plan a message");
            let job = SendEmail { message_id: id, lane: account.transactional_lane() };
            jobs.push(NewJob::of(tenant.into(), &job).expect("a job"));
        }
        queue.enqueue_many(jobs).await.expect("enqueue the messages");
    }

    /// Units of the mailbox's daily cap: used, and reserved.
    ///
    /// # Panics
    /// When the database or the queue refuses, or the mailbox has no cap.
    pub async fn units(&self, office: &Office) -> (u64, u64) {
        let stores = Stores::new(&self.open_database().await, &Clock::system(), None);
        let tenant: TenantId = office.tenant_id.parse().expect("a tenant's id");
        let account: AccountId = office.account_id.parse().expect("an account's id");
        let account = stores.accounts.get(tenant, account).await.expect("the account");
        let queue = QueueClient::connect(QueueConfig::new(self.redis().url())).await.expect("connect to the queue");
        let scope = queue.scope(&tenant.into(), &account.scope()).await.expect("the scope").expect("a scope");
        (scope.caps[0].used, scope.reserved)
    }

    async fn open_database(&self) -> Database {
        Database::connect(&DatabaseConfig::at(self.database().url())).await.expect("the database")
    }
}
