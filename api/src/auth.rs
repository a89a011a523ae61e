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
use postrider_shared::tenants::TenantState;

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
    let keys = &app.stores().api_keys;
    let key = keys.verify(text).await?;
    let key = key.ok_or_else(|| refused("The key is unknown, has expired or has been revoked."))?;
    let named = named_tenant(headers, uri)?;
    let tenant = match (key.tenant_id, named) {
        (Some(own), Some(named)) if own != named => return Err(Problem::not_found("tenant")),
        (own, named) => own.or(named),
    };
    if let Some(tenant) = tenant {
        let state = app.stores().tenants.state(tenant).await?;
        if key.tenant_id.is_some() {
            must_be_active(state)?;
        }
    }
    if keys.is_use_to_be_noted(&key) {
        let (keys, id) = (keys.clone(), key.id);
        app.tasks().spawn(async move {
            if let Err(error) = keys.note_use(id).await {
                tracing::warn!(error = %error, key.id = %id, "the use of a key was not noted");
            }
        });
    }
    Ok(Caller { actor: Actor::Key(key.id), role: key.role, permissions: key.permissions(), tenant })
}

/// Refuses whoever belongs to a tenant that does not take part. Those who run the platform may look at it.
fn must_be_active(state: TenantState) -> Answer<()> {
    match state {
        TenantState::Active => Ok(()),
        TenantState::Suspended => Err(Problem::new(ProblemType::TenantInactive, "The tenant is suspended.")),
    }
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
