use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect, sea_query::LockType,
};

use super::{ActiveModel, Column, Dimensions, Entity, Materials, Product, ProductSettings, ProductState};
use crate::{
    clock::Clock,
    database::{Cursor, Database, Exact, Page, StoreError, Texts, page::newest_first},
    ids::{ProductId, TenantId},
};

/// More products than this do not fit into one question to the language model.
const MOST_OFFERED: u64 = 500;

/// The table of products.
#[derive(Clone)]
pub struct Products {
    database: Database,
    clock: Clock,
}

impl Products {
    pub fn new(database: Database, clock: Clock) -> Self {
        Self { database, clock }
    }

    /// Adds a product, after trying out its formula.
    pub async fn create(&self, tenant: TenantId, settings: ProductSettings) -> Result<Product, StoreError> {
        self.create_as(tenant, ProductId::random(), settings).await
    }

    /// [`create`](Self::create) under this id. One that has it already was made by the same request and is returned.
    pub async fn create_as(
        &self,
        tenant: TenantId,
        id: ProductId,
        settings: ProductSettings,
    ) -> Result<Product, StoreError> {
        let settings = settings.checked()?;
        let now = self.clock.now();
        let product = Product {
            id,
            tenant_id: tenant,
            sku: settings.sku,
            name: settings.name,
            description: settings.description,
            aliases: Texts(settings.aliases),
            dimensions: Dimensions(settings.dimensions),
            materials: Materials(settings.materials),
            unit_label: settings.unit_label,
            formula: settings.formula,
            min_quantity: Exact(settings.min_quantity),
            max_quantity: settings.max_quantity.map(Exact),
            state: settings.state,
            created_at: now,
            updated_at: now,
        };
        let tx = self.database.write().await?;
        tx.watch(Entity::find().filter(own(tenant, id))).await?;
        if let Some(made) = Entity::find().filter(own(tenant, id)).one(tx.connection()).await? {
            return Ok(made);
        }
        Entity::insert(product.clone().into_active_model())
            .exec_without_returning(tx.connection())
            .await
            .map_err(StoreError::taken("product with this sku"))?;
        tx.commit().await?;
        Ok(product)
    }

    pub async fn get(&self, tenant: TenantId, id: ProductId) -> Result<Product, StoreError> {
        find(self.database.reader(), tenant, id).await
    }

    /// A tenant's products, newest first, the archived ones too.
    pub async fn list(
        &self,
        tenant: TenantId,
        cursor: Option<Cursor>,
        limit: u64,
    ) -> Result<Page<Product>, StoreError> {
        let select = Entity::find().filter(Column::TenantId.eq(tenant));
        let key = |row: &Product| Cursor::after(row.created_at, row.id.0);
        let order = (Column::CreatedAt, Column::Id);
        Ok(newest_first(self.database.reader(), select, order, cursor, limit, key).await?)
    }

    /// All products a quote may name, by sku; at most 500.
    pub async fn offered(&self, tenant: TenantId) -> Result<Vec<Product>, StoreError> {
        let select = Entity::find().filter(Column::TenantId.eq(tenant)).filter(Column::State.eq(ProductState::Active));
        Ok(select.order_by_asc(Column::Sku).limit(MOST_OFFERED).all(self.database.reader()).await?)
    }

    /// Changes the settings to what `merge` makes of them as they are, and nobody changes them in between; the formula is tried out.
    pub async fn change(
        &self,
        tenant: TenantId,
        id: ProductId,
        merge: impl FnOnce(ProductSettings) -> ProductSettings,
    ) -> Result<Product, StoreError> {
        let tx = self.database.write().await?;
        let before = Entity::find().filter(own(tenant, id)).lock(LockType::NoKeyUpdate).one(tx.connection()).await?;
        let before = before.ok_or(StoreError::NotFound { what: "product" })?;
        let settings = merge(before.settings()).checked()?;
        let changes = ActiveModel {
            sku: Set(settings.sku),
            name: Set(settings.name),
            description: Set(settings.description),
            aliases: Set(Texts(settings.aliases)),
            dimensions: Set(Dimensions(settings.dimensions)),
            materials: Set(Materials(settings.materials)),
            unit_label: Set(settings.unit_label),
            formula: Set(settings.formula),
            min_quantity: Set(Exact(settings.min_quantity)),
            max_quantity: Set(settings.max_quantity.map(Exact)),
            state: Set(settings.state),
            updated_at: Set(self.clock.now()),
            ..ActiveModel::default()
        };
        tx.watch(Entity::find().filter(own(tenant, id))).await?;
        let taken = StoreError::taken("product with this sku");
        Entity::update_many().set(changes).filter(own(tenant, id)).exec(tx.connection()).await.map_err(taken)?;
        let product = find(tx.connection(), tenant, id).await?;
        tx.commit().await?;
        Ok(product)
    }
}

fn own(tenant: TenantId, id: ProductId) -> Condition {
    Condition::all().add(Column::Id.eq(id)).add(Column::TenantId.eq(tenant))
}

async fn find(connection: &impl ConnectionTrait, tenant: TenantId, id: ProductId) -> Result<Product, StoreError> {
    Entity::find().filter(own(tenant, id)).one(connection).await?.ok_or(StoreError::NotFound { what: "product" })
}
