//! Whoever changes something, or sees data of persons, leaves a row in the audit log.
//!
//! The layer stands inside the one that replays repeated requests, so that a replay leaves no second row. What each operation leaves
//! is decided in [`operations`].

pub mod operations;
pub mod tally;

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request};
use axum::http::{Method, StatusCode, Uri};
use axum::response::Response;
use postrider_shared::audit::{AuditActor, AuditKind, AuditOutcome, AuditedRequest, Recorder, within};
use postrider_shared::ids::TenantId;

use crate::app::App;
use crate::audit::operations::{Operations, Recorded};
use crate::auth::Caller;
use crate::layers::Inner;
use crate::limits::ClientAddress;
use crate::problem::Answer;
use crate::request_id::RequestId;

/// The layer around operations that need a permission.
pub async fn layer(
    (app, operations): (App, Operations),
    caller: Caller,
    request: Box<Request>,
    next: impl Inner,
) -> Answer<Response> {
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned()).unwrap_or_default();
    let Some((operation, recorded)) = operations.of(request.method(), &path) else {
        return Ok(next.run(request).await);
    };
    if let Recorded::Nothing(_) | Recorded::SignIn | Recorded::Asked = recorded {
        return Ok(next.run(request).await);
    }
    let about = Asked::of(&request).described(caller.actor.into(), caller.tenant, operation);
    let ledger = Recorder::new(about.clone(), app.clock().clone());
    match recorded {
        Recorded::Nothing(_) | Recorded::SignIn | Recorded::Asked => Ok(next.run(request).await),
        Recorded::Change => {
            let response = within(Arc::clone(&ledger), next.run(request)).await;
            // A password or a token did not prove what it was to prove; a code that did not has left its row where guesses are counted.
            if response.status() == StatusCode::UNAUTHORIZED && !ledger.has_written() {
                let own = caller.actor.user().filter(|_| about.resource == "me");
                tally::note(&app, about, AuditKind::Change, AuditOutcome::Refused, own);
            }
            Ok(response)
        }
        Recorded::Elsewhere => {
            Box::pin(ledger.write(app.database(), AuditKind::Change, AuditOutcome::Attempted)).await?;
            Ok(next.run(request).await)
        }
        Recorded::Access => {
            let response = next.run(request).await;
            // What cannot be recorded is not handed out.
            if response.status().is_success() {
                Box::pin(ledger.write(app.database(), AuditKind::Access, AuditOutcome::Done)).await?;
            }
            Ok(response)
        }
    }
}

/// The layer around what strangers may do: signing in and what leads there.
pub async fn open_layer((app, operations): (App, Operations), request: Box<Request>, next: impl Inner) -> Response {
    let asked = Asked::of(&request);
    let Some((operation, recorded)) = operations.of(&asked.method, asked.path()) else {
        return next.run(request).await;
    };
    if let Recorded::Nothing(_) | Recorded::Access = recorded {
        return next.run(request).await;
    }
    let about = asked.described(AuditActor::Stranger, None, operation);
    let ledger = Recorder::of_what_is_said(about.clone(), app.clock().clone());
    let response = within(Arc::clone(&ledger), next.run(request)).await;
    let outcome = match (recorded, response.status()) {
        (_, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => AuditOutcome::Refused,
        (Recorded::Asked, status) if status.is_success() => AuditOutcome::Attempted,
        _ => return response,
    };
    if !ledger.has_written() {
        tally::note(&app, about, AuditKind::SignIn, outcome, ledger.claimed());
    }
    response
}

/// A caller was not allowed what it asked for.
pub fn refused(app: &App, operations: &Operations, asked: &Asked, actor: AuditActor, tenant: Option<TenantId>) {
    if let Some((operation, _)) = operations.of(&asked.method, asked.path()) {
        let kind = if asked.method.is_safe() { AuditKind::Access } else { AuditKind::Change };
        tally::note(app, asked.described(actor, tenant, operation), kind, AuditOutcome::Refused, None);
    }
}

/// What the log needs of a request that may be gone when it is needed. Cheap to take along.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: Method,
    uri: Uri,
    path: Option<MatchedPath>,
    id: Option<RequestId>,
    address: Option<IpAddr>,
}

impl Asked {
    /// Of a request that was routed.
    pub fn of(request: &Request) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            path: request.extensions().get::<MatchedPath>().cloned(),
            id: request.extensions().get::<RequestId>().cloned(),
            address: request.extensions().get::<ClientAddress>().and_then(|ClientAddress(address)| *address),
        }
    }

    /// As the router knows it.
    pub fn path(&self) -> &str {
        self.path.as_ref().map(MatchedPath::as_str).unwrap_or_default()
    }

    /// Who asked for what, as the log has it.
    pub fn described(&self, actor: AuditActor, tenant: Option<TenantId>, operation: &str) -> AuditedRequest {
        let path = self.path();
        // `/v1/accounts/{id}`, `/v1/platform/api-keys/{id}`.
        let resource = path.split('/').skip(2).find(|segment| *segment != "platform").unwrap_or_default();
        let place = path.split('/').position(|segment| segment.starts_with('{'));
        let subject = place.and_then(|place| self.uri.path().split('/').nth(place));
        let subject = subject.map(|subject| subject.chars().take(200).collect::<String>());
        // What happens to a tenant is the tenant's, whoever does it.
        let about = subject.as_deref().filter(|_| resource == "tenants").and_then(|id| id.parse().ok());
        AuditedRequest {
            actor,
            tenant: about.or(tenant),
            request_id: self.id.as_ref().map(|id| id.as_str().to_owned()).unwrap_or_default(),
            ip: self.address,
            operation: operation.to_owned(),
            resource: resource.to_owned(),
            subject_id: subject,
        }
    }
}
