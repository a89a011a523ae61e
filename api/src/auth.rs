//! Who calls, for which tenant, and whether that may.
//!
//! One layer around the private part of `/v1` decides all three before a handler runs. The permission an operation needs stands once,
//! in its OpenAPI annotation, and the layer reads it from there; who has which is the table in `postrider_shared::roles`.

pub mod access;
mod caller;
pub mod cookie;
pub mod id_token;
pub mod issuers;
pub mod jwt;
pub mod people;
mod standing;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::Response;
use postrider_shared::actor::Actor;
use postrider_shared::audit::{AuditActor, Recorder, within};
use postrider_shared::ids::{SessionId, TenantId};
use postrider_shared::sessions::Recognised;
use postrider_shared::tenants::TenantState;

pub use caller::{Caller, Tenant};
pub use standing::Standing;

use crate::app::App;
use crate::audit::operations::Operations;
use crate::audit::{self, Asked};
use crate::auth::access::{Need, Needs};
use crate::parameters::tenant_of;
use crate::problem::{Answer, Problem, ProblemType};

/// Header by which a caller names its tenant.
pub const TENANT_HEADER: HeaderName = HeaderName::from_static("postrider-tenant");

/// The layer around the private part of `/v1`.
pub async fn layer<R: Future<Output = Response>>(
    (app, needs, operations): (App, Needs, Operations),
    request: Box<Request>,
    next: impl FnOnce(Caller, Box<Request>) -> R,
) -> Answer<Response> {
    let asked = Asked::of(&request);
    let identified = identify(&app, &asked, request.headers(), request.uri()).await?;
    let caller = identified.caller;
    let answer = admit(&needs, identified, request, next).await;
    let status = match &answer {
        Ok(response) => response.status(),
        Err(problem) => problem.kind().entry().status,
    };
    if status == StatusCode::FORBIDDEN {
        audit::refused(&app, &operations, &asked, caller.actor.into(), caller.tenant);
    }
    answer
}

/// Serves whoever may.
async fn admit<R: Future<Output = Response>>(
    needs: &Needs,
    identified: Identified,
    mut request: Box<Request>,
    next: impl FnOnce(Caller, Box<Request>) -> R,
) -> Answer<Response> {
    let Identified { caller, lack, cookie } = identified;
    let path = request.extensions().get::<MatchedPath>();
    match path.map_or(Need::Undecided, |path| needs.needed(request.method(), path.as_str())) {
        Need::Permission(permission) => match lack {
            Some(lack) if !caller.may(permission) => return Err(lack),
            _ => caller.must(permission)?,
        },
        Need::NoSuchMethod => {}
        Need::Undecided => return Err(Problem::internal("a route without an operation in the document")),
    }
    request.extensions_mut().insert(caller);
    let mut response = next(caller, request).await;
    if let Some(cookie) = cookie
        && !response.headers().contains_key(header::SET_COOKIE)
    {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Who calls.
struct Identified {
    caller: Caller,
    /// Why somebody who is signed in may do no more than look after their own profile.
    lack: Option<Problem>,
    /// The next cookie, if it is time for one.
    cookie: Option<HeaderValue>,
}

async fn identify(app: &App, asked: &Asked, headers: &HeaderMap, uri: &Uri) -> Answer<Identified> {
    match cookie::of(headers) {
        Some(text) if !headers.contains_key(header::AUTHORIZATION) => {
            cookie::must_be_of_this_site(&asked.method, headers)?;
            let Recognised::Live { session, next } = Box::pin(recognised(app, asked, text)).await? else {
                return Err(refused("You are signed out."));
            };
            let cookie = next.as_ref().map(cookie::set).transpose()?;
            let (caller, lack) = person(app, session.id, named_tenant(headers, uri)?).await?;
            Ok(Identified { caller, lack, cookie })
        }
        _ => {
            let text = bearer(headers)?;
            if text.starts_with("pr_") {
                let caller = of_key(app, text, named_tenant(headers, uri)).await?;
                return Ok(Identified { caller, lack: None, cookie: None });
            }
            let named = jwt::verify(app.keys(), app.clock().now(), text);
            let named = named.ok_or_else(|| refused("The access token is not valid, or its time is over."))?;
            let (caller, lack) = person(app, named.session, named_tenant(headers, uri)?).await?;
            match caller.actor {
                Actor::User { user, .. } if user == named.user => Ok(Identified { caller, lack, cookie: None }),
                Actor::User { .. } | Actor::Key(_) => Err(refused("The access token is not valid.")),
            }
        }
    }
}

async fn recognised(app: &App, asked: &Asked, cookie: &str) -> Answer<Recognised> {
    // A session that ends here is recorded, and nothing else.
    let about = asked.described(AuditActor::Stranger, None, "recognise_cookie");
    let ledger = Recorder::of_what_is_said(about, app.clock().clone());
    let recognised = within(ledger, app.stores().sessions.recognise(cookie)).await?;
    if let Recognised::Reused(session) = &recognised {
        app.people().forget();
        tracing::warn!(session.id = %session, "a replaced cookie came again: its session has ended");
    }
    Ok(recognised)
}

async fn person(app: &App, session: SessionId, named: Option<TenantId>) -> Answer<(Caller, Option<Problem>)> {
    let person = app.people().find(app.stores(), session).await?;
    let person = person.ok_or_else(|| refused("The session has ended."))?;
    people::caller(app, (&person, session), named).await
}

async fn of_key(app: &App, text: &str, named: Answer<Option<TenantId>>) -> Answer<Caller> {
    let keys = &app.stores().api_keys;
    let key = keys.verify(text).await?;
    let key = key.ok_or_else(|| refused("The key is unknown, has expired or has been revoked."))?;
    let tenant = match (key.tenant_id, named?) {
        (Some(own), Some(named)) if own != named => return Err(Problem::not_found("tenant")),
        (own, named) => own.or(named),
    };
    if let Some(tenant) = tenant {
        let state = app.stores().tenants.state(tenant).await?;
        if key.tenant_id.is_some() {
            must_be_active(state)?;
        }
        must_be_there(state)?;
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
        TenantState::Pending => Err(Problem::new(ProblemType::TenantInactive, "The tenant waits to be approved.")),
        TenantState::Suspended => Err(Problem::new(ProblemType::TenantInactive, "The tenant is suspended.")),
        TenantState::Deleting => Err(Problem::new(ProblemType::TenantInactive, "The tenant is to be deleted.")),
        TenantState::Deleted => Err(Problem::not_found("tenant")),
    }
}

/// Of a tenant that is being removed nothing is found, whoever names it.
fn must_be_there(state: TenantState) -> Answer<()> {
    if state == TenantState::Deleted { Err(Problem::not_found("tenant")) } else { Ok(()) }
}

fn refused(detail: &str) -> Problem {
    Problem::new(ProblemType::Unauthenticated, detail)
}

fn bearer(headers: &HeaderMap) -> Answer<&str> {
    let missing = || refused("Neither a key nor a session was sent.");
    let value = headers.get(header::AUTHORIZATION).ok_or_else(missing)?;
    let text = value.to_str().unwrap_or_default();
    let (scheme, key) = text.split_once(' ').unwrap_or_default();
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(key.trim())
    } else {
        Err(refused("The Authorization header is not `Bearer pr_…` or `Bearer <access token>`."))
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
