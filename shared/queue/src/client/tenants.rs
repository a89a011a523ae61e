//! Pausing tenants, and forgetting them.

use std::collections::HashSet;

use super::QueueClient;
use crate::{error::QueueError, name::Tenant, script, wire};

/// Where a walk that forgets a tenant goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForgetPlace {
    part: Part,
    cursor: String,
}

/// Parts of a shard in the order in which they are walked over: names go after the jobs that bear them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Jobs,
    UniqueKeys,
    Rules,
    Keys,
    Batches,
}

impl Part {
    const fn letter(self) -> &'static str {
        match self {
            Self::Jobs => "J",
            Self::UniqueKeys => "U",
            Self::Rules => "R",
            Self::Keys => "K",
            Self::Batches => "B",
        }
    }

    const fn next(self) -> Option<Self> {
        match self {
            Self::Jobs => Some(Self::UniqueKeys),
            Self::UniqueKeys => Some(Self::Rules),
            Self::Rules => Some(Self::Keys),
            Self::Keys => Some(Self::Batches),
            Self::Batches => None,
        }
    }
}

impl Default for ForgetPlace {
    fn default() -> Self {
        Self { part: Part::Jobs, cursor: "0".to_owned() }
    }
}

/// What one step of that walk did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten {
    /// Jobs, keys and rules that are gone.
    pub removed: u64,
    /// Jobs it met that run: they were asked to stop, and stay until they have.
    pub running: u64,
    /// Where the next step begins; `None` when the walk is at its end.
    pub next: Option<ForgetPlace>,
}

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

    /// One bounded step of a walk that removes everything of a paused tenant: jobs in whatever state but running, unique keys, lanes,
    /// scopes, idempotency keys, lists, dead letters and batches. A walk that was cut off may begin anew; one that met jobs that run, or beside
    /// which somebody enqueued, is to be repeated until it finds nothing. Of a tenant that is not paused, jobs may start meanwhile.
    pub async fn forget_tenant(&self, tenant: &Tenant, place: &ForgetPlace) -> Result<Forgotten, QueueError> {
        let args = vec![tenant.as_str().into(), place.part.letter().into(), place.cursor.clone().into_bytes()];
        let answer = self.link().call(&script::FORGET_TENANT, self.shard_of(tenant), &args).await?;
        let parts = wire::list(answer)?;
        let [removed, running, cursor] = <[_; 3]>::try_from(parts)
            .map_err(|parts| QueueError::Corrupt(format!("{} parts of a step that forgets", parts.len())))?;
        let cursor = wire::text(cursor)?;
        let next = if cursor == "0" {
            place.part.next().map(|part| ForgetPlace { part, cursor })
        } else {
            Some(ForgetPlace { part: place.part, cursor })
        };
        let count = |value| wire::integer(&value).map(i64::unsigned_abs);
        Ok(Forgotten { removed: count(removed)?, running: count(running)?, next })
    }

    /// The paused tenants of a shard.
    pub async fn paused_tenants(&self, shard: u16) -> Result<HashSet<String>, QueueError> {
        let answer = self.link().call(&script::PAUSED_TENANTS, shard, &Vec::new()).await?;
        wire::list(answer)?.into_iter().map(wire::text).collect()
    }
}
