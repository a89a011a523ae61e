//! Those who run the platform. The last of them keeps it.

use chrono::{DateTime, Utc};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{
    User, Users,
    row::{ActiveModel, Column, Entity},
    store::lock,
};
use crate::{
    database::{AllTenants, Cursor, Page, StoreError, Transaction, page::newest_first},
    ids::UserId,
};

impl Users {
    /// Who runs the platform, the newest account first.
    pub async fn who_run_the_platform(
        &self,
        _: AllTenants,
        cursor: Option<Cursor>,
        limit: u64,
    ) -> Result<Page<User>, StoreError> {
        let select = Entity::find().filter(Column::PlatformAdmin.eq(true));
        let key = |row: &User| Cursor::after(row.created_at, row.id.0);
        let order = (Column::CreatedAt, Column::Id);
        Ok(newest_first(self.database.reader(), select, order, cursor, limit, key).await?)
    }

    /// Lets somebody run the platform. Doing it again changes nothing.
    pub async fn let_run_the_platform(&self, _: AllTenants, user: UserId) -> Result<User, StoreError> {
        let tx = self.database.write().await?;
        lock(&tx, user).await?.ok_or(StoreError::NotFound { what: "user" })?;
        run_the_platform(&tx, self.clock.now(), user).await?;
        let found = Entity::find_by_id(user).one(tx.connection()).await?;
        tx.commit().await?;
        found.ok_or(StoreError::NotFound { what: "user" })
    }

    /// Takes that away. Somebody who does not run it is not found; the last one is a conflict.
    pub async fn no_longer_run_the_platform(&self, _: AllTenants, user: UserId) -> Result<(), StoreError> {
        let tx = self.database.write().await?;
        let admins = platform_admins(&tx).await?;
        if !admins.iter().any(|admin| admin.id == user) {
            return Err(StoreError::NotFound { what: "user" });
        }
        not_the_only_one(&admins)?;
        tx.watch(Entity::find_by_id(user)).await?;
        set(&tx, self.clock.now(), user, false).await?;
        tx.commit().await
    }
}

/// A conflict if only one runs the platform.
pub(crate) fn not_the_only_one(admins: &[User]) -> Result<(), StoreError> {
    if admins.len() == 1 {
        let reason = "is the only one who runs the platform; let somebody else do that first";
        return Err(StoreError::conflict("user", reason));
    }
    Ok(())
}

/// Who runs the platform, none of whom stops to until the transaction ends.
pub(crate) async fn platform_admins(tx: &Transaction) -> Result<Vec<User>, StoreError> {
    let all = Entity::find().filter(Column::PlatformAdmin.eq(true)).order_by_asc(Column::Id);
    Ok(all.lock_exclusive().all(tx.connection()).await?)
}

/// The person does from now on what a platform key does.
pub(crate) async fn run_the_platform(tx: &Transaction, now: DateTime<Utc>, user: UserId) -> Result<(), StoreError> {
    tx.watch(Entity::find_by_id(user)).await?;
    set(tx, now, user, true).await
}

async fn set(tx: &Transaction, now: DateTime<Utc>, user: UserId, runs: bool) -> Result<(), StoreError> {
    let changes = ActiveModel { platform_admin: Set(runs), updated_at: Set(now), ..ActiveModel::default() };
    Entity::update_many().set(changes).filter(Column::Id.eq(user)).exec(tx.connection()).await?;
    Ok(())
}
