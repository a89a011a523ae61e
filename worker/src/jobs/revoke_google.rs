//! The end of a Google account's connection: its tokens are given back, then forgotten.

use postrider_queue::{Done, Outcome, Stop};
use postrider_shared::accounts::AccountState;
use postrider_shared::database::AllTenants;
use postrider_shared::google::TokenSecret;
use postrider_shared::jobs::RevokeGoogle;
use serde_json::json;

use crate::context::Context;
use crate::providers::google::GoogleError;
use crate::registry::Handler;

impl Handler for RevokeGoogle {
    async fn run(self, ctx: &Context) -> Outcome {
        let tenant = ctx.tenant()?;
        let Some(grant) = ctx.grants.get(tenant, self.account_id).await? else {
            return Ok(Done::with(json!({ "skipped": "there is nothing to give back" })));
        };
        let account = ctx.accounts.in_any_state(tenant, self.account_id).await?;
        if account.state != AccountState::Disconnected {
            return Ok(Done::with(json!({ "skipped": "the mailbox is connected" })));
        }
        let others = ctx.accounts.other_google_connections(AllTenants, &account.identity, account.id).await?;
        // A token that does not open cannot be given back by anybody.
        let token = ctx.grants.open(&grant, TokenSecret::Refresh).ok().flatten();
        let revoked = match token {
            Some(token) if others == 0 => match ctx.google()?.revoke(&token).await {
                Ok(known) => known,
                Err(error) => return Err(stop(error)),
            },
            Some(_) | None => false,
        };
        ctx.grants.forget(tenant, self.account_id).await?;
        Ok(Done::with(json!({ "revoked": revoked, "other_connections": others })))
    }
}

/// What does not change by asking again ends the job; the token is kept, so that its dead letter can be redriven.
fn stop(error: GoogleError) -> Stop {
    match error {
        GoogleError::RateLimited { .. }
        | GoogleError::Server { .. }
        | GoogleError::Network { .. }
        | GoogleError::Timeout
        | GoogleError::Malformed { .. } => match error.retry_after() {
            Some(wait) => Stop::retry_after(error, wait),
            None => Stop::retry(error),
        },
        GoogleError::Misconfigured { .. } => Stop::fail(format_args!(
            "{error}. The grant still stands at Google: an operator has to mend GOOGLE_CLIENT_ID and its secret, then redrive this"
        )),
        GoogleError::InvalidGrant { .. } | GoogleError::Unauthorized { .. } | GoogleError::Rejected { .. } => {
            Stop::fail(format_args!("{error}. The grant may still stand at Google, where its owner can remove it"))
        }
    }
}
