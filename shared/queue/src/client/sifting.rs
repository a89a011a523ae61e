//! All jobs of a tenant that wait, however many.

use super::{QueueClient, reading};
use crate::{
    error::QueueError,
    name::Tenant,
    record::{JobRecord, ListFilter},
    script, wire,
};

/// Records that one call looks at, of all tenants of the shard.
const LOOK_AT: usize = 100;

/// Where a walk over the jobs that wait goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk(String);

impl Default for Walk {
    fn default() -> Self {
        Self("0".to_owned())
    }
}

impl QueueClient {
    /// A piece of a walk over a tenant's jobs that wait, for a worker or a time, and where it goes on; `None` at its end. The
    /// records are without their payloads, in no order. Unlike [`list`](Self::list), it finds all that fit the filter: a job that
    /// waits during the whole walk comes at least once, and may come twice. It looks at every record of the shard, so it is for
    /// work in the background.
    pub async fn waiting(
        &self,
        tenant: &Tenant,
        filter: &ListFilter,
        walk: &Walk,
    ) -> Result<(Vec<JobRecord>, Option<Walk>), QueueError> {
        let shard = self.shard_of(tenant);
        let args = vec![tenant.as_str().into(), walk.0.clone().into_bytes(), LOOK_AT.to_string().into_bytes()];
        let answer = self.link().call(&script::SIFT, shard, &args).await?;
        let [entries, lanes, kinds, next] = wire::fields(answer)?;
        let next = String::from_utf8(wire::bytes(next)?).map_err(|_| QueueError::Corrupt("no cursor".to_owned()))?;
        let records = reading::records(shard, entries, lanes, kinds)?.into_iter().filter_map(|(_, record)| record);
        let found = records.filter(|record| reading::matches(record, filter)).collect();
        Ok((found, (next != "0").then_some(Walk(next))))
    }
}
