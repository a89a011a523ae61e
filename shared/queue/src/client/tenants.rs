//! Pausing tenants.

use std::collections::HashSet;

use super::QueueClient;
use crate::{error::QueueError, name::Tenant, script, wire};

impl QueueClient {
    /// Nothing of the tenant is taken, in any queue, until it is resumed; what runs goes on, and new jobs come in. It acts on one key,
    /// however much waits, and costs the other tenants nothing.
    pub async fn pause_tenant(&self, tenant: &Tenant) -> Result<(), QueueError> {
        self.set_tenant_paused(tenant, "1").await
    }

    /// Undoes [`pause_tenant`](Self::pause_tenant): what waited goes on where it stood.
    pub async fn resume_tenant(&self, tenant: &Tenant) -> Result<(), QueueError> {
        self.set_tenant_paused(tenant, "0").await
    }

    async fn set_tenant_paused(&self, tenant: &Tenant, flag: &str) -> Result<(), QueueError> {
        let args = vec![tenant.as_str().into(), flag.into()];
        self.link().call(&script::PAUSE_TENANT, self.shard_of(tenant), &args).await?;
        Ok(())
    }

    /// The paused tenants of a shard.
    pub async fn paused_tenants(&self, shard: u16) -> Result<HashSet<String>, QueueError> {
        let answer = self.link().call(&script::PAUSED_TENANTS, shard, &Vec::new()).await?;
        wire::list(answer)?.into_iter().map(wire::text).collect()
    }
}
