//! What happened to an account that its owner should know of.

mod row;

use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};

pub use row::Model as AccountEvent;
use row::{Column, Entity};

use super::Account;
use crate::{
    clock::Clock,
    database::{Cursor, Database, Page, StoreError, Transaction, page::newest_first},
    ids::{AccountEventId, AccountId, TenantId},
    words::words,
};

words! {
    /// What happened to an account.
    "account event"
    enum EventKind {
        /// Its owner consented, and it is read and sent from.
        Connected = "connected",
        /// A consent was denied, or could not be used.
        ConsentFailed = "consent_failed",
        /// Its grant is gone: its owner has to consent again.
        NeedsConsent = "needs_consent",
    }
}

/// The table of what happened to accounts.
#[derive(Clone)]
pub struct AccountEvents {
    database: Database,
}

impl AccountEvents {
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// What happened to an account, newest first.
    pub async fn list(
        &self,
        tenant: TenantId,
        account: AccountId,
        cursor: Option<Cursor>,
        limit: u64,
    ) -> Result<Page<AccountEvent>, StoreError> {
        let select = Entity::find().filter(Column::TenantId.eq(tenant)).filter(Column::AccountId.eq(account));
        let key = |row: &AccountEvent| Cursor::after(row.created_at, row.id.0);
        let order = (Column::CreatedAt, Column::Id);
        Ok(newest_first(self.database.reader(), select, order, cursor, limit, key).await?)
    }
}

/// Notes an event together with what it tells of.
pub(crate) async fn note(
    tx: &Transaction,
    clock: &Clock,
    account: &Account,
    kind: EventKind,
    detail: Option<&str>,
) -> Result<(), StoreError> {
    let event = AccountEvent {
        id: AccountEventId::random(),
        tenant_id: account.tenant_id,
        account_id: account.id,
        kind,
        detail: detail.map(|text| text.chars().take(2_000).collect()),
        created_at: clock.now(),
    };
    Entity::insert(event.into_active_model()).exec_without_returning(tx.connection()).await?;
    Ok(())
}
