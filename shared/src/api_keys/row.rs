use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::{
    ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter, PrimaryKeyTrait,
};
use uuid::Uuid;

use super::text::KeyText;
use crate::database::Texts;
use crate::ids::{ApiKeyId, TenantId};
use crate::roles::{Permission, Permissions, Role};

/// A key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_keys")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ApiKeyId,
    /// `None` for a platform key.
    pub tenant_id: Option<TenantId>,
    pub name: String,
    pub role: Role,
    /// What a person may recognise the key by.
    pub prefix: String,
    pub hash: String,
    pub created_at: DateTime<Utc>,
    /// Within about a minute.
    pub last_used_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
    /// The permissions it is narrowed to; `None` for all of its role.
    pub scopes: Option<Texts>,
    pub expires_at: Option<DateTime<Utc>>,
    /// The text that was replaced by a rotation, which opens until then.
    pub previous_prefix: Option<String>,
    pub previous_hash: Option<String>,
    pub previous_until: Option<DateTime<Utc>>,
    /// The request that gave it its text, if that could be repeated.
    pub rotated_by: Option<Uuid>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// The permissions it is narrowed to. Words of another version of the product give no right.
    pub fn scopes(&self) -> Option<Vec<Permission>> {
        self.scopes.as_ref().map(|words| words.0.iter().filter_map(|word| word.parse().ok()).collect())
    }

    /// Whether this text opens it at that time.
    pub(super) fn opens_with(&self, text: &KeyText, now: DateTime<Utc>) -> bool {
        if self.revoked_at.is_some() || self.expires_at.is_some_and(|at| at <= now) {
            return false;
        }
        if self.prefix == text.prefix {
            return text.matches(&self.hash);
        }
        let (Some(prefix), Some(hash)) = (&self.previous_prefix, &self.previous_hash) else { return false };
        *prefix == text.prefix && text.matches(hash) && self.previous_until.is_some_and(|until| now < until)
    }

    /// Everything the key may do.
    pub fn permissions(&self) -> Permissions {
        let all = self.role.permissions();
        self.scopes().map_or(all, |scopes| all.narrowed_to(scopes.into_iter().collect()))
    }
}
