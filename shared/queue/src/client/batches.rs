//! Opening, sealing and reading batches.

use redis::Value;

use super::{QueueClient, enqueue};
use crate::{
    batch::{Batch, BatchId},
    error::QueueError,
    id::JobId,
    job::NewJob,
    link::Via,
    name::Tenant,
    script, wire,
};

impl QueueClient {
    /// A new random id for a batch of this tenant.
    pub fn batch_id(&self, tenant: &Tenant) -> BatchId {
        BatchId(self.job_id(tenant))
    }

    /// The id of a batch that follows from these parts; the tenant itself is one of them.
    pub fn derived_batch_id(&self, tenant: &Tenant, parts: &[&str]) -> BatchId {
        let mut all = vec!["batch"];
        all.extend_from_slice(parts);
        BatchId(self.derived_job_id(tenant, &all))
    }

    /// Opens a batch, with the job to enqueue at its end; when this returns, it is as safe as an enqueued job. Repeats change
    /// nothing, so an unanswered call is repeated. The completion job has an id that derives from the batch, unless it has its
    /// own.
    pub async fn open_batch(&self, tenant: &Tenant, id: BatchId, completion: Option<NewJob>) -> Result<(), QueueError> {
        self.change_batch(tenant, id, false, completion).await
    }

    /// Everything is in: the batch ends when all its jobs have, which may be now. Repeats change nothing.
    pub async fn seal_batch(&self, tenant: &Tenant, id: BatchId) -> Result<(), QueueError> {
        self.change_batch(tenant, id, true, None).await
    }

    async fn change_batch(
        &self,
        tenant: &Tenant,
        id: BatchId,
        seal: bool,
        completion: Option<NewJob>,
    ) -> Result<(), QueueError> {
        let shard = self.shard_of(tenant);
        if id.shard() != shard {
            return Err(QueueError::invalid("batch id", "it belongs to another shard than its tenant"));
        }
        let flag: &[u8] = if seal { b"1" } else { b"0" };
        let mut args = vec![id.0.tail().to_vec(), tenant.as_str().into(), flag.to_vec()];
        if let Some(mut job) = completion {
            if job.tenant != *tenant || job.links.batch == Some(id) {
                let reason = "it must be of the batch's tenant, and not in the batch";
                return Err(QueueError::invalid("completion job", reason));
            }
            job.links.completes = Some(id);
            let job_id = job.id.unwrap_or_else(|| JobId::derived(shard, &["batch completion", &id.to_string()]));
            job.id = Some(job_id);
            wire::check(&job, shard)?;
            args.extend(wire::alone(&job, job_id));
        }
        let answer = enqueue::call(self.link(), Via::Shared, &script::BATCH, shard, &args).await?;
        if wire::integer(&answer)? == 0 {
            return Err(QueueError::invalid("batch id", "it is another tenant's"));
        }
        self.0.enqueuers.recent().keep_batch(shard, args);
        Ok(())
    }

    /// A batch as it stands now.
    pub async fn batch(&self, id: BatchId) -> Result<Option<Batch>, QueueError> {
        if id.shard() >= self.shards() {
            return Ok(None);
        }
        let answer = self.link().call(&script::READ_BATCH, id.shard(), &vec![id.0.tail().to_vec()]).await?;
        let [tenant, opened, ended, sealed, total, completed, cancelled, dead, completion] = wire::fields(answer)?;
        if tenant == Value::Nil {
            return Ok(None);
        }
        let number = |value: &Value| match value {
            Value::Nil => Ok(0),
            value => wire::integer(value).map(i64::unsigned_abs),
        };
        let completion = match completion {
            Value::Nil => None,
            tail => Some(JobId::from_tail(id.shard(), &wire::bytes(tail)?)?),
        };
        let ended = number(&ended)?;
        Ok(Some(Batch {
            id,
            tenant: Tenant::parse(wire::text(tenant)?)?,
            total: number(&total)?,
            completed: number(&completed)?,
            cancelled: number(&cancelled)?,
            dead: number(&dead)?,
            sealed: number(&sealed)? == 1,
            completion,
            opened_at: wire::time(number(&opened)?)?,
            ended_at: (ended > 0).then(|| wire::time(ended)).transpose()?,
        }))
    }
}
