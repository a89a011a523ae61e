//! Whoever calls, about themselves.

mod email;
mod leaving;
mod proof;

use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use postrider_shared::actor::Actor;
use postrider_shared::database::AllTenants;
use postrider_shared::ids::{SessionId, TenantId, UserId};
use postrider_shared::roles::{Permission, Role};
use postrider_shared::sessions::{Carrier, EndedBy};
use postrider_shared::users::{Passwords, User, Verdict};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Caller;
use crate::idempotency::Once;
use crate::json::Json;
use crate::limits::ClientAddress;
use crate::parameters::Path;
use crate::problem::{Answer, Problem, ProblemType};

/// The operations on oneself.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(get, change, leaving::delete))
        .routes(routes!(change_password))
        .routes(routes!(end_session))
        .routes(routes!(proof::ask))
        .routes(routes!(email::ask))
        .routes(routes!(email::confirm))
}

/// Whoever calls.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    /// The tenant that the call acts for.
    tenant_id: Option<TenantId>,
    /// The role there.
    role: Role,
    /// What may be done there.
    permissions: Vec<Permission>,
    /// The person; null for a key.
    user: Option<Profile>,
}

/// A person.
#[derive(Debug, Serialize, ToSchema)]
pub struct Profile {
    /// Its id.
    id: UserId,
    /// The address.
    email: String,
    /// The name.
    name: String,
    /// Whether there is a password.
    has_password: bool,
    /// Whether the person runs the platform.
    platform_admin: bool,
    /// For whom the person works.
    memberships: Vec<Membership>,
    /// Where the person is signed in.
    sessions: Vec<Session>,
    /// Since when there is this person.
    created_at: DateTime<Utc>,
}

/// That a person works for a tenant.
#[derive(Debug, Serialize, ToSchema)]
pub struct Membership {
    /// The tenant.
    tenant_id: TenantId,
    /// What it is called.
    tenant_name: String,
    /// As what.
    role: Role,
    /// Since when.
    created_at: DateTime<Utc>,
}

/// One place where a person is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub struct Session {
    /// Its id.
    id: SessionId,
    /// Whether it is the one that asks.
    current: bool,
    /// How it is carried.
    carrier: Carrier,
    /// What the client called itself.
    client: String,
    /// When it began.
    created_at: DateTime<Utc>,
    /// When its token was last replaced.
    last_used_at: DateTime<Utc>,
    /// When it ends if nobody uses it.
    expires_at: DateTime<Utc>,
}

/// What is to be different.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileChange {
    /// The name.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
}

/// A new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The one that holds.
    #[schema(value_type = String, max_length = 200)]
    current_password: SecretString,
    /// The new one, of 10 to 200 characters.
    #[schema(value_type = String, min_length = 10, max_length = 200)]
    new_password: SecretString,
}

/// Say who calls, for which tenant, and what that may.
#[utoipa::path(
    get, path = "/me", tag = "people", operation_id = "get_me",
    responses((status = 200, description = "Whoever calls.", body = Me)),
    security(("api_key" = ["profile:read"]))
)]
async fn get(State(app): State<App>, caller: Caller) -> Answer<Json<Me>> {
    view(&app, caller).await.map(Json)
}

/// Change one's own name.
#[utoipa::path(
    patch, path = "/me", tag = "people", operation_id = "change_me",
    request_body = ProfileChange,
    responses((status = 200, description = "Whoever calls, changed.", body = Me)),
    security(("api_key" = ["profile:write"]))
)]
async fn change(State(app): State<App>, caller: Caller, Json(change): Json<ProfileChange>) -> Answer<Json<Me>> {
    let (user, _) = person(caller)?;
    app.stores().users.rename(user, &change.name).await?;
    view(&app, caller).await.map(Json)
}

/// Change one's own password. All other sessions end.
#[utoipa::path(
    post, path = "/me/password", tag = "people", operation_id = "change_my_password",
    request_body = PasswordChange,
    responses((status = 204, description = "The password is changed; all other sessions have ended.")),
    security(("api_key" = ["profile:write"]))
)]
async fn change_password(
    State(app): State<App>,
    caller: Caller,
    once: Once,
    from: ClientAddress,
    Json(change): Json<PasswordChange>,
) -> Answer<StatusCode> {
    let own = person(caller)?;
    // A repeat of a request that did this, and whose answer was lost, sends the password from before.
    if !once.is_done() {
        replace_password(&app, own, change, from).await?;
    }
    app.people().forget();
    Ok(StatusCode::NO_CONTENT)
}

async fn replace_password(
    app: &App,
    own: (UserId, SessionId),
    change: PasswordChange,
    from: ClientAddress,
) -> Answer<()> {
    Passwords::check(&change.new_password)?;
    let refused = || Problem::new(ProblemType::SignInRefused, "The current password is another one.");
    let found = app.stores().users.get(own.0).await?.ok_or_else(|| Problem::not_found("user"))?;
    app.limits().sign_in_to(&found.email, from).await?;
    let verdict = app.passwords().verify(found.password_hash.clone(), change.current_password).await;
    let current = match (verdict.map_err(Problem::internal)?, found.password_hash) {
        (Verdict::Right | Verdict::RightButOld, Some(hash)) => hash.into(),
        (Verdict::Wrong, _) | (_, None) => return Err(refused()),
    };
    let hash = app.passwords().hash(change.new_password).await.map_err(Problem::internal)?;
    let done = app.stores().profiles.change_password(own, &current, hash).await?;
    done.then_some(()).ok_or_else(refused)
}

/// End one of one's own sessions. Ending it again changes nothing.
#[utoipa::path(
    delete, path = "/me/sessions/{id}", tag = "people", operation_id = "end_my_session",
    params(("id" = SessionId, Path, description = "The session's id.")),
    responses((status = 204, description = "It has ended.")),
    security(("api_key" = ["profile:write"]))
)]
async fn end_session(State(app): State<App>, caller: Caller, Path(id): Path<SessionId>) -> Answer<StatusCode> {
    let (user, _) = person(caller)?;
    app.stores().sessions.end(user, id, EndedBy::SignedOut).await?;
    app.people().forget();
    Ok(StatusCode::NO_CONTENT)
}

pub(super) fn person(caller: Caller) -> Answer<(UserId, SessionId)> {
    match caller.actor {
        Actor::User { user, session } => Ok((user, session)),
        Actor::Key(_) => Err(Problem::not_found("user")),
    }
}

async fn view(app: &App, caller: Caller) -> Answer<Me> {
    let user = match caller.actor {
        Actor::User { user, session } => {
            let found = app.stores().users.get(user).await?.ok_or_else(|| Problem::not_found("user"))?;
            Some(profile(app, found, session).await?)
        }
        Actor::Key(_) => None,
    };
    let permissions = caller.permissions.iter().collect();
    Ok(Me { tenant_id: caller.tenant, role: caller.role, permissions, user })
}

async fn profile(app: &App, user: User, current: SessionId) -> Answer<Profile> {
    let mut memberships = Vec::new();
    for membership in app.stores().users.memberships(AllTenants, user.id).await? {
        let tenant = app.stores().tenants.get(membership.tenant_id).await?;
        let (role, created_at) = (membership.role, membership.created_at);
        memberships.push(Membership { tenant_id: tenant.id, tenant_name: tenant.name, role, created_at });
    }
    let sessions = app.stores().sessions.list(user.id).await?.into_iter().map(|session| Session {
        id: session.id,
        current: session.id == current,
        carrier: session.carrier,
        client: session.client,
        created_at: session.created_at,
        last_used_at: session.last_used_at,
        expires_at: session.expires_at,
    });
    Ok(Profile {
        sessions: sessions.collect(),
        id: user.id,
        email: user.email,
        name: user.name,
        has_password: user.password_hash.is_some(),
        platform_admin: user.platform_admin,
        memberships,
        created_at: user.created_at,
    })
}
