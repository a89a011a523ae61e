//! Lanes carry fairness; the scopes they name carry limits.

use serde::{Deserialize, Serialize};

use crate::{
    error::QueueError,
    name::{LaneName, ScopeKey},
};

/// Where a job stands within its queue and tenant.
///
/// Workers take jobs by round-robin over tenants, then over a tenant's lanes, so jobs of one lane never delay another's. Where more
/// than 16 lanes of a tenant have work, one that had none comes before them with the jobs that come in the same call, unless such
/// lanes got half of what was given already; and not while a rule, which is a weight, a paused lane or a cancelled one, stands in
/// its shard.
/// Every scope a lane names must allow a job before it is claimed. Lanes of the same name with other scopes are other lanes.
/// It travels in payloads where a handler must know it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Lane {
    /// The lane's name; `default` for jobs that name none.
    pub name: LaneName,
    /// The scopes whose limits hold for each of its jobs; at most [`Lane::MAX_SCOPES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<ScopeKey>,
}

impl Lane {
    /// Scopes one lane may name; each costs a look-up per claim.
    pub const MAX_SCOPES: usize = 8;

    /// A lane without limits.
    pub fn named(name: LaneName) -> Self {
        Self { name, scopes: Vec::new() }
    }

    /// A lane under the limits of these scopes.
    pub fn with_scopes(name: LaneName, scopes: Vec<ScopeKey>) -> Self {
        Self { name, scopes }
    }

    pub(crate) fn check(&self) -> Result<(), QueueError> {
        if self.scopes.len() > Self::MAX_SCOPES {
            return Err(QueueError::invalid(
                "lane",
                format!("{} scopes, at most {} are allowed", self.scopes.len(), Self::MAX_SCOPES),
            ));
        }
        Ok(())
    }
}
