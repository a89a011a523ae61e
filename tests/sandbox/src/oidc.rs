//! Issuers of ID tokens (OpenID Connect): a discovery document, a key set that can be rotated, tokens for whoever a test needs.
//!
//! There are as many as one likes, each at `/oidc/NAME` and called by that URL unless told another name.

mod control;
mod endpoints;
mod issuers;
mod signer;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::office::Office;

pub use control::{Minted, Wanted};
pub use issuers::{Body, Issuers, Orders, Seen, Trouble};
pub use signer::Signer;

/// The endpoints that Postrider meets, and those by which tests give orders.
pub fn router(office: Arc<Office>) -> Router {
    Router::new()
        .route("/oidc/{name}/.well-known/openid-configuration", get(endpoints::discovery))
        .route("/oidc/{name}/keys", get(endpoints::keys))
        .route("/control/oidc/{name}", get(control::show).post(control::order))
        .route("/control/oidc/{name}/rotate", post(control::rotate))
        .route("/control/oidc/{name}/tokens", post(control::mint))
        .with_state(office)
}
