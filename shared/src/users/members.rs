use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, Select,
    sea_query::{Expr, OnConflict},
};

use super::{
    Membership, User,
    member::{ActiveModel, Column, Entity},
    row,
};
use crate::{
    clock::Clock,
    database::{Cursor, Database, Page, StoreError, Transaction, page::newest_first},
    ids::{TenantId, UserId},
    roles::Role,
    tenants,
};

/// A person as a tenant sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub user: User,
    pub membership: Membership,
}

/// Who works for a tenant.
#[derive(Clone)]
pub struct Members {
    database: Database,
    clock: Clock,
}

impl Members {
    pub fn new(database: Database, clock: Clock) -> Self {
        Self { database, clock }
    }

    /// A tenant's people, the newest member first.
    pub async fn list(&self, tenant: TenantId, cursor: Option<Cursor>, limit: u64) -> Result<Page<Member>, StoreError> {
        let select = Entity::find().filter(Column::TenantId.eq(tenant));
        let key = |row: &Membership| Cursor::after(row.created_at, row.user_id.0);
        let order = (Column::CreatedAt, Column::UserId);
        let page = newest_first(self.database.reader(), select, order, cursor, limit, key).await?;
        let ids = page.items.iter().map(|membership| membership.user_id);
        let users = row::Entity::find().filter(row::Column::Id.is_in(ids)).all(self.database.reader()).await?;
        let with_user = |membership: Membership| {
            let user = users.iter().find(|user| user.id == membership.user_id)?.clone();
            Some(Member { user, membership })
        };
        Ok(Page { items: page.items.into_iter().filter_map(with_user).collect(), next: page.next })
    }

    pub async fn get(&self, tenant: TenantId, user: UserId) -> Result<Member, StoreError> {
        let nobody = || StoreError::NotFound { what: "user" };
        let reader = self.database.reader();
        let membership = Entity::find_by_id((tenant, user)).one(reader).await?.ok_or_else(nobody)?;
        let user = row::Entity::find_by_id(user).one(reader).await?.ok_or_else(nobody)?;
        Ok(Member { user, membership })
    }

    /// Gives a member another role. The last administrator keeps it.
    pub async fn change_role(&self, tenant: TenantId, user: UserId, role: Role) -> Result<Member, StoreError> {
        if role == Role::PlatformAdmin {
            return Err(StoreError::invalid("role", "nobody runs the platform by working for a tenant"));
        }
        let tx = self.database.write().await?;
        tx.watch(Entity::find().filter(own(tenant, user))).await?;
        let before = locked(&tx, tenant, user).await?;
        if role != Role::TenantAdmin {
            not_the_last(&tx, &before).await?;
        }
        let changes = ActiveModel { role: Set(role), ..ActiveModel::default() };
        Entity::update_many().set(changes).filter(own(tenant, user)).exec(tx.connection()).await?;
        tx.commit().await?;
        self.get(tenant, user).await
    }

    /// The person no longer works for the tenant. The last administrator stays.
    pub async fn remove(&self, tenant: TenantId, user: UserId) -> Result<(), StoreError> {
        let tx = self.database.write().await?;
        tx.watch(Entity::find().filter(own(tenant, user))).await?;
        let before = locked(&tx, tenant, user).await?;
        not_the_last(&tx, &before).await?;
        Entity::delete_many().filter(own(tenant, user)).exec(tx.connection()).await?;
        tx.commit().await
    }

    /// Makes a person a member; one who is a member already gets the role if it may do more.
    pub async fn add(&self, tenant: TenantId, user: UserId, role: Role) -> Result<(), StoreError> {
        let tx = self.database.write().await?;
        tx.watch(Entity::find().filter(own(tenant, user))).await?;
        join(&tx, self.clock.now(), tenant, user, role).await?;
        tx.commit().await
    }
}

/// [`Members::add`] in the transaction of a store.
pub(crate) async fn join(
    tx: &Transaction,
    now: DateTime<Utc>,
    tenant: TenantId,
    user: UserId,
    role: Role,
) -> Result<(), StoreError> {
    if role == Role::PlatformAdmin {
        return Err(StoreError::invalid("role", "nobody runs the platform by working for a tenant"));
    }
    tx.watch(Entity::find().filter(own(tenant, user))).await?;
    let membership = Membership { tenant_id: tenant, user_id: user, role, created_at: now };
    let inserted = Entity::insert(membership.into_active_model())
        .on_conflict(OnConflict::columns([Column::TenantId, Column::UserId]).do_nothing().to_owned())
        .exec_without_returning(tx.connection())
        .await?;
    if inserted == 0 {
        let lower = Role::ALL.iter().copied().filter(|have| *have < role);
        let changes = ActiveModel { role: Set(role), ..ActiveModel::default() };
        let have_less = own(tenant, user).add(Column::Role.is_in(lower));
        Entity::update_many().set(changes).filter(have_less).exec(tx.connection()).await?;
    }
    Ok(())
}

/// The membership, with its tenant locked until the transaction ends: two administrators who remove each other at the same moment
/// would otherwise both see the other one stay.
async fn locked(tx: &Transaction, tenant: TenantId, user: UserId) -> Result<Membership, StoreError> {
    lock_tenant(tx, tenant).await?;
    let found = Entity::find_by_id((tenant, user)).one(tx.connection()).await?;
    found.ok_or(StoreError::NotFound { what: "user" })
}

async fn not_the_last(tx: &Transaction, membership: &Membership) -> Result<(), StoreError> {
    if membership.role != Role::TenantAdmin {
        return Ok(());
    }
    if admins_beside(tx, membership).await? == 0 {
        return Err(StoreError::conflict("user", "is the tenant's last administrator"));
    }
    Ok(())
}

/// Keeps the tenant, and who administers it, as they are until the transaction ends.
pub(crate) async fn lock_tenant(tx: &Transaction, tenant: TenantId) -> Result<(), StoreError> {
    tenants::Entity::update_many()
        .col_expr(tenants::Column::UpdatedAt, Expr::col(tenants::Column::UpdatedAt))
        .filter(tenants::Column::Id.eq(tenant))
        .exec(tx.connection())
        .await?;
    Ok(())
}

/// How many others work for the tenant.
pub(crate) async fn members_beside(tx: &Transaction, membership: &Membership) -> Result<u64, StoreError> {
    Ok(beside(membership).count(tx.connection()).await?)
}

/// How many others administer the tenant.
pub(crate) async fn admins_beside(tx: &Transaction, membership: &Membership) -> Result<u64, StoreError> {
    Ok(beside(membership).filter(Column::Role.eq(Role::TenantAdmin)).count(tx.connection()).await?)
}

fn beside(membership: &Membership) -> Select<Entity> {
    Entity::find().filter(Column::TenantId.eq(membership.tenant_id)).filter(Column::UserId.ne(membership.user_id))
}

fn own(tenant: TenantId, user: UserId) -> Condition {
    Condition::all().add(Column::TenantId.eq(tenant)).add(Column::UserId.eq(user))
}
