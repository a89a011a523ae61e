//! Limits: defining, reading, pausing scopes.

use super::QueueClient;
use crate::{
    error::QueueError,
    name::{ScopeKey, Tenant},
    scope::{CapState, CapUnit, Closing, Defined, ScopeLimits, ScopeState},
    script, wire,
};

pub(super) fn key(tenant: &Tenant, scope: &ScopeKey) -> Vec<u8> {
    format!("{tenant}:{scope}").into_bytes()
}

impl QueueClient {
    /// Defines or redefines the limits of a scope and wakes lanes that may now go on. A scope that is closed stays closed.
    pub async fn define_scope(
        &self,
        tenant: &Tenant,
        scope: &ScopeKey,
        limits: &ScopeLimits,
    ) -> Result<Defined, QueueError> {
        limits.check()?;
        let packed = wire::limits(limits);
        let paused = if limits.paused { "1" } else { "0" };
        let mut args = vec![key(tenant, scope), packed.bytes, paused.into()];
        args.extend(packed.counters);
        let answer = self.link().call(&script::DEFINE_SCOPE, self.shard_of(tenant), &args).await?;
        let [fresh, closed, closing] = wire::list(answer)?
            .iter()
            .map(wire::integer)
            .collect::<Result<Vec<i64>, QueueError>>()?
            .try_into()
            .map_err(|_| QueueError::Corrupt("the answer to a definition".to_owned()))?;
        Ok(Defined { fresh: fresh == 1, closed: (closed == 1).then_some(Closing(closing.unsigned_abs())) })
    }

    /// What a scope has given so far; none if it is not defined.
    pub async fn scope(&self, tenant: &Tenant, scope: &ScopeKey) -> Result<Option<ScopeState>, QueueError> {
        let answer = self.link().call(&script::SCOPE, self.shard_of(tenant), &vec![key(tenant, scope)]).await?;
        let numbers = wire::list(answer)?
            .iter()
            .map(|value| Ok(wire::integer(value)?.unsigned_abs()))
            .collect::<Result<Vec<u64>, QueueError>>()?;
        let [paused, closed, closing, reserved, in_flight, waiting_lanes, waiting_recipients, caps @ ..] =
            numbers.as_slice()
        else {
            return Ok(None);
        };
        let caps = caps
            .chunks_exact(5)
            .map(|cap| {
                let window = (cap[3] > 0).then(|| Ok::<_, QueueError>((wire::time(cap[2])?, wire::time(cap[3])?)));
                let unit = if cap[0] == 1 { CapUnit::UniqueRecipients } else { CapUnit::Sends };
                Ok(CapState { unit, limit: cap[1], window: window.transpose()?, used: cap[4] })
            })
            .collect::<Result<_, QueueError>>()?;
        Ok(Some(ScopeState {
            paused: *paused == 1,
            closed: (*closed == 1).then_some(Closing(*closing)),
            caps,
            reserved: *reserved,
            in_flight: *in_flight,
            waiting_lanes: *waiting_lanes,
            waiting_recipients: *waiting_recipients,
        }))
    }

    /// The scope lets nothing start until it is resumed, no job that comes back with its unit either; what runs goes on. False if it
    /// is not defined.
    pub async fn pause_scope(&self, tenant: &Tenant, scope: &ScopeKey) -> Result<bool, QueueError> {
        self.set_scope_paused(tenant, scope, "1").await
    }

    /// Undoes [`pause_scope`](Self::pause_scope).
    pub async fn resume_scope(&self, tenant: &Tenant, scope: &ScopeKey) -> Result<bool, QueueError> {
        self.set_scope_paused(tenant, scope, "0").await
    }

    async fn set_scope_paused(&self, tenant: &Tenant, scope: &ScopeKey, flag: &str) -> Result<bool, QueueError> {
        let args = vec![key(tenant, scope), flag.into()];
        let answer = self.link().call(&script::PAUSE_SCOPE, self.shard_of(tenant), &args).await?;
        Ok(wire::integer(&answer)? == 1)
    }
}
