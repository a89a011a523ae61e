//! Who calls, for which tenant, and whether the key's role may.
//!
//! One layer around `/v1` decides all three before a handler runs. The role an operation needs stands once, in its
//! OpenAPI annotation, and the layer reads it from there; an operation without one is closed to everybody.

pub mod roles;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use postrider_shared::api_keys::Role;
use postrider_shared::ids::{ApiKeyId, TenantId};

use crate::app::App;
use crate::auth::roles::Roles;
use crate::parameters::tenant_of;
use crate::problem::{Answer, Problem, ProblemType};

/// Header by which a platform key names its tenant.
pub const TENANT_HEADER: HeaderName = HeaderName::from_static("postrider-tenant");

/// The key a request came with.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    /// The key itself.
    pub key: ApiKeyId,
    /// What it may do.
    pub role: Role,
    /// The tenant it acts for: a tenant's key always has one, a platform key the one it named.
    pub tenant: Option<TenantId>,
}

impl Caller {
    /// Refuses a role below `needed`.
    pub fn must_be(self, needed: Role) -> Answer<()> {
        if self.role.allows(needed) {
            return Ok(());
        }
        let detail = format!("This needs the role {needed}; the key's role is {}.", self.role);
        Err(Problem::new(ProblemType::Forbidden, detail))
    }

    /// Whether this is a platform key.
    pub fn is_platform(self) -> bool {
        self.role == Role::PlatformAdmin
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        let caller = parts.extensions.get::<Self>().copied();
        caller.ok_or_else(|| Problem::new(ProblemType::Unauthenticated, ""))
    }
}

/// The tenant a call acts for. Every store method takes one, so an operation on a tenant's things cannot forget it.
#[derive(Debug, Clone, Copy)]
pub struct Tenant(pub TenantId);

impl<S: Send + Sync> FromRequestParts<S> for Tenant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let caller = Caller::from_request_parts(parts, state).await?;
        caller.tenant.map(Self).ok_or_else(|| Problem::new(ProblemType::TenantRequired, ""))
    }
}

/// The layer around `/v1`.
pub async fn layer(State((app, roles)): State<(App, Roles)>, mut request: Request, next: Next) -> Answer<Response> {
    let caller = identify(&app, request.headers(), request.uri()).await?;
    let path = request.extensions().get::<MatchedPath>();
    if let Some(needed) = path.and_then(|path| roles.needed(request.method(), path.as_str())) {
        caller.must_be(needed)?;
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
    Ok(Caller { key: key.id, role: key.role, tenant: tenant.map(|tenant| tenant.id) })
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
