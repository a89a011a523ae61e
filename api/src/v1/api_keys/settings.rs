//! What clients say and see of a key.

use chrono::{DateTime, Utc};
use postrider_shared::api_keys::{self, KeyChange, NewKey};
use postrider_shared::ids::{ApiKeyId, TenantId};
use postrider_shared::roles::{Permission, Role};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A key, without its secret.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ApiKey {
    /// Its id.
    id: ApiKeyId,
    /// The tenant it belongs to; null for a platform key.
    tenant_id: Option<TenantId>,
    /// What it is for.
    name: String,
    /// What it may do at most.
    role: Role,
    /// The permissions it is narrowed to; null for all its role has.
    scopes: Option<Vec<Permission>>,
    /// The first part of its text, to recognise it by.
    prefix: String,
    /// The first part of the text that was replaced, while that opens.
    previous_prefix: Option<String>,
    /// Until when the replaced text opens.
    previous_until: Option<DateTime<Utc>>,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it was last used, within about a minute.
    last_used_at: Option<DateTime<Utc>>,
    /// From when on it opens nothing.
    expires_at: Option<DateTime<Utc>>,
    /// Since when it opens nothing.
    revoked_at: Option<DateTime<Utc>>,
}

impl From<api_keys::ApiKey> for ApiKey {
    fn from(row: api_keys::ApiKey) -> Self {
        Self {
            id: row.id,
            tenant_id: row.tenant_id,
            role: row.role,
            scopes: row.scopes(),
            prefix: format!("pr_{}", row.prefix),
            previous_prefix: row.previous_prefix.map(|prefix| format!("pr_{prefix}")),
            previous_until: row.previous_until,
            name: row.name,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
        }
    }
}

/// A key to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewApiKey {
    /// What it is for.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// What it may do at most: `viewer`, `agent` or `tenant_admin`.
    role: Role,
    /// The permissions it is narrowed to; all its role has, if absent.
    #[schema(min_items = 1)]
    scopes: Option<Vec<Permission>>,
    /// From when on it opens nothing; never, if absent.
    expires_at: Option<DateTime<Utc>>,
}

impl From<NewApiKey> for NewKey {
    fn from(new: NewApiKey) -> Self {
        Self { name: new.name, role: new.role, scopes: new.scopes, expires_at: new.expires_at }
    }
}

/// A platform key to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPlatformKey {
    /// What it is for.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// The permissions it is narrowed to; all of a platform admin, if absent.
    #[schema(min_items = 1)]
    scopes: Option<Vec<Permission>>,
    /// From when on it opens nothing; never, if absent.
    expires_at: Option<DateTime<Utc>>,
}

impl From<NewPlatformKey> for NewKey {
    fn from(new: NewPlatformKey) -> Self {
        Self { name: new.name, role: Role::PlatformAdmin, scopes: new.scopes, expires_at: new.expires_at }
    }
}

/// What is to be different. What is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyChange {
    /// What it is for.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// From when on it opens nothing; null for never.
    #[expect(clippy::option_option, reason = "left out, null and a value are three things")]
    #[serde(default, deserialize_with = "crate::json::given")]
    #[schema(value_type = Option<DateTime<Utc>>)]
    expires_at: Option<Option<DateTime<Utc>>>,
}

impl From<ApiKeyChange> for KeyChange {
    fn from(change: ApiKeyChange) -> Self {
        Self { name: change.name, expires_at: change.expires_at }
    }
}

/// How a key gets a new text.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// How long the old text goes on opening, in seconds; a day, if absent. A text that was replaced before it opens no longer.
    #[serde(default = "a_day")]
    #[schema(maximum = 2_592_000)]
    pub(super) overlap_seconds: u32,
}

const fn a_day() -> u32 {
    24 * 60 * 60
}

/// A key that was just made or rotated.
#[derive(Debug, Serialize, ToSchema)]
pub struct IssuedApiKey {
    #[serde(flatten)]
    pub(super) description: ApiKey,
    /// Its text, shown this once; null when an idempotency key repeats the request that made it.
    pub(super) key: Option<String>,
}
