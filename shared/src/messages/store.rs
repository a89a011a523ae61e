use std::collections::HashSet;

use chrono::{DateTime, Utc};
use postrider_queue::ScopeKey;
use sea_orm::{ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};

use super::{
    ActiveModel, BeginSending, Column, Entity, Fence, Message, MessageFilter, MessageState, PlannedMessage, Verdict,
    attempt::{self, Way},
    drafts::{self, Draft},
    list, plan, settle,
};
use crate::{
    clock::Clock,
    database::{AllTenants, Cursor, Database, Page, StoreError, Transaction},
    ids::{AccountId, MessageId, TenantId},
    mail::Settled,
};

/// What an attempt is charged to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slot {
    pub scope: Option<ScopeKey>,
    /// The start of the cap's window.
    pub window: Option<DateTime<Utc>>,
}

/// The send ledger.
#[derive(Clone)]
pub struct Messages {
    database: Database,
    clock: Clock,
}

impl Messages {
    pub fn new(database: Database, clock: Clock) -> Self {
        Self { database, clock }
    }

    /// Plans a message unless it was planned before, at somebody's wish. Quotes plan theirs with [`Quotes::render`](crate::quotes::Quotes::render).
    pub async fn plan(&self, tenant: TenantId, message: PlannedMessage) -> Result<Message, StoreError> {
        let tx = self.database.write().await?;
        let id = message.id;
        plan::plan(&tx, self.clock.now(), tenant, message, false).await?;
        let message = find(tx.connection(), tenant, id).await?;
        tx.commit().await?;
        Ok(message)
    }

    pub async fn get(&self, tenant: TenantId, id: MessageId) -> Result<Message, StoreError> {
        find(self.database.reader(), tenant, id).await
    }

    /// A tenant's messages, newest first.
    pub async fn list(
        &self,
        tenant: TenantId,
        filter: MessageFilter,
        cursor: Option<Cursor>,
        limit: u64,
    ) -> Result<Page<Message>, StoreError> {
        list::list(&self.database, tenant, filter, cursor, limit).await
    }

    /// Opens the next attempt, if the message may be sent at all. Overtakes an attempt whose data did not start. A message that carries a
    /// quote whose last day is over by now is skipped, unless it may have been handed over.
    pub async fn begin_sending(&self, tenant: TenantId, id: MessageId, slot: Slot) -> Result<BeginSending, StoreError> {
        let tx = self.database.write().await?;
        let begun = attempt::begin(&tx, self.clock.now(), (tenant, id), slot, Way::AtOnce).await?;
        tx.commit().await?;
        Ok(begun)
    }

    /// [`begin_sending`](Self::begin_sending) for a provider that keeps drafts. An attempt that was cut off while its stored draft
    /// was sent is taken up instead of being left in doubt, and so is a message that is `unknown` already, unless nobody awaits it any
    /// more: it comes with `data_started_at` then, and whoever goes on has to look whether it was sent before he sends the draft again.
    pub async fn begin_drafting(
        &self,
        tenant: TenantId,
        id: MessageId,
        slot: Slot,
    ) -> Result<BeginSending, StoreError> {
        let tx = self.database.write().await?;
        let begun = attempt::begin(&tx, self.clock.now(), (tenant, id), slot, Way::Draft).await?;
        tx.commit().await?;
        Ok(begun)
    }

    /// Makes a draft the message's own. On [`Fence::Lost`] it is nobody's and must never be sent.
    pub async fn store_draft(
        &self,
        tenant: TenantId,
        id: MessageId,
        attempt: u32,
        draft: Draft,
    ) -> Result<Fence, StoreError> {
        let tx = self.database.write().await?;
        let fence = attempt::store_draft(&tx, self.clock.now(), (tenant, id), attempt, draft).await?;
        tx.commit().await?;
        Ok(fence)
    }

    /// Notes under which Message-ID a draft went out: answers to it will find its thread.
    pub async fn sent_as(&self, tenant: TenantId, id: MessageId, message_id: &str) -> Result<(), StoreError> {
        let tx = self.database.write().await?;
        drafts::sent_as(&tx, self.clock.now(), (tenant, id), message_id).await?;
        tx.commit().await
    }

    /// Some of an account's messages whose draft is not done with: in doubt, or sent and their Message-ID not read back. Another
    /// choice of them each time, so that those about which nothing can be done keep no others behind them.
    pub async fn loose_ends(
        &self,
        tenant: TenantId,
        account: AccountId,
        limit: u64,
    ) -> Result<Vec<Message>, StoreError> {
        drafts::loose_ends(&self.database, self.clock.now(), (tenant, account), limit).await
    }

    /// Some of an account's messages that have a draft and are not to be sent any more: skipped, refused for good, discarded, or
    /// withdrawn when the draft may have been sent. Another choice of them each time.
    pub async fn unwanted_drafts(
        &self,
        tenant: TenantId,
        account: AccountId,
        limit: u64,
    ) -> Result<Vec<Message>, StoreError> {
        drafts::unwanted(&self.database, self.clock.now(), (tenant, account), limit).await
    }

    /// Such a message's draft was deleted. One that was withdrawn is `skipped` with this.
    pub async fn draft_deleted(&self, tenant: TenantId, id: MessageId, draft: &str) -> Result<(), StoreError> {
        let tx = self.database.write().await?;
        settle::draft_deleted(&tx, self.clock.now(), (tenant, id), draft).await?;
        tx.commit().await
    }

    /// The draft of a message that goes out in another way was deleted under this attempt, before it was sent: the message has none any
    /// more, and is in no doubt. One that was withdrawn meanwhile is `skipped`.
    pub async fn draft_taken_back(
        &self,
        tenant: TenantId,
        id: MessageId,
        attempt: u32,
        draft: &str,
    ) -> Result<(), StoreError> {
        let tx = self.database.write().await?;
        settle::draft_taken_back(&tx, self.clock.now(), (tenant, id), attempt, draft).await?;
        tx.commit().await
    }

    /// Whether an account has messages of several attempts that changed within the last day: an earlier one may have made a draft and
    /// not come to store it.
    pub async fn drafted_again(&self, tenant: TenantId, account: AccountId) -> Result<bool, StoreError> {
        drafts::drafted_again(&self.database, self.clock.now(), (tenant, account)).await
    }

    /// Those of these accounts that have [loose ends](Self::loose_ends), [unwanted drafts](Self::unwanted_drafts) or messages that
    /// were [drafted again](Self::drafted_again).
    pub async fn left_drafts(&self, all: AllTenants, accounts: &[AccountId]) -> Result<HashSet<AccountId>, StoreError> {
        drafts::left_drafts(&self.database, all, self.clock.now(), accounts).await
    }

    /// The point of no return: to be called, and awaited, right before the first byte after which the server may take the message
    /// (for SMTP, the DATA command). On [`Fence::Lost`] nothing may be sent.
    pub async fn data_starting(&self, tenant: TenantId, id: MessageId, attempt: u32) -> Result<Fence, StoreError> {
        let tx = self.database.write().await?;
        let fence = attempt::data_starting(&tx, self.clock.now(), (tenant, id), attempt).await?;
        tx.commit().await?;
        Ok(fence)
    }

    /// Notes how an attempt ended, and moves its quote along. A verdict about an attempt that was overtaken changes nothing.
    pub async fn settle(
        &self,
        tenant: TenantId,
        id: MessageId,
        attempt: u32,
        verdict: Verdict,
    ) -> Result<Settled<Message>, StoreError> {
        let tx = self.database.write().await?;
        tx.watch(Entity::find().filter(own(tenant, id))).await?;
        let settled = settle::settle(&tx, self.clock.now(), (tenant, id), attempt, verdict).await?;
        tx.commit().await?;
        Ok(settled)
    }

    /// The message is not to be sent any more (suppressed, cancelled, expired), unless it may have been handed over.
    pub async fn skip(&self, tenant: TenantId, id: MessageId, reason: &str) -> Result<Settled<Message>, StoreError> {
        let tx = self.database.write().await?;
        let settled = settle::skip(&tx, self.clock.now(), (tenant, id), reason).await?;
        tx.commit().await?;
        Ok(settled)
    }

    /// The job that was to send the message is about to be cancelled: it is not to be sent, unless it may have been handed over. One whose
    /// draft may have been sent is in doubt until somebody sees what became of that; one whose data is under way is skipped if the
    /// server does not take it. Nobody sends it any more. To be called
    /// first, because whoever is cut off in between leaves a job that finds nothing to send. A message that is not there, or is
    /// settled, does not change.
    pub async fn withdraw(&self, tenant: TenantId, id: MessageId) -> Result<(), StoreError> {
        let tx = self.database.write().await?;
        match settle::withdraw(&tx, self.clock.now(), (tenant, id)).await {
            Ok(_) => tx.commit().await,
            Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// How many messages may have been charged to a scope since a time, to seed its cap; with those of `accounts` that were charged
    /// to the scope of another address.
    pub async fn used(
        &self,
        tenant: TenantId,
        scope: &ScopeKey,
        accounts: &[AccountId],
        since: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        list::used(&self.database, tenant, (scope.as_str(), accounts), since).await
    }

    /// Messages that are in doubt since before `before`, oldest first, for whoever can find out what became of them.
    pub async fn doubtful(
        &self,
        all: AllTenants,
        before: DateTime<Utc>,
        limit: u64,
    ) -> Result<Vec<Message>, StoreError> {
        list::doubtful(&self.database, all, before, limit).await
    }

    /// Messages whose data and whose latest attempt started before `before`, and which nobody settled since, oldest first: the process
    /// ended in between, and no later attempt has looked. The server may have taken them.
    pub async fn unsettled(
        &self,
        all: AllTenants,
        before: DateTime<Utc>,
        limit: u64,
    ) -> Result<Vec<Message>, StoreError> {
        list::unsettled(&self.database, all, before, limit).await
    }

    /// Gives up on messages that are in doubt since before `before`: they are never sent again. Returns how many.
    pub async fn give_up(&self, all: AllTenants, before: DateTime<Utc>, limit: u64) -> Result<u64, StoreError> {
        let doubtful = list::doubtful(&self.database, all, before, limit).await?;
        if doubtful.is_empty() {
            return Ok(0);
        }
        let tx = self.database.write().await?;
        let changes = ActiveModel { state: Set(MessageState::UnknownFinal), ..ActiveModel::default() };
        let done = Entity::update_many()
            .set(changes)
            .filter(Column::Id.is_in(doubtful.iter().map(|message| message.id)))
            .filter(Column::State.eq(MessageState::Unknown))
            .exec(tx.connection())
            .await?;
        tx.commit().await?;
        Ok(done.rows_affected)
    }
}

pub(super) fn own(tenant: TenantId, id: MessageId) -> Condition {
    Condition::all().add(Column::Id.eq(id)).add(Column::TenantId.eq(tenant))
}

pub(super) async fn find(
    connection: &impl ConnectionTrait,
    tenant: TenantId,
    id: MessageId,
) -> Result<Message, StoreError> {
    Entity::find().filter(own(tenant, id)).one(connection).await?.ok_or(StoreError::NotFound { what: "message" })
}

/// Those of these messages that are planned or further.
pub(crate) async fn find_all(
    connection: &impl ConnectionTrait,
    tenant: TenantId,
    ids: impl Iterator<Item = MessageId>,
) -> Result<Vec<Message>, StoreError> {
    Ok(Entity::find().filter(Column::TenantId.eq(tenant)).filter(Column::Id.is_in(ids)).all(connection).await?)
}

/// The row, which nobody else changes until the transaction ends.
pub(super) async fn locked(tx: &Transaction, tenant: TenantId, id: MessageId) -> Result<Message, StoreError> {
    let found = Entity::find().filter(own(tenant, id)).lock_exclusive().one(tx.connection()).await?;
    found.ok_or(StoreError::NotFound { what: "message" })
}
