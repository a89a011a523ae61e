//! Google's accounts: the page that asks for consent, the token endpoint, and whether a token is good and for which mailbox.
//!
//! Owners consent at once; tests order otherwise over `/control/google`. Everything lives in memory: a restart of the sandbox
//! takes all grants away.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::office::Office;

mod calls;
mod consent;
mod control;
mod ordered;
mod profile;
mod token;
mod tokens;
pub(crate) mod xoauth2;

pub use calls::Calls;
pub use control::{AccessToken, GoodTokens, Orders};
pub use ordered::Trouble;
pub use tokens::{Bearer, Google};

/// The endpoints that Postrider meets, and those by which tests give orders.
pub fn router(office: Arc<Office>) -> Router {
    Router::new()
        .route("/o/oauth2/v2/auth", get(consent::ask))
        .route("/token", post(token::token))
        .route("/revoke", post(token::revoke))
        .route("/oauth2/v3/userinfo", get(profile::userinfo))
        .route("/gmail/v1/users/me/profile", get(profile::profile))
        .route("/control/google", get(control::show).post(control::order))
        .route("/control/google/{address}/expire", post(control::expire))
        .route("/control/google/{address}/revoke", post(control::revoke))
        .route("/control/google/{address}/tokens", get(control::tokens).post(control::issue))
        .with_state(office)
}
