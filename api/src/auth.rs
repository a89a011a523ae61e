//! Who calls, for which tenant, and whether that may.
//!
//! One layer around the private part of `/v1` decides all three before a handler runs. The permission an operation needs stands once,
//! in its OpenAPI annotation, and the layer reads it from there; who has which is the table in `postrider_shared::roles`.

pub mod access;
mod caller;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use postrider_shared::actor::Actor;
use postrider_shared::ids::TenantId;

pub use caller::{Caller, Tenant};

use crate::app::App;
use crate::auth::access::{Need, Needs};
use crate::parameters::tenant_of;
use crate::problem::{Answer, Problem, ProblemType};

/// Header by which a caller names its tenant.
pub const TENANT_HEADER: HeaderName = HeaderName::from_static("postrider-tenant");

/// The layer around the private part of `/v1`.
pub async fn layer(State((app, needs)): State<(App, Needs)>, mut request: Request, next: Next) -> Answer<Response> {
    let caller = identify(&app, request.headers(), request.uri()).await?;
    let path = request.extensions().get::<MatchedPath>();
    match path.map_or(Need::Undecided, |path| needs.needed(request.method(), path.as_str())) {
        Need::Permission(permission) => caller.must(permission)?,
        Need::NoSuchMethod => {}
        Need::Undecided => return Err(Problem::internal("a route without an operation in the document")),
    }
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

async fn identify(app: &App, headers: &HeaderMap, uri: &Uri) -> Answer<Caller> {
    let text = bearer(headers)?;
    let key =
        app.stores().api_keys.verify(text).await?.ok_or_else(|| refused("The key is unknown or has been revoked."))?;
    let named = named_tenant(headers, uri)?;
    let tenant = match (key.tenant_id, named) {
        (Some(own), Some(named)) if own != named => return Err(Problem::not_found("tenant")),
        (None, None) => None,
        (Some(own), _) => Some(app.stores().tenants.get(own).await?),
        (None, Some(named)) => Some(app.stores().tenants.get(named).await?),
    };
    if key.tenant_id.is_some() && tenant.as_ref().is_some_and(|tenant| !tenant.is_active()) {
        return Err(refused("The key's tenant is suspended."));
    }
    Ok(Caller {
        actor: Actor::Key(key.id),
        role: key.role,
        permissions: key.role.permissions(),
        tenant: tenant.map(|tenant| tenant.id),
    })
}

fn refused(detail: &str) -> Problem {
    Problem::new(ProblemType::Unauthenticated, detail)
}

fn bearer(headers: &HeaderMap) -> Answer<&str> {
    let missing = || refused("No key was sent.");
    let value = headers.get(header::AUTHORIZATION).ok_or_else(missing)?;
    let text = value.to_str().unwrap_or_default();
    let (scheme, key) = text.split_once(' ').unwrap_or_default();
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(key.trim())
    } else {
        Err(refused("The Authorization header is not `Bearer pr_…`."))
    }
}

fn named_tenant(headers: &HeaderMap, uri: &Uri) -> Answer<Option<TenantId>> {
    let named = match headers.get(TENANT_HEADER) {
        Some(value) => Some(value.to_str().unwrap_or_default()),
        None => tenant_of(uri),
    };
    let Some(text) = named else { return Ok(None) };
    let id = text.parse().map_err(|_| Problem::not_found("tenant"))?;
    Ok(Some(id))
}
