//! Deleting one's own account.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use postrider_shared::ids::TenantId;

use super::person;
use super::proof::{OwnerProof, refused};
use crate::app::App;
use crate::auth::{Caller, cookie};
use crate::json::Json;
use crate::limits::ClientAddress;
use crate::problem::{Answer, Problem};

/// Delete one's own account, with all sessions, identities, memberships, codes and invitations to its address.
///
/// It takes the password, or a code (`POST /v1/me/code`) for who has none. What the person did stays in the audit logs until its time is
/// over, and what belongs to a tenant, its keys too, is the tenant's. The last administrator of a tenant where others work, or of an
/// active one with connected mailboxes or keys, is refused; a tenant that has neither is deleted a week after its only member has left.
///
/// The session ends with the account. So who repeats the call because its answer was lost gets 401 (`unauthorized`): the first one was
/// carried out, or the session was over before it.
#[utoipa::path(
    delete, path = "/me", tag = "people", operation_id = "delete_me",
    request_body = OwnerProof,
    responses((status = 204, description = "The account is deleted.")),
    security(("api_key" = ["profile:write"]))
)]
pub(super) async fn delete(
    State(app): State<App>,
    caller: Caller,
    from: ClientAddress,
    Json(proof): Json<OwnerProof>,
) -> Answer<Response> {
    let (user, _) = person(caller)?;
    let found = app.stores().users.get(user).await?.ok_or_else(|| Problem::not_found("user"))?;
    let proof = proof.checked(&app, &found, from).await?;
    let left = app.stores().profiles.leave(user, &proof).await?.ok_or_else(refused)?;
    app.people().forget();
    tracing::info!(user.id = %user, tenants.deleted = left.tenants.len(), "an account was deleted by its owner");
    for tenant in left.tenants {
        app.apply_pause(tenant).await;
    }
    app.relay(TenantId::platform(), &left.entries).await;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie::forget()?)]).into_response())
}
