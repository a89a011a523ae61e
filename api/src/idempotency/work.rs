//! Doing what a key was claimed for, under a lease that is renewed meanwhile.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;
use postrider_shared::requests::{Begun, LEASE, Requests, StoredAnswer, Ticket, holding};

use super::{Claim, KeptBody, Once, replay};
use crate::app::App;
use crate::layers::Inner;
use crate::problem::{Answer, Problem, ProblemType};

/// The caller was told long ago that this takes too long; whatever hangs must not hold the key.
const LONGEST: Duration = Duration::from_mins(2);
/// Largest answer that is kept; ours are a few KiB.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// Headers that belong to an answer.
const KEPT_HEADERS: [HeaderName; 2] = [header::CONTENT_TYPE, header::LOCATION];

/// Gives the first answer, or does the work and keeps its answer.
pub(super) async fn once(app: App, claim: Claim, mut request: Box<Request>, next: impl Inner) -> Answer<Response> {
    let Claim { tenant, caller, operation, key, fingerprint, others } = claim;
    let requests = &app.stores().requests;
    let ticket = match requests.begin(tenant, caller, &operation, &key, &fingerprint, &others).await? {
        Begun::Fresh(ticket) => ticket,
        Begun::Replay(answer) => return Ok(replay(answer)),
        Begun::InProgress => return Err(in_progress()),
        Begun::Conflict => return Err(Problem::new(ProblemType::IdempotencyKeyReused, "")),
    };
    request.extensions_mut().insert(Once::of(&ticket));
    let work = AssertUnwindSafe(holding(&ticket, next.run(request))).catch_unwind();
    let done = tokio::select! {
        done = tokio::time::timeout(LONGEST, work) => done,
        () = lost(requests, &ticket) => return Err(in_progress()),
    };
    let response = match done {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => {
            requests.release(ticket).await?;
            std::panic::resume_unwind(panic);
        }
        Err(_) => Problem::new(ProblemType::TimedOut, "The request was given up.").into_response(),
    };
    keep(requests, ticket, response).await
}

fn in_progress() -> Problem {
    Problem::new(ProblemType::RequestInProgress, "").retry_after(Duration::from_secs(1))
}

/// Renews the lease; ends when somebody else has taken the request over. A database that is away takes nothing over either, and
/// commits nothing.
async fn lost(requests: &Requests, ticket: &Ticket) {
    loop {
        tokio::time::sleep(LEASE / 3).await;
        if let Ok(false) = requests.renew(ticket).await {
            return;
        }
    }
}

/// Keeps a success. A refusal frees the key, so that the corrected request may use it; after a failure a repeat carries on.
async fn keep(requests: &Requests, ticket: Ticket, response: Response) -> Answer<Response> {
    if !response.status().is_success() {
        if response.status().is_server_error() {
            requests.release(ticket).await?;
        } else {
            requests.abandon(ticket).await?;
        }
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, MAX_ANSWER_BYTES).await.map_err(Problem::internal)?;
    let kept = parts.extensions.get::<KeptBody>().map_or(&body, |kept| &kept.0);
    let headers = KEPT_HEADERS.iter().filter_map(|name| {
        let value = parts.headers.get(name)?.to_str().ok()?;
        Some((name.to_string(), value.to_owned()))
    });
    let answer = StoredAnswer { status: parts.status.as_u16(), headers: headers.collect(), body: kept.to_vec() };
    requests.finish(ticket, &answer).await?;
    Ok(Response::from_parts(parts, Body::from(body)))
}
