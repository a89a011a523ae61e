use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::{
    AuditEvent, AuditKind, AuditOutcome, Happened,
    event::{About, insert},
    row::{Column, Entity},
};
use crate::{
    database::{Cursor, Database, Page, StoreError, page::newest_first, reach::within_reach},
    ids::{TenantId, derive},
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
    pub outcome: Option<AuditOutcome>,
    pub request: Option<String>,
    /// From then on.
    pub from: Option<DateTime<Utc>>,
    /// Until before then.
    pub until: Option<DateTime<Utc>>,
}

/// The table of audit events. It has no way to change one, or to remove one before its time, and the database refuses both.
#[derive(Clone)]
pub struct AuditEvents {
    pub(super) database: Database,
}

impl AuditEvents {
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// Adds what happened outside a recorded request.
    pub async fn happened(&self, events: &[Happened]) -> Result<(), StoreError> {
        let tx = self.database.write().await?;
        for event in events {
            insert(tx.connection(), event.clone().into()).await?;
        }
        tx.commit().await
    }

    /// Adds what happened outside a recorded request, once: said again with the same `parts`, it adds nothing. For what stands in one
    /// log only.
    pub async fn happened_once(&self, event: Happened, parts: &[&str]) -> Result<(), StoreError> {
        let tx = self.database.write().await?;
        let about = About { id: Some(derive("audit event", parts)), ..event.into() };
        insert(tx.connection(), about).await?;
        tx.commit().await
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
        if let Some(outcome) = filter.outcome {
            select = select.filter(Column::Outcome.eq(outcome));
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
            select = select.filter(Column::At.gte(within_reach(from)));
        }
        if let Some(until) = filter.until {
            select = select.filter(Column::At.lt(within_reach(until)));
        }
        let key = |row: &AuditEvent| Cursor::after(row.at, row.id);
        Ok(newest_first(self.database.reader(), select, (Column::At, Column::Id), cursor, limit, key).await?)
    }
}
