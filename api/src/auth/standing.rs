//! Whether a caller who is being served for long may go on: a key can be revoked, a session end, a tenant be suspended meanwhile.

use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use postrider_shared::actor::Actor;
use postrider_shared::ids::TenantId;
use postrider_shared::roles::Permission;

use super::{Caller, bearer, jwt, named_tenant, of_key, person, refused};
use crate::app::App;
use crate::problem::{Answer, Problem, ProblemType};

/// How often it is asked. Answers of a moment ago are remembered, so ten thousand waiting callers with one key ask once.
const EVERY: Duration = Duration::from_secs(2);

/// What a caller showed when it was let in.
pub struct Standing {
    caller: Caller,
    /// The text of its key or access token; none with a cookie, which changes.
    text: Option<String>,
    named: Option<TenantId>,
}

impl Standing {
    /// Ends when what the caller showed opens this no longer, with what it would be told now. While the database is away nothing is
    /// known, and the caller goes on.
    pub async fn lost(&self, app: &App, permission: Permission) -> Problem {
        loop {
            tokio::time::sleep(EVERY).await;
            match self.now(app).await {
                Ok(caller) => match caller.must(permission) {
                    Ok(()) if caller.tenant == self.caller.tenant => {}
                    Ok(()) => return Problem::not_found("tenant"),
                    Err(problem) => return problem,
                },
                Err(problem) if problem.kind().entry().status.is_server_error() => {}
                Err(problem) => return problem,
            }
        }
    }

    /// Who the caller is by now.
    async fn now(&self, app: &App) -> Answer<Caller> {
        match (self.caller.actor, &self.text) {
            (Actor::Key(_), Some(text)) => of_key(app, text, Ok(self.named)).await,
            (Actor::Key(_), None) => Err(Problem::new(ProblemType::Unauthenticated, "")),
            (Actor::User { session, .. }, text) => {
                if let Some(text) = text {
                    let token = jwt::verify(app.keys(), app.clock().now(), text);
                    token.ok_or_else(|| refused("The access token is not valid, or its time is over."))?;
                }
                let (caller, lack) = person(app, session, self.named).await?;
                lack.map_or(Ok(caller), Err)
            }
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Standing {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let shown = parts.headers.contains_key(header::AUTHORIZATION);
        let text = if shown { Some(bearer(&parts.headers)?.to_owned()) } else { None };
        Ok(Self { caller, text, named: named_tenant(&parts.headers, &parts.uri)? })
    }
}
