use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{Column, Entity, Message, MessageState};
use crate::{
    database::{AllTenants, Cursor, Database, Page, StoreError, page::newest_first},
    ids::{AccountId, QuoteId, TenantId, ThreadId},
};

/// Which messages to list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MessageFilter {
    pub state: Option<MessageState>,
    pub account_id: Option<AccountId>,
    pub quote_id: Option<QuoteId>,
    pub thread_id: Option<ThreadId>,
}

pub(super) async fn list(
    database: &Database,
    tenant: TenantId,
    filter: MessageFilter,
    cursor: Option<Cursor>,
    limit: u64,
) -> Result<Page<Message>, StoreError> {
    let mut select = Entity::find().filter(Column::TenantId.eq(tenant));
    if let Some(state) = filter.state {
        select = select.filter(Column::State.eq(state));
    }
    if let Some(account) = filter.account_id {
        select = select.filter(Column::AccountId.eq(account));
    }
    if let Some(quote) = filter.quote_id {
        select = select.filter(Column::QuoteId.eq(quote));
    }
    if let Some(thread) = filter.thread_id {
        select = select.filter(Column::ThreadId.eq(thread));
    }
    let key = |row: &Message| Cursor::after(row.created_at, row.id.0);
    Ok(newest_first(database.reader(), select, (Column::CreatedAt, Column::Id), cursor, limit, key).await?)
}

/// How many messages may be charged to a scope since a time, and those of these accounts that were charged to others: accepted since
/// then, in doubt since then, or in an open attempt, whenever it was opened. Rather one too many than one too few.
pub(super) async fn used(
    database: &Database,
    tenant: TenantId,
    (scope, accounts): (&str, &[AccountId]),
    since: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let accepted = Condition::all().add(Column::State.eq(MessageState::Accepted)).add(Column::AcceptedAt.gte(since));
    let doubtful = Condition::all()
        .add(Column::State.is_in([MessageState::Unknown, MessageState::UnknownFinal]))
        .add(Column::UpdatedAt.gte(since));
    let open =
        Condition::all().add(Column::State.eq(MessageState::Sending)).add(Column::AttemptStartedAt.is_not_null());
    let mut charged = Condition::any().add(Column::Scope.eq(scope));
    if !accounts.is_empty() {
        charged = charged.add(Column::AccountId.is_in(accounts.iter().copied()));
    }
    let select = Entity::find()
        .filter(Column::TenantId.eq(tenant))
        .filter(charged)
        .filter(Condition::any().add(accepted).add(doubtful).add(open));
    Ok(select.count(database.reader()).await?)
}

/// Messages that are in doubt since before a time, oldest first.
pub(super) async fn doubtful(
    database: &Database,
    _: AllTenants,
    before: DateTime<Utc>,
    limit: u64,
) -> Result<Vec<Message>, StoreError> {
    let select = Entity::find().filter(Column::State.eq(MessageState::Unknown)).filter(Column::UpdatedAt.lt(before));
    Ok(select.order_by_asc(Column::UpdatedAt).limit(limit).all(database.reader()).await?)
}

/// Messages whose data and whose latest attempt started before a time, and which nobody settled since, oldest first.
pub(super) async fn unsettled(
    database: &Database,
    _: AllTenants,
    before: DateTime<Utc>,
    limit: u64,
) -> Result<Vec<Message>, StoreError> {
    let select = Entity::find()
        .filter(Column::State.eq(MessageState::Sending))
        .filter(Column::DataStartedAt.lt(before))
        .filter(Column::AttemptStartedAt.lt(before));
    Ok(select.order_by_asc(Column::UpdatedAt).limit(limit).all(database.reader()).await?)
}
