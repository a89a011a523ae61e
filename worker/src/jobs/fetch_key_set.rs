//! Brings an issuer's signing keys into the database, where the API finds them.

use postrider_queue::{Done, Outcome};
use postrider_shared::jobs::FetchKeySet;
use serde_json::json;

use crate::context::Context;
use crate::registry::Handler;

impl Handler for FetchKeySet {
    /// A fetch that brings nothing is noted, not retried: the scheduler's next one, or somebody's who signs in, comes soon enough, and
    /// the keys of before are good until their end.
    async fn run(self, ctx: &Context) -> Outcome {
        let began = ctx.clock.now();
        let fetched = match ctx.oidc.as_ref().and_then(|oidc| Some((oidc, oidc.issuer(&self.issuer)?))) {
            Some((oidc, issuer)) => oidc.fetch(issuer).await.map_err(|error| error.to_string()),
            None => Err("it is not among the issuers of this worker's settings".to_owned()),
        };
        match fetched {
            Ok(found) => {
                let set = ctx.key_sets.fetched(&self.issuer, began, &found.keys, found.life).await?;
                let ids: Vec<&str> = found.keys.iter().map(|key| key.kid.as_str()).collect();
                tracing::info!(issuer = self.issuer, keys = ids.len(), "an issuer's keys were fetched");
                Ok(Done::with(json!({ "keys": ids, "expires_at": set.expires_at })))
            }
            Err(reason) => {
                tracing::warn!(issuer = self.issuer, reason, "an issuer's keys could not be fetched");
                ctx.key_sets.failed(&self.issuer, began, &reason).await?;
                Ok(Done::with(json!({ "failed": reason })))
            }
        }
    }
}
