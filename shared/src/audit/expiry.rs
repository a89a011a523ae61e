use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Statement};
use serde_json::json;
use uuid::Uuid;

use super::{
    AuditActor, AuditEvents, AuditKind, AuditOutcome, AuditedRequest, Happened,
    event::insert,
    row::{Column, Entity},
};
use crate::database::{AllTenants, StoreError};

/// Events are kept at least so long, whatever is asked for: the database refuses less.
pub const SHORTEST_RETENTION: TimeDelta = TimeDelta::days(30);
/// The database goes by its own clock, which may be behind, and on SQLite counts whole seconds.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::hours(1);

impl AuditEvents {
    /// Removes events that are older than `keep`, the oldest first and at most `limit`; returns how many. What it removes, an event tells
    /// in the same transaction.
    pub async fn expire(
        &self,
        _: AllTenants,
        now: DateTime<Utc>,
        keep: TimeDelta,
        limit: u64,
    ) -> Result<u64, StoreError> {
        let keep_from = now - keep.max(SHORTEST_RETENTION + CLOCKS_DIFFER);
        let old = Entity::find().filter(Column::At.lt(keep_from)).order_by_asc(Column::At).limit(limit);
        let old: Vec<Uuid> = old.all(self.database.reader()).await?.into_iter().map(|event| event.id).collect();
        if old.is_empty() {
            return Ok(0);
        }
        let tx = self.database.write().await?;
        // From here on the database lets go of them.
        let forward = "UPDATE audit_retention SET keep_from = $1 WHERE id = 1 AND keep_from < $2";
        let backend = tx.connection().get_database_backend();
        let forward = Statement::from_sql_and_values(backend, forward, [keep_from.into(), keep_from.into()]);
        tx.connection().execute_raw(forward).await?;
        let removed = Entity::delete_many().filter(Column::Id.is_in(old)).exec(tx.connection()).await?.rows_affected;
        if removed > 0 {
            let request = AuditedRequest {
                actor: AuditActor::System,
                tenant: None,
                request_id: String::new(),
                ip: None,
                operation: "expire_audit_events".to_owned(),
                resource: "audit-events".to_owned(),
                subject_id: None,
            };
            let (kind, outcome) = (AuditKind::Change, AuditOutcome::Done);
            let after = Some(json!({ "removed": removed, "older_than": keep_from }));
            let event = Happened { request, at: now, kind, outcome, user: None, times: 1, after };
            insert(tx.connection(), event.into()).await?;
        }
        tx.commit().await?;
        Ok(removed)
    }
}
