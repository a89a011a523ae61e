use std::collections::HashSet;

use chrono::{DateTime, SubsecRound, Utc};
use postrider_queue::NewJob;
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{
    Column, Coverage, Entity, Epoch, Failing, InboundMail, MailState, MailboxCursor, NewMail, Numbering, Opened, Print,
    Reading, Recorded, Settled, Settlement, Sighting, Snapshot, Thread, conversation, cursor, record, settling,
    snapshot, thread,
};
use crate::{
    accounts,
    clock::Clock,
    database::{Cursor, Database, Page, StoreError, page::newest_first},
    ids::{AccountId, MailId, TenantId, ThreadId},
};

/// The tables of inbound mail, threads and folders.
#[derive(Clone)]
pub struct Mail {
    database: Database,
    clock: Clock,
}

impl Mail {
    pub fn new(database: Database, clock: Clock) -> Self {
        Self { database, clock }
    }

    /// Opens a folder as its server numbers it now; the answer says where to go on.
    pub async fn open_folder(
        &self,
        tenant: TenantId,
        account: AccountId,
        folder: &str,
        numbering: impl Into<Numbering>,
    ) -> Result<Opened, StoreError> {
        let numbering = numbering.into();
        if let Some(opened) = cursor::peek(self.database.reader(), tenant, account, folder, numbering).await? {
            return Ok(opened);
        }
        let tx = self.database.write().await?;
        let account = accounts::find(tx.connection(), tenant, account).await?;
        let opened = cursor::open(&tx, &account, folder, numbering).await?;
        tx.commit().await?;
        Ok(opened)
    }

    /// What lay in a folder when we began to read it.
    pub async fn snapshot(&self, tenant: TenantId, account: AccountId, folder: &str) -> Result<Snapshot, StoreError> {
        snapshot::find(self.database.reader(), tenant, account, folder).await
    }

    /// Keeps what lay in a folder when we began to read it; the first one stays. The folder must have been opened. One of an epoch
    /// that is over is not kept.
    pub async fn keep_snapshot(
        &self,
        tenant: TenantId,
        account: AccountId,
        (folder, epoch): (&str, Epoch),
        coverage: Coverage,
        prints: &[Print],
    ) -> Result<(), StoreError> {
        let tx = self.database.write().await?;
        let account = accounts::find(tx.connection(), tenant, account).await?;
        if cursor::is_current(&tx, account.id, folder, epoch).await? {
            snapshot::keep(&tx, self.clock.now(), &account, folder, coverage, prints).await?;
        }
        tx.commit().await
    }

    /// Adds mails that were passed over as old to what is known of a folder, unless that epoch of it is over.
    pub async fn pass_over(
        &self,
        tenant: TenantId,
        account: AccountId,
        (folder, epoch): (&str, Epoch),
        prints: &[Print],
    ) -> Result<(), StoreError> {
        let tx = self.database.write().await?;
        let account = accounts::find(tx.connection(), tenant, account).await?;
        if cursor::is_current(&tx, account.id, folder, epoch).await? {
            snapshot::add(&tx, self.clock.now(), &account, folder, prints).await?;
        }
        tx.commit().await
    }

    /// Notes that no mail of a folder that was numbered anew is in doubt any more.
    pub async fn settle_doubts(
        &self,
        tenant: TenantId,
        account: AccountId,
        (folder, epoch): (&str, Epoch),
    ) -> Result<(), StoreError> {
        let tx = self.database.write().await?;
        accounts::find(tx.connection(), tenant, account).await?;
        cursor::settle_doubts(tx.connection(), account, folder, epoch).await?;
        tx.commit().await
    }

    /// What was recorded of a mailbox's mail that its server got between these times, and the latest of all: by it a listing is
    /// compared with what is known.
    pub async fn sightings(
        &self,
        tenant: TenantId,
        account: AccountId,
        between: (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<Vec<Sighting>, StoreError> {
        let own = Entity::find().filter(Column::TenantId.eq(tenant)).filter(Column::AccountId.eq(account));
        let rows = own
            .filter(Column::ReceivedAt.between(between.0, between.1))
            .select_only()
            .columns([Column::ReceivedAt, Column::Size, Column::RfcMessageId])
            .into_tuple::<(DateTime<Utc>, i64, Option<String>)>()
            .all(self.database.reader())
            .await?;
        Ok(rows.into_iter().map(Sighting::of).collect())
    }

    /// Which of these mails, by what their provider calls them, were recorded.
    pub async fn known_to_provider(
        &self,
        tenant: TenantId,
        account: AccountId,
        provider_ids: &[String],
    ) -> Result<HashSet<String>, StoreError> {
        if provider_ids.is_empty() {
            return Ok(HashSet::new());
        }
        let own = Entity::find().filter(Column::TenantId.eq(tenant)).filter(Column::AccountId.eq(account));
        let known = own.filter(Column::ProviderId.is_in(provider_ids)).select_only().column(Column::ProviderId);
        Ok(known.into_tuple::<String>().all(self.database.reader()).await?.into_iter().collect())
    }

    /// When the server got the latest mail that was recorded of a mailbox.
    pub async fn latest_received(
        &self,
        tenant: TenantId,
        account: AccountId,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        let own = Entity::find().filter(Column::TenantId.eq(tenant)).filter(Column::AccountId.eq(account));
        let latest = own.select_only().column_as(Column::ReceivedAt.max(), "latest");
        let latest = latest.into_tuple::<Option<DateTime<Utc>>>().one(self.database.reader()).await?;
        Ok(latest.flatten())
    }

    /// Notes that a folder was read up to `last_uid`, also over mail that is none of ours, by a look that began at `looked_at`: a run
    /// may end long after it looked. A run of an epoch that is over notes nothing.
    pub async fn polled(
        &self,
        tenant: TenantId,
        account: AccountId,
        (folder, epoch): (&str, Epoch),
        last_uid: u32,
        looked_at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let tx = self.database.write().await?;
        accounts::find(tx.connection(), tenant, account).await?;
        let looked_at = Some(looked_at.trunc_subsecs(6));
        cursor::advance(tx.connection(), account, folder, epoch, last_uid, looked_at).await?;
        tx.commit().await
    }

    /// Notes that a run could not fetch the mail with this UID. It counts if the server handed over another one.
    pub async fn failed_at(
        &self,
        tenant: TenantId,
        (account, folder): (AccountId, &str),
        mail: (Epoch, u32),
        counts: bool,
    ) -> Result<Failing, StoreError> {
        let tx = self.database.write().await?;
        accounts::find(tx.connection(), tenant, account).await?;
        let now = self.clock.now().trunc_subsecs(6);
        let failing = cursor::failed_at(&tx, now, (account, folder), mail, counts).await?;
        tx.commit().await?;
        Ok(failing)
    }

    /// The places in all folders of a mailbox.
    pub async fn cursors(&self, tenant: TenantId, account: AccountId) -> Result<Vec<MailboxCursor>, StoreError> {
        cursor::find(self.database.reader(), tenant, account).await
    }

    /// Records a mail once, with its thread, the jobs that follow (for the outbox) and the place in its folder, in one transaction.
    /// The raw text must be in the object store already.
    pub async fn record(&self, tenant: TenantId, mail: NewMail, jobs: Vec<NewJob>) -> Result<Recorded, StoreError> {
        let mail = NewMail {
            sent_at: mail.sent_at.map(|time| time.trunc_subsecs(6)),
            received_at: mail.received_at.trunc_subsecs(6),
            ..mail
        };
        match self.try_record(tenant, mail.clone(), &jobs).await {
            // Somebody else was faster by a moment: now it is known.
            Err(StoreError::Conflict { .. }) => self.try_record(tenant, mail, &jobs).await,
            result => result,
        }
    }

    async fn try_record(&self, tenant: TenantId, mail: NewMail, jobs: &[NewJob]) -> Result<Recorded, StoreError> {
        let tx = self.database.write().await?;
        let recorded = record::record(&tx, self.clock.now(), tenant, mail, jobs).await?;
        tx.commit().await?;
        Ok(recorded)
    }

    pub async fn get(&self, tenant: TenantId, id: MailId) -> Result<InboundMail, StoreError> {
        find(self.database.reader(), tenant, id).await
    }

    /// A tenant's mail, newest first.
    pub async fn list(
        &self,
        tenant: TenantId,
        state: Option<MailState>,
        cursor: Option<Cursor>,
        limit: u64,
    ) -> Result<Page<InboundMail>, StoreError> {
        let mut select = Entity::find().filter(Column::TenantId.eq(tenant));
        if let Some(state) = state {
            select = select.filter(Column::State.eq(state));
        }
        let key = |row: &InboundMail| Cursor::after(row.created_at, row.id.0);
        let order = (Column::CreatedAt, Column::Id);
        Ok(newest_first(self.database.reader(), select, order, cursor, limit, key).await?)
    }

    /// Mail of a thread recorded before `before`, newest first.
    pub async fn earlier(
        &self,
        tenant: TenantId,
        thread: ThreadId,
        before: DateTime<Utc>,
        limit: u64,
    ) -> Result<Vec<InboundMail>, StoreError> {
        let select = Entity::find()
            .filter(Column::TenantId.eq(tenant))
            .filter(Column::ThreadId.eq(thread))
            .filter(Column::CreatedAt.lt(before));
        let order = select.order_by_desc(Column::CreatedAt).order_by_desc(Column::Id);
        Ok(order.limit(limit).all(self.database.reader()).await?)
    }

    /// The last 200 mails that came in a thread, oldest first.
    pub async fn of_thread(&self, tenant: TenantId, thread: ThreadId) -> Result<Vec<InboundMail>, StoreError> {
        let select = Entity::find().filter(Column::TenantId.eq(tenant)).filter(Column::ThreadId.eq(thread));
        let order = select.order_by_desc(Column::CreatedAt).order_by_desc(Column::Id);
        let mut mails = order.limit(crate::database::MAX_PAGE).all(self.database.reader()).await?;
        mails.reverse();
        Ok(mails)
    }

    pub async fn thread(&self, tenant: TenantId, id: ThreadId) -> Result<Thread, StoreError> {
        let own = thread::Column::TenantId.eq(tenant);
        let found = thread::Entity::find_by_id(id).filter(own).one(self.database.reader()).await?;
        found.ok_or(StoreError::NotFound { what: "thread" })
    }

    /// A tenant's threads, newest first.
    pub async fn threads(
        &self,
        tenant: TenantId,
        cursor: Option<Cursor>,
        limit: u64,
    ) -> Result<Page<Thread>, StoreError> {
        let select = thread::Entity::find().filter(thread::Column::TenantId.eq(tenant));
        let key = |row: &Thread| Cursor::after(row.created_at, row.id.0);
        let order = (thread::Column::CreatedAt, thread::Column::Id);
        Ok(newest_first(self.database.reader(), select, order, cursor, limit, key).await?)
    }

    /// Whether mail of the thread that was recorded before this one still waits to be read.
    pub async fn is_preceded(&self, mail: &InboundMail) -> Result<bool, StoreError> {
        conversation::is_preceded(self.database.reader(), mail).await
    }

    /// What the same sender wrote to the tenant outside of this mail's thread, newest first.
    pub async fn earlier_of_sender(
        &self,
        mail: &InboundMail,
        since: DateTime<Utc>,
        limit: u64,
    ) -> Result<Vec<InboundMail>, StoreError> {
        conversation::earlier_of_sender(self.database.reader(), mail, since, limit).await
    }

    /// The newest mail of a thread that came from this mailbox, in whatever spelling.
    pub async fn newest_from(
        &self,
        tenant: TenantId,
        thread: ThreadId,
        address: &str,
    ) -> Result<Option<InboundMail>, StoreError> {
        conversation::newest_from(self.database.reader(), (tenant, thread), address).await
    }

    /// The mail asks for nothing that a quote could answer.
    pub async fn ignored(
        &self,
        tenant: TenantId,
        id: MailId,
        reading: Reading,
        reason: &str,
    ) -> Result<Settled<InboundMail>, StoreError> {
        self.settle(tenant, id, Settlement { reading, ..Settlement::because(MailState::Ignored, reason) }).await
    }

    /// The mail could not be read.
    pub async fn failed(&self, tenant: TenantId, id: MailId, reason: &str) -> Result<Settled<InboundMail>, StoreError> {
        self.settle(tenant, id, Settlement::because(MailState::Failed, reason)).await
    }

    /// A person has dealt with a mail that waited for one, or that could not be read. Doing so again changes nothing.
    pub async fn resolve(&self, tenant: TenantId, id: MailId) -> Result<InboundMail, StoreError> {
        let tx = self.database.write().await?;
        tx.watch(Entity::find_by_id(id)).await?;
        let changed = settling::resolve(&tx, self.clock.now(), (tenant, id)).await?;
        let mail = find(tx.connection(), tenant, id).await?;
        if !changed && mail.state != MailState::Resolved {
            let reason = format!("is {}: only one that waits for a person can be resolved", mail.state);
            return Err(StoreError::conflict("mail", reason));
        }
        tx.commit().await?;
        Ok(mail)
    }

    async fn settle(
        &self,
        tenant: TenantId,
        id: MailId,
        settlement: Settlement,
    ) -> Result<Settled<InboundMail>, StoreError> {
        let tx = self.database.write().await?;
        let changed = settling::settle(&tx, self.clock.now(), (tenant, id), settlement).await?;
        let mail = find(tx.connection(), tenant, id).await?;
        tx.commit().await?;
        Ok(if changed { Settled::Now(mail) } else { Settled::Before(mail) })
    }
}

pub(super) fn own(tenant: TenantId, id: MailId) -> Condition {
    Condition::all().add(Column::Id.eq(id)).add(Column::TenantId.eq(tenant))
}

pub(crate) async fn find(
    connection: &impl ConnectionTrait,
    tenant: TenantId,
    id: MailId,
) -> Result<InboundMail, StoreError> {
    Entity::find().filter(own(tenant, id)).one(connection).await?.ok_or(StoreError::NotFound { what: "mail" })
}
