use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};
use postrider_queue::JobId;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    Select, sea_query::OnConflict,
};

use super::{ActiveModel, Column, Entity, Occurrence, jitter};
use crate::{
    clock::Clock,
    database::{AllTenants, Database, StoreError},
    ids::TenantId,
};

/// Whether an occurrence was planned now, or by somebody before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Planned {
    New(Occurrence),
    Known(Occurrence),
}

impl Planned {
    /// The occurrence.
    pub fn occurrence(&self) -> &Occurrence {
        match self {
            Self::New(occurrence) | Self::Known(occurrence) => occurrence,
        }
    }
}

/// The table of planned starts.
#[derive(Clone)]
pub struct Occurrences {
    database: Database,
    clock: Clock,
}

impl Occurrences {
    pub fn new(database: Database, clock: Clock) -> Self {
        Self { database, clock }
    }

    /// Plans an occurrence unless it was planned before. `job_id` is to be derived from [`job_id_parts`](super::job_id_parts); the
    /// caller enqueues the job under it and then calls [`enqueued`](Self::enqueued).
    pub async fn plan(
        &self,
        tenant: TenantId,
        schedule: &str,
        planned_at: DateTime<Utc>,
        most_jitter: Duration,
        job_id: JobId,
    ) -> Result<Planned, StoreError> {
        let planned_at = planned_at.trunc_subsecs(6);
        let same = same(schedule, planned_at);
        // Most looks find the row; they need no write.
        if let Some(known) = Entity::find().filter(same.clone()).one(self.database.reader()).await? {
            return Ok(Planned::Known(known));
        }
        let occurrence = Occurrence {
            schedule: schedule.to_owned(),
            planned_at,
            tenant_id: tenant,
            run_at: planned_at + jitter(schedule, planned_at, most_jitter),
            job_id: job_id.to_string(),
            enqueued_at: None,
        };
        let tx = self.database.write().await?;
        let inserted = Entity::insert(occurrence.clone().into_active_model())
            .on_conflict(OnConflict::columns([Column::Schedule, Column::PlannedAt]).do_nothing().to_owned())
            .exec_without_returning(tx.connection())
            .await?;
        tx.commit().await?;
        if inserted == 1 {
            return Ok(Planned::New(occurrence));
        }
        let known = Entity::find().filter(same).one(self.database.reader()).await?;
        known.map(Planned::Known).ok_or(StoreError::NotFound { what: "occurrence" })
    }

    /// Notes that the job is in the queue.
    pub async fn enqueued(
        &self,
        tenant: TenantId,
        schedule: &str,
        planned_at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let own = same(schedule, planned_at).add(Column::TenantId.eq(tenant)).add(Column::EnqueuedAt.is_null());
        let changes = ActiveModel { enqueued_at: Set(Some(self.clock.now())), ..ActiveModel::default() };
        let tx = self.database.write().await?;
        Entity::update_many().set(changes).filter(own).exec(tx.connection()).await?;
        tx.commit().await
    }

    /// Occurrences whose job may not be in the queue, oldest first: a scheduler ended between plan and enqueue.
    pub async fn waiting(&self, _: AllTenants, limit: u64) -> Result<Vec<Occurrence>, StoreError> {
        let select = Entity::find().filter(Column::EnqueuedAt.is_null());
        Ok(select.order_by_asc(Column::PlannedAt).limit(limit).all(self.database.reader()).await?)
    }

    /// Removes occurrences planned before `before`, at most `limit` at a time per call; returns how many. One that nobody enqueued goes,
    /// too: later ones took its place.
    pub async fn prune(&self, _: AllTenants, before: DateTime<Utc>, limit: u64) -> Result<u64, StoreError> {
        let rows = old(before, limit).all(self.database.reader()).await?;
        if rows.is_empty() {
            return Ok(0);
        }
        let any = rows.iter().fold(Condition::any(), |any, row| any.add(same(&row.schedule, row.planned_at)));
        let tx = self.database.write().await?;
        let done = Entity::delete_many().filter(any).exec(tx.connection()).await?;
        tx.commit().await?;
        Ok(done.rows_affected)
    }
}

/// In the words of the index by enqueueing: of many mailboxes this is a table of millions, and looked at every minute.
fn old(before: DateTime<Utc>, limit: u64) -> Select<Entity> {
    let enqueued = Condition::any().add(Column::EnqueuedAt.lte(before)).add(Column::EnqueuedAt.is_null());
    Entity::find().filter(Column::PlannedAt.lt(before)).filter(enqueued).limit(limit)
}

fn same(schedule: &str, planned_at: DateTime<Utc>) -> Condition {
    Condition::all().add(Column::Schedule.eq(schedule)).add(Column::PlannedAt.eq(planned_at))
}

#[cfg(test)]
mod tests {
    use postrider_migration::{Migrator, MigratorTrait};
    use sea_orm::{ConnectionTrait, DbBackend, QueryTrait, Statement};

    use super::*;
    use crate::config::DatabaseConfig;

    #[tokio::test]
    async fn those_to_be_removed_are_found_without_looking_at_all_others() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("postrider.db").display());
        let database = Database::connect(&DatabaseConfig::at(url)).await.unwrap();
        Migrator::up(database.reader(), None).await.unwrap();
        let query = old(DateTime::UNIX_EPOCH, 200).build(DbBackend::Sqlite).to_string();
        let explain = Statement::from_string(DbBackend::Sqlite, format!("EXPLAIN QUERY PLAN {query}"));
        let steps = database.reader().query_all_raw(explain).await.unwrap();
        let plan: Vec<String> = steps.iter().map(|step| step.try_get("", "detail").unwrap()).collect();
        assert!(plan.iter().any(|step| step.contains("occurrences_by_enqueue")), "{plan:?}");
        assert!(!plan.iter().any(|step| step.contains("SCAN")), "{plan:?}");
    }
}
