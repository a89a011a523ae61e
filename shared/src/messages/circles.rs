//! What ends a circle of two automata that answer each other, when no header of theirs tells: automatic replies are counted, by
//! correspondent and by thread, in the transaction that plans the next one. So no number of workers can plan one too many.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ColumnTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QuerySelect,
    sea_query::{LockType, OnConflict},
};

use super::{Column, Entity, PlannedMessage};
use crate::{
    accounts,
    database::{StoreError, Transaction},
    ids::{AccountId, TenantId},
    mail::thread,
};

/// Automatic replies that one correspondent gets from a mailbox within [`WINDOW`]. A customer with more requests than that in a day
/// gets the next ones from a person.
pub const MOST_TO_ONE: u64 = 10;
/// A moving day.
pub const WINDOW: TimeDelta = TimeDelta::hours(24);
/// Automatic replies within one thread, ever: an automaton may be slow, or write from ever new addresses.
pub const MOST_IN_A_THREAD: u64 = 30;

/// Somebody whom a mailbox answers; the row is what concurrent plans of replies wait for.
mod correspondent {
    use chrono::{DateTime, Utc};
    use sea_orm::entity::prelude::{
        ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter,
        PrimaryKeyTrait,
    };

    use crate::ids::{AccountId, TenantId};

    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "correspondents")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub account_id: AccountId,
        /// See [`correspondent_of`](crate::accounts::correspondent_of).
        #[sea_orm(primary_key, auto_increment = false)]
        pub correspondent: String,
        pub tenant_id: TenantId,
        pub created_at: DateTime<Utc>,
    }

    #[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Why a reply may not go out without a person, if so. Until the transaction ends, nobody else plans an automatic reply to this
/// correspondent or in this thread.
pub(crate) async fn refused(
    tx: &Transaction,
    now: DateTime<Utc>,
    tenant: TenantId,
    reply: &PlannedMessage,
) -> Result<Option<String>, StoreError> {
    let correspondent = accounts::correspondent_of(&reply.to_address);
    lock(tx, now, tenant, (reply.account_id, &correspondent)).await?;
    let ours = Entity::find()
        .filter(Column::TenantId.eq(tenant))
        .filter(Column::AccountId.eq(reply.account_id))
        .filter(Column::Automatic.eq(true))
        .filter(Column::Id.ne(reply.id));
    let recent =
        ours.clone().filter(Column::Correspondent.eq(&correspondent)).filter(Column::CreatedAt.gt(now - WINDOW));
    if recent.count(tx.connection()).await? >= MOST_TO_ONE {
        return Ok(Some(format!(
            "{} got {MOST_TO_ONE} automatic replies within 24 hours; the next one is for a person to send, lest two machines answer each other",
            reply.to_address
        )));
    }
    let Some(thread) = reply.thread_id else { return Ok(None) };
    let place = thread::Entity::find_by_id(thread).lock(LockType::NoKeyUpdate);
    place.one(tx.connection()).await?;
    if ours.filter(Column::ThreadId.eq(thread)).count(tx.connection()).await? >= MOST_IN_A_THREAD {
        return Ok(Some(format!(
            "{MOST_IN_A_THREAD} automatic replies went out in this conversation; the next one is for a person to send, lest two machines \
             answer each other"
        )));
    }
    Ok(None)
}

async fn lock(
    tx: &Transaction,
    now: DateTime<Utc>,
    tenant_id: TenantId,
    (account_id, correspondent): (AccountId, &str),
) -> Result<(), StoreError> {
    let row = correspondent::Model { account_id, correspondent: correspondent.to_owned(), tenant_id, created_at: now };
    let key = [correspondent::Column::AccountId, correspondent::Column::Correspondent];
    correspondent::Entity::insert(row.into_active_model())
        .on_conflict(OnConflict::columns(key).do_nothing().to_owned())
        .exec_without_returning(tx.connection())
        .await?;
    let own = correspondent::Entity::find_by_id((account_id, correspondent.to_owned()));
    own.lock(LockType::NoKeyUpdate).one(tx.connection()).await?;
    Ok(())
}
