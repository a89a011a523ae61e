//! Products: what a tenant sells, and the formula that prices it.

mod settings;

use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use postrider_shared::ids::ProductId;
use postrider_shared::products::{self, ProductSettings, ProductState};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Tenant;
use crate::decimal::DecimalText;
use crate::idempotency::Once;
use crate::json::Json;
use crate::page::{Page, PageQuery};
use crate::parameters::{Path, Query};
use crate::problem::Answer;

pub use settings::{Dimension, Material, NewProduct, ProductChange};

/// The operations on products.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(get, change, archive))
}

/// Something a tenant sells.
#[derive(Debug, Serialize, ToSchema)]
pub struct Product {
    /// Its id.
    id: ProductId,
    /// The tenant's own number for it.
    sku: String,
    /// As it stands on quotes.
    name: String,
    /// More about it.
    description: String,
    /// What customers call it.
    aliases: Vec<String>,
    /// What a customer must say about its size.
    dimensions: Vec<Dimension>,
    /// What a customer may choose from.
    materials: Vec<Material>,
    /// What one of it is called.
    unit_label: String,
    /// The price of one.
    formula: String,
    /// Least that is sold at once.
    min_quantity: DecimalText,
    /// Most that is sold at once.
    max_quantity: Option<DecimalText>,
    /// Whether it is offered.
    state: ProductState,
    /// When it was added.
    created_at: DateTime<Utc>,
    /// When it was last changed.
    updated_at: DateTime<Utc>,
}

impl From<products::Product> for Product {
    fn from(row: products::Product) -> Self {
        Self {
            id: row.id,
            sku: row.sku,
            name: row.name,
            description: row.description,
            aliases: row.aliases.0,
            dimensions: row.dimensions.0.into_iter().map(Into::into).collect(),
            materials: row.materials.0.into_iter().map(Into::into).collect(),
            unit_label: row.unit_label,
            formula: row.formula,
            min_quantity: row.min_quantity.into(),
            max_quantity: row.max_quantity.map(Into::into),
            state: row.state,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// Add a product.
///
/// Its formula is tried out over the ranges of its dimensions, materials and quantities; one that cannot be read, divides
/// by zero or gives no price is refused with its line, column and reason.
#[utoipa::path(
    post, path = "/products", tag = "products", operation_id = "create_product",
    request_body = NewProduct,
    responses((status = 201, description = "The product.", body = Product)),
    security(("api_key" = ["products:write"]))
)]
async fn create(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    once: Once,
    Json(new): Json<NewProduct>,
) -> Answer<(StatusCode, Json<Product>)> {
    let id = once.id(ProductId::derived, ProductId::random);
    let product = app.stores().products.create_as(tenant, id, new.into()).await?;
    Ok((StatusCode::CREATED, Json(product.into())))
}

/// List the tenant's products, the archived ones too.
#[utoipa::path(
    get, path = "/products", tag = "products", operation_id = "list_products",
    params(PageQuery),
    responses((status = 200, description = "Products, newest first.", body = Page<Product>)),
    security(("api_key" = ["products:read"]))
)]
async fn list(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Query(query): Query<PageQuery>,
) -> Answer<Json<Page<Product>>> {
    let page = app.stores().products.list(tenant, query.place()?, query.limit.into()).await?;
    Ok(Json(Page::of(page)))
}

/// Get a product.
#[utoipa::path(
    get, path = "/products/{id}", tag = "products", operation_id = "get_product",
    params(("id" = ProductId, Path, description = "The product's id.")),
    responses((status = 200, description = "The product.", body = Product)),
    security(("api_key" = ["products:read"]))
)]
async fn get(State(app): State<App>, Tenant(tenant): Tenant, Path(id): Path<ProductId>) -> Answer<Json<Product>> {
    Ok(Json(app.stores().products.get(tenant, id).await?.into()))
}

/// Change a product. Quotes that are priced already keep their prices.
#[utoipa::path(
    patch, path = "/products/{id}", tag = "products", operation_id = "change_product",
    params(("id" = ProductId, Path, description = "The product's id.")),
    request_body = ProductChange,
    responses((status = 200, description = "The product, changed.", body = Product)),
    security(("api_key" = ["products:write"]))
)]
async fn change(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Path(id): Path<ProductId>,
    Json(change): Json<ProductChange>,
) -> Answer<Json<Product>> {
    let product = app.stores().products.change(tenant, id, |settings| change.applied(settings)).await?;
    Ok(Json(product.into()))
}

/// Archive a product: it is offered no longer, and kept for the quotes that name it.
#[utoipa::path(
    delete, path = "/products/{id}", tag = "products", operation_id = "archive_product",
    params(("id" = ProductId, Path, description = "The product's id.")),
    responses((status = 200, description = "The product, archived.", body = Product)),
    security(("api_key" = ["products:write"]))
)]
async fn archive(State(app): State<App>, Tenant(tenant): Tenant, Path(id): Path<ProductId>) -> Answer<Json<Product>> {
    let archived = |settings| ProductSettings { state: ProductState::Archived, ..settings };
    Ok(Json(app.stores().products.change(tenant, id, archived).await?.into()))
}
