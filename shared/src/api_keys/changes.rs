use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{ActiveValue::Set, ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::{ActiveModel, ApiKey, ApiKeys, Column, Entity, IssuedKey, KeyOwner, text::KeyText};
use crate::{
    database::{StoreError, Transaction, check},
    ids::ApiKeyId,
};

/// Longest that a replaced text may go on opening.
pub const MAX_OVERLAP: Duration = Duration::from_hours(30 * 24);

/// What is to be different about a key. What is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct KeyChange {
    pub name: Option<String>,
    /// `Some(None)`: it no longer expires.
    pub expires_at: Option<Option<DateTime<Utc>>>,
}

impl ApiKeys {
    /// Changes a key that opens.
    pub async fn change(&self, owner: KeyOwner, id: ApiKeyId, change: KeyChange) -> Result<ApiKey, StoreError> {
        let mut set = ActiveModel::default();
        if let Some(name) = &change.name {
            set.name = Set(check::line("name", name, 200)?);
        }
        if let Some(expires_at) = change.expires_at {
            set.expires_at = Set(self.expiry(expires_at)?);
        }
        let tx = self.database.write().await?;
        tx.watch(Entity::find().filter(owner.key(id))).await?;
        let key = self.opening(&tx, owner, id).await?;
        if change.expires_at.is_some_and(|at| at.is_some()) && key.expires_at.is_none() {
            self.another_opens(&tx, &key).await?;
        }
        if set != ActiveModel::default() {
            Entity::update_many().set(set).filter(owner.key(id)).exec(tx.connection()).await?;
        }
        self.finished(tx, owner, id).await
    }

    /// Gives a key that opens a new text. The one it had opens for as long as `overlap` says; one that was replaced before that,
    /// no longer.
    ///
    /// A text that the same `request` gave it before was never told to anybody, because the request is repeated: it makes way, and
    /// the one it replaced goes on opening for as long as was said then.
    pub async fn rotate(
        &self,
        owner: KeyOwner,
        id: ApiKeyId,
        overlap: Duration,
        request: Option<Uuid>,
    ) -> Result<IssuedKey, StoreError> {
        if overlap > MAX_OVERLAP {
            let most = MAX_OVERLAP.as_secs();
            return Err(StoreError::invalid("overlap_seconds", format!("must be at most {most}")));
        }
        let text = KeyText::generate();
        let tx = self.database.write().await?;
        tx.watch(Entity::find().filter(owner.key(id))).await?;
        let old = self.opening(&tx, owner, id).await?;
        let (prefix, hash, until) = if request.is_some() && old.rotated_by == request {
            (old.previous_prefix, old.previous_hash, old.previous_until)
        } else if overlap.is_zero() {
            (None, None, None)
        } else {
            (Some(old.prefix), Some(old.hash), Some(self.clock.now() + overlap))
        };
        let set = ActiveModel {
            prefix: Set(text.prefix.clone()),
            hash: Set(text.hash()),
            previous_prefix: Set(prefix),
            previous_hash: Set(hash),
            previous_until: Set(until),
            rotated_by: Set(request),
            ..ActiveModel::default()
        };
        Entity::update_many().set(set).filter(owner.key(id)).exec(tx.connection()).await?;
        let key = self.finished(tx, owner, id).await?;
        Ok(IssuedKey { key, text: text.text() })
    }

    /// The key opens nothing from now on. Revoking it again changes nothing. The last key that can do everything on the platform
    /// stays, or nobody could ever make another.
    pub async fn revoke(&self, owner: KeyOwner, id: ApiKeyId) -> Result<ApiKey, StoreError> {
        let tx = self.database.write().await?;
        tx.watch(Entity::find().filter(owner.key(id))).await?;
        let key = find(&tx, owner, id).await?;
        if key.revoked_at.is_none() {
            self.another_opens(&tx, &key).await?;
            let set = ActiveModel { revoked_at: Set(Some(self.clock.now())), ..ActiveModel::default() };
            Entity::update_many().set(set).filter(owner.key(id)).exec(tx.connection()).await?;
        }
        self.finished(tx, owner, id).await
    }

    async fn finished(&self, tx: Transaction, owner: KeyOwner, id: ApiKeyId) -> Result<ApiKey, StoreError> {
        let key = find(&tx, owner, id).await?;
        tx.commit().await?;
        self.forget(id);
        Ok(key)
    }

    async fn opening(&self, tx: &Transaction, owner: KeyOwner, id: ApiKeyId) -> Result<ApiKey, StoreError> {
        let key = find(tx, owner, id).await?;
        if key.revoked_at.is_some() {
            return Err(StoreError::conflict("key", "has been revoked"));
        }
        if key.expires_at.is_some_and(|at| at <= self.clock.now()) {
            return Err(StoreError::conflict("key", "has expired"));
        }
        Ok(key)
    }

    /// Refuses if no platform key without scopes and expiry would be left. They are locked, in one order for all who ask, until the
    /// transaction ends: of two that are revoked at the same moment each would otherwise see the other one stay.
    async fn another_opens(&self, tx: &Transaction, key: &ApiKey) -> Result<(), StoreError> {
        if key.tenant_id.is_some() || key.scopes.is_some() || key.expires_at.is_some() {
            return Ok(());
        }
        let all = Condition::all()
            .add(Column::TenantId.is_null())
            .add(Column::RevokedAt.is_null())
            .add(Column::Scopes.is_null())
            .add(Column::ExpiresAt.is_null());
        let all = Entity::find().filter(all).order_by_asc(Column::Id).lock_exclusive().all(tx.connection()).await?;
        match all.iter().filter(|other| other.id != key.id).count() {
            0 => Err(StoreError::conflict(
                "key",
                "is the last one that can do everything on the platform; make another first",
            )),
            _ => Ok(()),
        }
    }
}

async fn find(tx: &Transaction, owner: KeyOwner, id: ApiKeyId) -> Result<ApiKey, StoreError> {
    let found = Entity::find().filter(owner.key(id)).one(tx.connection()).await?;
    found.ok_or(StoreError::NotFound { what: "key" })
}
