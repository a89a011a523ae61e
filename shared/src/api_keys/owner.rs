use sea_orm::{ColumnTrait, Condition};

use super::Column;
use crate::ids::{ApiKeyId, TenantId};

/// Whose keys are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyOwner {
    /// Those of this tenant.
    Tenant(TenantId),
    /// Those that run the platform. For platform keys only.
    Platform,
}

impl KeyOwner {
    /// The tenant, if it is one.
    pub(super) fn tenant(self) -> Option<TenantId> {
        match self {
            Self::Tenant(tenant) => Some(tenant),
            Self::Platform => None,
        }
    }

    /// Matches its keys and no others.
    pub(super) fn keys(self) -> Condition {
        Condition::all().add(match self {
            Self::Tenant(tenant) => Column::TenantId.eq(tenant),
            Self::Platform => Column::TenantId.is_null(),
        })
    }

    /// Matches one of its keys.
    pub(super) fn key(self, id: ApiKeyId) -> Condition {
        self.keys().add(Column::Id.eq(id))
    }
}
