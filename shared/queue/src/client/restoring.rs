//! Bringing the caps of scopes up to date with the books outside of Redis.

use super::{QueueClient, scopes::key};
use crate::{
    error::QueueError,
    name::{ScopeKey, Tenant},
    scope::{Closing, Restored},
    script, wire,
};

/// Sends that one call may add, each of which is a member of a set.
const SENDS_PER_CALL: usize = 1024;
/// Most sends in one millisecond that anybody can have made.
const MOST_UNITS: u32 = 1 << 24;

impl QueueClient {
    /// Closes all scopes of a shard at once, also those not defined yet, because Redis may have forgotten units that were used,
    /// as after a master change. From the answer on no claim in this shard reserves a unit of any scope until that scope was
    /// [opened](Self::open_scope); lanes with scopes park. Jobs that hold a reservation go on, and settle it.
    ///
    /// `cause` says what happened, such as the id of the new master: whoever comes with the same cause as the last one changes
    /// nothing and gets the same answer, so many processes may report one event. Bounded: one key, however many scopes.
    pub async fn close_scopes(&self, shard: u16, cause: &str) -> Result<Closing, QueueError> {
        if shard >= self.shards() {
            return Err(QueueError::invalid("shard", format!("{shard} of {}", self.shards())));
        }
        let answer = self.link().call(&script::CLOSE_SCOPES, shard, &vec![cause.into()]).await?;
        Ok(Closing(wire::integer(&answer)?.unsigned_abs()))
    }

    /// How many times scopes were closed, in all shards together: by [`close_scopes`](Self::close_scopes), and by themselves when
    /// a replica became the master of their shard. When it has grown, there is something to restore.
    pub async fn closings(&self) -> Result<u64, QueueError> {
        let mut all = 0;
        for answer in self.on_all_shards(&script::MASTER, &Vec::new()).await? {
            all += wire::list(answer)?.get(1).map(wire::integer).transpose()?.unwrap_or_default().unsigned_abs();
        }
        Ok(all)
    }

    /// Closes one scope, which need not be defined yet: see [`close_scopes`](Self::close_scopes).
    pub async fn close_scope(&self, tenant: &Tenant, scope: &ScopeKey) -> Result<Closing, QueueError> {
        let args = vec![key(tenant, scope)];
        let answer = self.link().call(&script::CLOSE_SCOPE, self.shard_of(tenant), &args).await?;
        Ok(Closing(wire::integer(&answer)?.unsigned_abs()))
    }

    /// Takes over what the books outside of Redis say, in bounded calls. A count is never lowered: what Redis knows and what the
    /// books say are merged to the larger of both, per calendar window and per millisecond. So a repeat changes nothing, a part
    /// that failed may be sent again, and it does not matter whether the scope is closed, open or not defined yet.
    ///
    /// A send that runs now and that the books count may be counted a second time when it settles: rather one too many than
    /// one too few.
    pub async fn restore_scope(&self, tenant: &Tenant, scope: &ScopeKey, facts: &[Restored]) -> Result<(), QueueError> {
        if facts.iter().any(|fact| matches!(fact, Restored::Sent { units, .. } if *units > MOST_UNITS)) {
            return Err(QueueError::invalid("restored sends", "more than 16 million in a millisecond"));
        }
        let mut packed = facts.iter().flat_map(wire::restored).peekable();
        while packed.peek().is_some() {
            let mut args = vec![key(tenant, scope)];
            let mut sends = 0;
            while args.len() <= script::MAX_ITEMS
                && let Some((fact, of_fact)) = packed.next_if(|(_, of_fact)| sends + of_fact <= SENDS_PER_CALL)
            {
                args.push(fact);
                sends += of_fact;
            }
            self.link().call(&script::RESTORE_SCOPE, self.shard_of(tenant), &args).await?;
        }
        Ok(())
    }

    /// Opens a scope that was restored and wakes its lanes. `after` is the closing that held when the restoration began
    /// ([`Defined::closed`](crate::Defined), [`ScopeState::closed`](crate::ScopeState)). False, and nothing changes, if the scope
    /// or its shard was closed again since: restore it once more. Opening an open scope does no harm.
    pub async fn open_scope(&self, tenant: &Tenant, scope: &ScopeKey, after: Closing) -> Result<bool, QueueError> {
        let args = vec![key(tenant, scope), after.0.to_string().into_bytes()];
        let answer = self.link().call(&script::OPEN_SCOPE, self.shard_of(tenant), &args).await?;
        Ok(wire::integer(&answer)? == 1)
    }
}
