use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::{
    AuditEvent, AuditKind,
    row::{Column, Entity},
};
use crate::{
    database::{Cursor, Database, Page, StoreError, page::newest_first},
    ids::TenantId,
};

/// Which events.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Only this tenant's; `None` for the platform, which sees all.
    pub tenant: Option<TenantId>,
    pub actor: Option<Uuid>,
    pub operation: Option<String>,
    pub resource: Option<String>,
    pub subject: Option<String>,
    pub kind: Option<AuditKind>,
    pub request: Option<String>,
    /// From then on.
    pub from: Option<DateTime<Utc>>,
    /// Until before then.
    pub until: Option<DateTime<Utc>>,
}

/// The table of audit events. It has no way to change or remove one, and the database refuses both.
#[derive(Clone)]
pub struct AuditEvents {
    database: Database,
}

impl AuditEvents {
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// Events, newest first.
    pub async fn list(
        &self,
        filter: &AuditFilter,
        cursor: Option<Cursor>,
        limit: u64,
    ) -> Result<Page<AuditEvent>, StoreError> {
        let mut select = Entity::find();
        if let Some(tenant) = filter.tenant {
            select = select.filter(Column::TenantId.eq(tenant));
        }
        if let Some(actor) = filter.actor {
            select = select.filter(Column::ActorId.eq(actor));
        }
        if let Some(kind) = filter.kind {
            select = select.filter(Column::Kind.eq(kind));
        }
        let texts = [
            (Column::Operation, &filter.operation),
            (Column::Resource, &filter.resource),
            (Column::SubjectId, &filter.subject),
            (Column::RequestId, &filter.request),
        ];
        for (column, text) in texts {
            if let Some(text) = text {
                select = select.filter(column.eq(text.as_str()));
            }
        }
        if let Some(from) = filter.from {
            select = select.filter(Column::At.gte(from));
        }
        if let Some(until) = filter.until {
            select = select.filter(Column::At.lt(until));
        }
        let key = |row: &AuditEvent| Cursor::after(row.at, row.id);
        Ok(newest_first(self.database.reader(), select, (Column::At, Column::Id), cursor, limit, key).await?)
    }
}
