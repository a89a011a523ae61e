use std::{future::Future, time::Duration};

use chrono::{DateTime, Utc};
use postrider_queue::{JobId, Stop, Tenant};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect};

use super::{ActiveModel, Column, Entity, PayloadReference, StoredPayload, reference};
use crate::{
    clock::Clock,
    database::{AllTenants, Database, StoreError},
    ids::{PayloadId, TenantId},
    objects::{ObjectError, Objects},
};

/// A store that has not answered by then counts as away.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why a payload could not be stored or fetched.
#[derive(Debug, thiserror::Error)]
pub enum PayloadStoreError {
    #[error(transparent)]
    Row(#[from] StoreError),
    #[error(transparent)]
    File(#[from] ObjectError),
    #[error("the object store (OBJECT_STORE_URL) has not answered in {} s", PATIENCE.as_secs())]
    TimedOut,
    #[error("the payload in the object store is not the one that was stored: `{0}`")]
    Changed(String),
}

impl From<PayloadStoreError> for Stop {
    /// For the job whose payload it is: a store that is away comes back, a file that is gone does not.
    fn from(error: PayloadStoreError) -> Self {
        match error {
            PayloadStoreError::Row(error) => error.into(),
            PayloadStoreError::File(ObjectError::NotFound(key)) => Self::fail(format_args!(
                "its payload is not in the object store (OBJECT_STORE_URL): there is no `{key}`"
            )),
            PayloadStoreError::File(error) => error.into(),
            PayloadStoreError::TimedOut => Self::retry(error),
            PayloadStoreError::Changed(_) => Self::fail(error),
        }
    }
}

/// Payloads in the object store, and the table of whose they are.
#[derive(Clone)]
pub struct Payloads {
    database: Database,
    objects: Objects,
    clock: Clock,
}

impl Payloads {
    pub fn new(database: Database, objects: Objects, clock: Clock) -> Self {
        Self { database, objects, clock }
    }

    /// Stores the payload of a job that will be enqueued under this id.
    pub async fn store(
        &self,
        tenant: TenantId,
        job: JobId,
        content: Vec<u8>,
    ) -> Result<PayloadReference, PayloadStoreError> {
        let reference = PayloadReference::to(PayloadId::random(), &content);
        let now = self.clock.now();
        let row = StoredPayload {
            id: reference.id,
            tenant_id: tenant,
            job_id: job.to_string(),
            size: i64::try_from(content.len()).unwrap_or(i64::MAX),
            created_at: now,
            look_at: now + super::sweep::GRACE,
        };
        let tx = self.database.write().await?;
        Entity::insert(row.into_active_model())
            .exec_without_returning(tx.connection())
            .await
            .map_err(StoreError::from)?;
        tx.commit().await?;
        within(self.objects.put(&reference.key(&tenant.into()), content)).await?;
        Ok(reference)
    }

    /// Removes a payload that no job refers to; repeats change nothing.
    pub async fn remove(&self, tenant: TenantId, id: PayloadId) -> Result<(), PayloadStoreError> {
        // The file first: as long as it is there, its row is.
        within(self.objects.delete(&reference::key(&tenant.into(), id))).await?;
        let tx = self.database.write().await?;
        let own = Entity::delete_many().filter(Column::Id.eq(id)).filter(Column::TenantId.eq(tenant));
        own.exec(tx.connection()).await.map_err(StoreError::from)?;
        Ok(tx.commit().await?)
    }

    /// Payloads that the sweep has to look at, those that wait longest first.
    pub(super) async fn due(&self, _: AllTenants, limit: u64) -> Result<Vec<StoredPayload>, StoreError> {
        let due = Entity::find().filter(Column::LookAt.lte(self.clock.now())).order_by_asc(Column::LookAt);
        Ok(due.limit(limit).all(self.database.reader()).await?)
    }

    /// It is this job's from now on, and is looked at again at that time.
    pub(super) async fn keep(&self, id: PayloadId, job: String, look_at: DateTime<Utc>) -> Result<(), StoreError> {
        let changes = ActiveModel { job_id: Set(job), look_at: Set(look_at), ..ActiveModel::default() };
        let tx = self.database.write().await?;
        Entity::update_many().set(changes).filter(Column::Id.eq(id)).exec(tx.connection()).await?;
        tx.commit().await
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }
}

/// The payload itself, fetched if this is a reference.
pub async fn resolve(objects: &Objects, tenant: &Tenant, payload: Vec<u8>) -> Result<Vec<u8>, PayloadStoreError> {
    let Some(reference) = PayloadReference::read(&payload) else { return Ok(payload) };
    let key = reference.key(tenant);
    let content = within(objects.get(&key)).await?;
    if reference.fits(&content) { Ok(content.into()) } else { Err(PayloadStoreError::Changed(key)) }
}

async fn within<T>(asked: impl Future<Output = Result<T, ObjectError>>) -> Result<T, PayloadStoreError> {
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(PayloadStoreError::TimedOut),
    }
}

#[cfg(test)]
mod tests {
    use postrider_queue::Stop;

    use super::PayloadStoreError;
    use crate::objects::ObjectError;

    #[test]
    fn a_store_that_is_away_is_a_retry_and_a_lost_file_is_not() {
        assert!(matches!(Stop::from(PayloadStoreError::TimedOut), Stop::Retry { .. }));
        let lost = Stop::from(PayloadStoreError::File(ObjectError::NotFound("t/payloads/1.json".to_owned())));
        assert!(matches!(&lost, Stop::Fail { .. }) && format!("{lost:?}").contains("OBJECT_STORE_URL"), "{lost:?}");
        assert!(matches!(Stop::from(PayloadStoreError::Changed(String::new())), Stop::Fail { .. }));
    }
}
