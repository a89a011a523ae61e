use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::{Column, Entity, Quote, QuoteState};
use crate::{
    database::{Cursor, Database, Page, StoreError, page::newest_first},
    ids::{AccountId, TenantId, ThreadId},
};

/// Which quotes to list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QuoteFilter {
    pub state: Option<QuoteState>,
    pub account_id: Option<AccountId>,
    pub thread_id: Option<ThreadId>,
}

pub(super) async fn list(
    database: &Database,
    tenant: TenantId,
    filter: QuoteFilter,
    cursor: Option<Cursor>,
    limit: u64,
) -> Result<Page<Quote>, StoreError> {
    let mut select = Entity::find().filter(Column::TenantId.eq(tenant));
    if let Some(state) = filter.state {
        select = select.filter(Column::State.eq(state));
    }
    if let Some(account) = filter.account_id {
        select = select.filter(Column::AccountId.eq(account));
    }
    if let Some(thread) = filter.thread_id {
        select = select.filter(Column::ThreadId.eq(thread));
    }
    let key = |row: &Quote| Cursor::after(row.created_at, row.id.0);
    Ok(newest_first(database.reader(), select, (Column::CreatedAt, Column::Id), cursor, limit, key).await?)
}
