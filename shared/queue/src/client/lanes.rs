//! Acting on lanes: pausing, cancelling, weighing.

use std::time::Duration;

use super::QueueClient;
use crate::{
    error::QueueError,
    lane::Lane,
    name::{QueueName, Tenant},
    script, wire,
};

/// A weight above this would only make the others wait.
const MAX_WEIGHT: u16 = 1000;

impl QueueClient {
    /// Nothing is taken from the lane until it is resumed; what runs goes on. It acts on one key, however much waits.
    pub async fn pause_lane(&self, tenant: &Tenant, queue: &QueueName, lane: &Lane) -> Result<(), QueueError> {
        self.set_lane_paused(tenant, queue, lane, "1").await
    }

    /// Undoes [`pause_lane`](Self::pause_lane).
    pub async fn resume_lane(&self, tenant: &Tenant, queue: &QueueName, lane: &Lane) -> Result<(), QueueError> {
        self.set_lane_paused(tenant, queue, lane, "0").await
    }

    async fn set_lane_paused(
        &self,
        tenant: &Tenant,
        queue: &QueueName,
        lane: &Lane,
        flag: &str,
    ) -> Result<(), QueueError> {
        let args = vec![wire::lane(queue, tenant, lane), flag.into()];
        self.link().call(&script::PAUSE_LANE, self.shard_of(tenant), &args).await?;
        Ok(())
    }

    /// Cancels every job that was enqueued into the lane so far and does not run. At once none of them starts any more;
    /// their records follow in bounded steps of maintenance. Those that wait for a time end when it comes, a suspect when a
    /// worker asks for one, and a running one is not disturbed. Returns about how many waited.
    pub async fn cancel_lane(&self, tenant: &Tenant, queue: &QueueName, lane: &Lane) -> Result<u64, QueueError> {
        let args = vec![wire::lane(queue, tenant, lane)];
        let answer = self.link().call(&script::CANCEL_LANE, self.shard_of(tenant), &args).await?;
        // The next millisecond: what is enqueued from now on is not meant.
        tokio::time::sleep(Duration::from_millis(2)).await;
        Ok(wire::integer(&answer)?.unsigned_abs())
    }

    /// Gives a lane 1 to 1000 turns where the tenant's other lanes get one.
    pub async fn weigh_lane(
        &self,
        tenant: &Tenant,
        queue: &QueueName,
        lane: &Lane,
        weight: u16,
    ) -> Result<(), QueueError> {
        self.weigh(tenant, b"L", wire::lane(queue, tenant, lane), weight).await
    }

    /// Gives a tenant 1 to 1000 turns where the others of its shard get one, in every queue.
    pub async fn weigh_tenant(&self, tenant: &Tenant, weight: u16) -> Result<(), QueueError> {
        self.weigh(tenant, b"T", tenant.as_str().into(), weight).await
    }

    async fn weigh(&self, tenant: &Tenant, what: &[u8], name: Vec<u8>, weight: u16) -> Result<(), QueueError> {
        if !(1..=MAX_WEIGHT).contains(&weight) {
            return Err(QueueError::invalid("weight", format!("expected 1 to {MAX_WEIGHT}")));
        }
        let args = vec![what.to_vec(), name, weight.to_string().into_bytes()];
        self.link().call(&script::WEIGH, self.shard_of(tenant), &args).await?;
        Ok(())
    }
}
