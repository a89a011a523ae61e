//! Tenants: the businesses on the platform.

mod deletion;
mod life;
mod logo;

use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use postrider_shared::database::AllTenants;
use postrider_shared::ids::TenantId;
use postrider_shared::tenants::{self, TenantSettings, TenantState};
use postrider_shared::time_zone::TimeZone;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Caller;
use crate::decimal::DecimalText;
use crate::idempotency::Once;
use crate::json::Json;
use crate::page::{Limit, Page, place};
use crate::parameters::{Path, Query};
use crate::problem::{Answer, Problem, ProblemType};

/// The operations on tenants.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(get, change, deletion::delete))
        .merge(life::router())
        .merge(deletion::router())
}

/// A business.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tenant {
    /// Its id.
    id: TenantId,
    /// As it stands on quotes.
    name: String,
    /// ISO 4217.
    currency: String,
    /// A fraction: `0.19` is 19 %.
    tax_rate: DecimalText,
    /// What the tax is called.
    tax_label: String,
    /// Where its calendar days begin.
    time_zone: TimeZone,
    /// ISO 639-1; for quotes whose mail's language is not known.
    language: String,
    /// `#rrggbb`.
    brand_color: String,
    /// Whether its quotes show a logo, in the place of its name in large letters.
    has_logo: bool,
    /// Its address block on quotes.
    sender_details: String,
    /// What quote numbers start with.
    quote_prefix: String,
    /// The number its next quote gets.
    quote_next_number: i64,
    /// How many days a quote holds.
    quote_validity_days: i32,
    /// Whether mail is read and sent for it.
    state: TenantState,
    /// When it is deleted, if that was asked for; until then it can be restored.
    delete_after: Option<DateTime<Utc>>,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it was last changed.
    updated_at: DateTime<Utc>,
}

impl From<tenants::Tenant> for Tenant {
    fn from(row: tenants::Tenant) -> Self {
        Self {
            id: row.id,
            name: row.name,
            currency: row.currency,
            tax_rate: row.tax_rate.into(),
            tax_label: row.tax_label,
            time_zone: row.time_zone,
            language: row.language,
            brand_color: row.brand_color,
            has_logo: row.logo_key.is_some(),
            sender_details: row.sender_details,
            quote_prefix: row.quote_prefix,
            quote_next_number: row.quote_next_number,
            quote_validity_days: row.quote_validity_days,
            state: row.state,
            delete_after: row.delete_after,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// A business to be added. What is left out has the usual value.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTenant {
    /// As it stands on quotes.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// ISO 4217; EUR if absent.
    #[schema(example = "EUR")]
    currency: Option<String>,
    /// A fraction: `0.19` is 19 %; 0 if absent.
    #[schema(example = "0.19")]
    tax_rate: Option<DecimalText>,
    /// What the tax is called; `VAT` if absent.
    #[schema(max_length = 40)]
    tax_label: Option<String>,
    /// UTC if absent.
    time_zone: Option<TimeZone>,
    /// ISO 639-1; `en` if absent.
    #[schema(pattern = "^[a-z]{2}$")]
    language: Option<String>,
    /// `#rrggbb`.
    #[schema(pattern = "^#[0-9A-Fa-f]{6}$")]
    brand_color: Option<String>,
    /// Its address block on quotes.
    #[schema(max_length = 2000)]
    sender_details: Option<String>,
    /// What quote numbers start with; `Q-` if absent.
    #[schema(max_length = 20)]
    quote_prefix: Option<String>,
    /// How many days a quote holds; 30 if absent.
    #[schema(minimum = 1, maximum = 3650)]
    quote_validity_days: Option<u32>,
}

/// What is to be different. What is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantChange {
    /// As it stands on quotes.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// ISO 4217.
    currency: Option<String>,
    /// A fraction: `0.19` is 19 %.
    tax_rate: Option<DecimalText>,
    /// What the tax is called.
    #[schema(max_length = 40)]
    tax_label: Option<String>,
    /// Where its calendar days begin.
    time_zone: Option<TimeZone>,
    /// ISO 639-1.
    #[schema(pattern = "^[a-z]{2}$")]
    language: Option<String>,
    /// `#rrggbb`.
    #[schema(pattern = "^#[0-9A-Fa-f]{6}$")]
    brand_color: Option<String>,
    /// A PNG in base64, for the head of quotes: at most 200 KiB, 2,000 pixels on each side and 1,000,000 in all; null for none.
    #[expect(clippy::option_option, reason = "left out, null and a value are three things")]
    #[serde(default, deserialize_with = "crate::json::given")]
    #[schema(value_type = Option<String>, content_encoding = "base64", content_media_type = "image/png", max_length = 273_068)]
    logo: Option<Option<String>>,
    /// Its address block on quotes.
    #[schema(max_length = 2000)]
    sender_details: Option<String>,
    /// What quote numbers start with.
    #[schema(max_length = 20)]
    quote_prefix: Option<String>,
    /// How many days a quote holds.
    #[schema(minimum = 1, maximum = 3650)]
    quote_validity_days: Option<u32>,
}

impl TenantChange {
    fn applied(self, old: TenantSettings) -> TenantSettings {
        TenantSettings {
            name: self.name.unwrap_or(old.name),
            currency: self.currency.unwrap_or(old.currency),
            tax_rate: self.tax_rate.map_or(old.tax_rate, |rate| rate.0),
            tax_label: self.tax_label.unwrap_or(old.tax_label),
            time_zone: self.time_zone.unwrap_or(old.time_zone),
            language: self.language.unwrap_or(old.language),
            brand_color: self.brand_color.unwrap_or(old.brand_color),
            logo_key: old.logo_key,
            sender_details: self.sender_details.unwrap_or(old.sender_details),
            quote_prefix: self.quote_prefix.unwrap_or(old.quote_prefix),
            quote_validity_days: self.quote_validity_days.unwrap_or(old.quote_validity_days),
        }
    }
}

impl From<NewTenant> for TenantSettings {
    fn from(new: NewTenant) -> Self {
        let change = TenantChange {
            name: None,
            currency: new.currency,
            tax_rate: new.tax_rate,
            tax_label: new.tax_label,
            time_zone: new.time_zone,
            language: new.language,
            brand_color: new.brand_color,
            logo: None,
            sender_details: new.sender_details,
            quote_prefix: new.quote_prefix,
            quote_validity_days: new.quote_validity_days,
        };
        change.applied(Self::named(new.name))
    }
}

/// Add a tenant.
#[utoipa::path(
    post, path = "/tenants", tag = "tenants", operation_id = "create_tenant",
    request_body = NewTenant,
    responses((status = 201, description = "The tenant, active at once.", body = Tenant)),
    security(("api_key" = ["tenants:manage"]))
)]
async fn create(State(app): State<App>, once: Once, Json(new): Json<NewTenant>) -> Answer<(StatusCode, Json<Tenant>)> {
    let id = once.id(TenantId::derived, TenantId::random);
    let tenant = app.stores().tenants.create_as(id, new.into()).await?;
    Ok((StatusCode::CREATED, Json(tenant.into())))
}

/// Which tenants are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct TenantsQuery {
    /// Only those in this state; for platform keys.
    state: Option<TenantState>,
    /// `next_cursor` of the page before; absent for the first page.
    cursor: Option<String>,
    /// Most items in the answer.
    #[serde(default)]
    #[param(value_type = u32, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
}

/// List tenants: all of them for a platform key, its own for a tenant's key.
#[utoipa::path(
    get, path = "/tenants", tag = "tenants", operation_id = "list_tenants",
    params(TenantsQuery),
    responses((status = 200, description = "Tenants, newest first.", body = Page<Tenant>)),
    security(("api_key" = ["tenants:read"]))
)]
async fn list(State(app): State<App>, caller: Caller, Query(query): Query<TenantsQuery>) -> Answer<Json<Page<Tenant>>> {
    let cursor = place(query.cursor.as_deref())?;
    if !caller.is_platform() {
        let own = caller.tenant.ok_or_else(|| Problem::new(ProblemType::TenantRequired, ""))?;
        let tenant = app.stores().tenants.get(own).await?;
        return Ok(Json(Page { items: vec![tenant.into()], next_cursor: None }));
    }
    let page = app.stores().tenants.list(AllTenants, query.state, cursor, query.limit.into()).await?;
    Ok(Json(Page::of(page)))
}

/// Get a tenant.
#[utoipa::path(
    get, path = "/tenants/{id}", tag = "tenants", operation_id = "get_tenant",
    params(("id" = TenantId, Path, description = "The tenant's id.")),
    responses((status = 200, description = "The tenant.", body = Tenant)),
    security(("api_key" = ["tenants:read"]))
)]
async fn get(State(app): State<App>, caller: Caller, Path(id): Path<TenantId>) -> Answer<Json<Tenant>> {
    visible(caller, id)?;
    Ok(Json(app.stores().tenants.get(id).await?.into()))
}

/// Change a tenant.
#[utoipa::path(
    patch, path = "/tenants/{id}", tag = "tenants", operation_id = "change_tenant",
    params(("id" = TenantId, Path, description = "The tenant's id.")),
    request_body = TenantChange,
    responses((status = 200, description = "The tenant, changed.", body = Tenant)),
    security(("api_key" = ["tenants:write"]))
)]
async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<TenantId>,
    Json(mut change): Json<TenantChange>,
) -> Answer<Json<Tenant>> {
    visible(caller, id)?;
    let Some(logo) = change.logo.take() else {
        return Ok(Json(app.stores().tenants.change(id, |settings| change.applied(settings)).await?.into()));
    };
    let changed = logo::exchange(&app, id, logo, |settings| change.applied(settings)).await?;
    Ok(Json(changed.into()))
}

/// A tenant's key sees its own tenant only.
fn visible(caller: Caller, id: TenantId) -> Answer<()> {
    if caller.is_platform() || caller.tenant == Some(id) { Ok(()) } else { Err(Problem::not_found("tenant")) }
}
