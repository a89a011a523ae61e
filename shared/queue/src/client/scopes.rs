//! Limits: defining, reading, pausing scopes.

use super::QueueClient;
use crate::{
    error::QueueError,
    name::{ScopeKey, Tenant},
    scope::{CapState, ScopeLimits, ScopeState},
    script, wire,
};

/// Limits on the wire have 6 bytes; nobody sends more in a day.
const MAX_LIMIT: u64 = (1 << 48) - 1;

fn key(tenant: &Tenant, scope: &ScopeKey) -> Vec<u8> {
    format!("{tenant}:{scope}").into_bytes()
}

impl QueueClient {
    /// Defines or redefines the limits of a scope and wakes lanes that may now go on.
    pub async fn define_scope(
        &self,
        tenant: &Tenant,
        scope: &ScopeKey,
        limits: &ScopeLimits,
    ) -> Result<(), QueueError> {
        limits.check()?;
        // Number of caps B; per cap: limit I6, number of windows B; per window: start I6, end I6.
        let mut packed = vec![u8::try_from(limits.caps.len()).unwrap_or(u8::MAX)];
        let mut counters = Vec::new();
        for (place, cap) in limits.caps.iter().enumerate() {
            wire::put_u48(&mut packed, cap.limit.min(MAX_LIMIT));
            packed.push(u8::try_from(cap.windows.len()).unwrap_or(u8::MAX));
            for window in &cap.windows {
                let start = wire::millis(window.starts_at);
                wire::put_u48(&mut packed, start);
                wire::put_u48(&mut packed, wire::millis(window.ends_at));
                counters.push(format!("u:{}:{start}", place + 1).into_bytes());
                counters.push(window.used_before.min(MAX_LIMIT).to_string().into_bytes());
            }
        }
        let paused = if limits.paused { "1" } else { "0" };
        let mut args = vec![key(tenant, scope), packed, paused.into()];
        args.extend(counters);
        self.link().call(&script::DEFINE_SCOPE, self.shard_of(tenant), &args).await?;
        Ok(())
    }

    /// What a scope has given so far; none if it is not defined.
    pub async fn scope(&self, tenant: &Tenant, scope: &ScopeKey) -> Result<Option<ScopeState>, QueueError> {
        let answer = self.link().call(&script::SCOPE, self.shard_of(tenant), &vec![key(tenant, scope)]).await?;
        let numbers = wire::list(answer)?
            .iter()
            .map(|value| Ok(wire::integer(value)?.unsigned_abs()))
            .collect::<Result<Vec<u64>, QueueError>>()?;
        let [paused, reserved, waiting_lanes, caps @ ..] = numbers.as_slice() else {
            return Ok(None);
        };
        let caps = caps
            .chunks_exact(4)
            .map(|cap| {
                let window = (cap[1] > 0).then(|| Ok::<_, QueueError>((wire::time(cap[1])?, wire::time(cap[2])?)));
                Ok(CapState { limit: cap[0], window: window.transpose()?, used: cap[3] })
            })
            .collect::<Result<_, QueueError>>()?;
        Ok(Some(ScopeState { paused: *paused == 1, caps, reserved: *reserved, waiting_lanes: *waiting_lanes }))
    }

    /// The scope allows nothing until it is resumed. False if it is not defined.
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
