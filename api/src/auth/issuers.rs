//! Whom an ID token proves, with the keys that its issuer has now.
//!
//! Keys are read from the database. A token whose key is not there has them fetched once, by a job and for all processes together, and
//! waits for that a little: an issuer that has just begun to sign with a new key is the usual reason.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use postrider_shared::config::Issuer;
use postrider_shared::identities::Proven;
use postrider_shared::ids::TenantId;
use postrider_shared::key_sets::{Asked, KeySet, PublicKey};
use tokio::time::sleep;

use crate::app::App;
use crate::auth::id_token::{IdToken, Refusal};
use crate::problem::{Answer, Problem, ProblemType};

/// How long a request waits for keys.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(100);

/// Whom a token proves. `nonce` is what the client asked the issuer to repeat in it.
pub async fn proven(app: &App, token: &str, nonce: Option<&str>) -> Answer<Proven> {
    let arrived = app.clock().now();
    let token = IdToken::read(token).map_err(refused)?;
    let issuer = token.issuer(app.issuers(), nonce, arrived).map_err(refused)?;
    let keys = keys(app, issuer, token.kid(), arrived).await?;
    token.proven(issuer, &keys).map_err(refused)
}

fn refused(refusal: Refusal) -> Problem {
    tracing::info!(reason = %refusal, "an ID token was refused");
    Problem::new(ProblemType::SignInRefused, "")
}

/// The issuer's good keys, among which is one with this id.
async fn keys(app: &App, issuer: &Issuer, kid: &str, arrived: DateTime<Utc>) -> Answer<Vec<PublicKey>> {
    let key_sets = &app.stores().key_sets;
    if let Some(keys) = with(key_sets.get(&issuer.name).await?.as_ref(), kid, arrived) {
        return Ok(keys);
    }
    let asked = key_sets.ask(&issuer.name).await?;
    if let Asked::Now(entry) = asked {
        tracing::info!(issuer = issuer.name, "an ID token names a key that is not known: the keys are fetched");
        app.relay(TenantId::platform(), &[entry]).await;
    }
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let set = key_sets.get(&issuer.name).await?;
        if let Some(keys) = with(set.as_ref(), kid, app.clock().now()) {
            return Ok(keys);
        }
        if let Some(set) = set {
            let is_newer = set.tried_at.is_some_and(|tried| tried >= arrived);
            if is_newer && set.failure.is_none() {
                return Err(refused(Refusal::UnknownKey));
            }
            // Nothing is under way that could bring it.
            if is_newer || set.tried_at >= set.asked_at {
                break;
            }
        }
        sleep(LOOK).await;
    }
    let wait = match asked {
        Asked::Before { again_at } => (again_at - app.clock().now()).to_std().unwrap_or_default(),
        Asked::Now(_) => PATIENCE,
    };
    let detail = "The keys with which the token's issuer signs now are not at hand.";
    Err(Problem::new(ProblemType::IssuerUnavailable, detail).retry_after(wait.max(Duration::from_secs(1))))
}

fn with(set: Option<&KeySet>, kid: &str, now: DateTime<Utc>) -> Option<Vec<PublicKey>> {
    let keys = set?.good(now);
    keys.iter().any(|key| key.kid == kid).then_some(keys)
}
