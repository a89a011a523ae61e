use std::time::Duration;

use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, EntityTrait, IntoActiveModel, QueryFilter, sea_query::OnConflict,
};

use super::{ActiveModel, ApiKey, Column, Entity, IssuedKey, text::KeyText};
use crate::{
    clock::Clock,
    database::{Cursor, Database, Page, StoreError, check, page::newest_first},
    ids::{ApiKeyId, TenantId},
    roles::Role,
};

/// A key in steady use is written to this often, not with every request.
const LAST_USED_EVERY: Duration = Duration::from_mins(1);

/// The table of keys.
#[derive(Clone)]
pub struct ApiKeys {
    database: Database,
    clock: Clock,
}

impl ApiKeys {
    pub fn new(database: Database, clock: Clock) -> Self {
        Self { database, clock }
    }

    /// Makes the platform's first key unless it was made before, by this or another replica: its id is fixed. `None` if it was.
    pub async fn ensure_platform_key(&self) -> Result<Option<IssuedKey>, StoreError> {
        let id = ApiKeyId::derived(&["platform"]);
        let issued = self.new_key(id, None, "platform", Role::PlatformAdmin)?;
        let tx = self.database.write().await?;
        let inserted = Entity::insert(issued.key.clone().into_active_model())
            .on_conflict(OnConflict::column(Column::Id).do_nothing().to_owned())
            .exec_without_returning(tx.connection())
            .await?;
        tx.commit().await?;
        Ok((inserted == 1).then_some(issued))
    }

    /// Makes a key for a tenant. Its role is below the platform's.
    pub async fn issue(&self, tenant: TenantId, name: &str, role: Role) -> Result<IssuedKey, StoreError> {
        self.issue_as(tenant, ApiKeyId::random(), name, role).await
    }

    /// [`issue`](Self::issue) under this id. One that has it already was made by the same request, whose answer was never given: nobody
    /// knows its text, so it gets a new one.
    pub async fn issue_as(
        &self,
        tenant: TenantId,
        id: ApiKeyId,
        name: &str,
        role: Role,
    ) -> Result<IssuedKey, StoreError> {
        if role == Role::PlatformAdmin {
            return Err(StoreError::invalid("role", "a tenant's key cannot run the platform"));
        }
        let issued = self.new_key(id, Some(tenant), name, role)?;
        let tx = self.database.write().await?;
        let own = Condition::all().add(Column::Id.eq(id)).add(Column::TenantId.eq(tenant));
        Entity::delete_many().filter(own).exec(tx.connection()).await?;
        Entity::insert(issued.key.clone().into_active_model()).exec_without_returning(tx.connection()).await?;
        tx.commit().await?;
        Ok(issued)
    }

    /// The key whose text this is, if it is one that opens.
    pub async fn verify(&self, text: &str) -> Result<Option<ApiKey>, StoreError> {
        let Some(text) = KeyText::parse(text) else { return Ok(None) };
        let found = Entity::find().filter(Column::Prefix.eq(text.prefix.as_str())).one(self.database.reader()).await?;
        let Some(key) = found.filter(|key| text.matches(&key.hash) && key.revoked_at.is_none()) else {
            return Ok(None);
        };
        self.note_use(&key).await?;
        Ok(Some(key))
    }

    /// A tenant's keys, newest first, the revoked ones too.
    pub async fn list(&self, tenant: TenantId, cursor: Option<Cursor>, limit: u64) -> Result<Page<ApiKey>, StoreError> {
        let select = Entity::find().filter(Column::TenantId.eq(tenant));
        let key = |row: &ApiKey| Cursor::after(row.created_at, row.id.0);
        let order = (Column::CreatedAt, Column::Id);
        Ok(newest_first(self.database.reader(), select, order, cursor, limit, key).await?)
    }

    /// The key opens nothing from now on. Revoking it again changes nothing.
    pub async fn revoke(&self, tenant: TenantId, id: ApiKeyId) -> Result<ApiKey, StoreError> {
        let tx = self.database.write().await?;
        let own = Condition::all().add(Column::Id.eq(id)).add(Column::TenantId.eq(tenant));
        Entity::update_many()
            .set(ActiveModel { revoked_at: Set(Some(self.clock.now())), ..ActiveModel::default() })
            .filter(own.clone().add(Column::RevokedAt.is_null()))
            .exec(tx.connection())
            .await?;
        let key = Entity::find().filter(own).one(tx.connection()).await?;
        tx.commit().await?;
        key.ok_or(StoreError::NotFound { what: "key" })
    }

    fn new_key(&self, id: ApiKeyId, tenant: Option<TenantId>, name: &str, role: Role) -> Result<IssuedKey, StoreError> {
        let text = KeyText::generate();
        let key = ApiKey {
            id,
            tenant_id: tenant,
            name: check::line("name", name, 200)?,
            role,
            prefix: text.prefix.clone(),
            hash: text.hash(),
            created_at: self.clock.now(),
            last_used_at: None,
            revoked_at: None,
        };
        Ok(IssuedKey { key, text: text.text() })
    }

    async fn note_use(&self, key: &ApiKey) -> Result<(), StoreError> {
        let now = self.clock.now();
        if key.last_used_at.is_some_and(|last| now < last + LAST_USED_EVERY) {
            return Ok(());
        }
        let tx = self.database.write().await?;
        Entity::update_many()
            .set(ActiveModel { last_used_at: Set(Some(now)), ..ActiveModel::default() })
            .filter(Column::Id.eq(key.id))
            .exec(tx.connection())
            .await?;
        tx.commit().await
    }
}
