//! Whoever changes something, or sees data of persons, leaves a row in the audit log.
//!
//! The layer stands inside the one that replays repeated requests, so that a replay leaves no second row. What each operation leaves
//! is decided in [`operations`].

pub mod operations;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use postrider_shared::audit::{AuditKind, AuditOutcome, AuditedRequest, Recorder, within};

use crate::app::App;
use crate::audit::operations::{Operations, Recorded};
use crate::auth::Caller;
use crate::limits::ClientAddress;
use crate::problem::Answer;
use crate::request_id::RequestId;

/// The layer around operations that need a permission.
pub async fn layer(
    State((app, operations)): State<(App, Operations)>,
    caller: Caller,
    request: Request,
    next: Next,
) -> Answer<Response> {
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned()).unwrap_or_default();
    let Some((operation, recorded)) = operations.of(request.method(), &path) else {
        return Ok(next.run(request).await);
    };
    if let Recorded::Nothing(_) = recorded {
        return Ok(next.run(request).await);
    }
    let ledger = Recorder::new(described(&request, caller, operation, &path), app.clock().clone());
    match recorded {
        Recorded::Nothing(_) => Ok(next.run(request).await),
        Recorded::Change => Ok(within(ledger, next.run(request)).await),
        Recorded::Elsewhere => {
            ledger.write(app.database(), AuditKind::Change, AuditOutcome::Attempted).await?;
            Ok(next.run(request).await)
        }
        Recorded::Access => {
            let response = next.run(request).await;
            // What cannot be recorded is not handed out.
            if response.status().is_success() {
                ledger.write(app.database(), AuditKind::Access, AuditOutcome::Done).await?;
            }
            Ok(response)
        }
    }
}

fn described(request: &Request, caller: Caller, operation: &str, path: &str) -> AuditedRequest {
    // `/v1/accounts/{id}`, `/v1/platform/api-keys/{id}`.
    let resource = path.split('/').skip(2).find(|segment| *segment != "platform").unwrap_or_default();
    let place = path.split('/').position(|segment| segment.starts_with('{'));
    let subject = place.and_then(|place| request.uri().path().split('/').nth(place));
    let subject = subject.map(|subject| subject.chars().take(200).collect::<String>());
    // What happens to a tenant is the tenant's, whoever does it.
    let about = subject.as_deref().filter(|_| resource == "tenants").and_then(|id| id.parse().ok());
    let address = request.extensions().get::<ClientAddress>().and_then(|ClientAddress(address)| *address);
    AuditedRequest {
        actor: caller.actor,
        tenant: about.or(caller.tenant),
        request_id: request.extensions().get::<RequestId>().map(|id| id.as_str().to_owned()).unwrap_or_default(),
        ip: address.map(|address| address.to_string()),
        operation: operation.to_owned(),
        resource: resource.to_owned(),
        subject_id: subject,
    }
}
