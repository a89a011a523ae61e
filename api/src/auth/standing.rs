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
/// How long somebody who is at work waits for the answer. While the database does not give one, nothing is known.
const PATIENCE: Duration = Duration::from_secs(1);

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
            if let Err(problem) = self.holds(app, permission, self.text.as_deref()).await {
                return problem;
            }
        }
    }

    /// The same for somebody whose work goes on piece by piece, to be asked before each. An access token that was good at the beginning
    /// is good to the end, if its session is.
    pub async fn check(&self, app: &App, permission: Permission) -> Answer<()> {
        let key = self.text.as_deref().filter(|_| matches!(self.caller.actor, Actor::Key(_)));
        tokio::time::timeout(PATIENCE, self.holds(app, permission, key)).await.unwrap_or(Ok(()))
    }

    async fn holds(&self, app: &App, permission: Permission, text: Option<&str>) -> Answer<()> {
        match self.now(app, text).await {
            Ok(caller) if caller.tenant == self.caller.tenant => caller.must(permission),
            Ok(caller) => caller.must(permission).and(Err(Problem::not_found("tenant"))),
            Err(problem) if problem.kind().entry().status.is_server_error() => Ok(()),
            Err(problem) => Err(problem),
        }
    }

    /// Who the caller is by now, with this text.
    async fn now(&self, app: &App, text: Option<&str>) -> Answer<Caller> {
        match (self.caller.actor, text) {
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
