//! Signing in and what leads there: registering, codes, passwords, invitations, refreshing and ending sessions.
//!
//! Whoever asks is a stranger, and learns nothing of who has a user: unknown addresses get the same answers, and cost the same.

mod invitation;
mod oidc;
mod otp;
mod password;
mod registration;
mod session;
mod signing_in;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

/// What strangers may ask.
pub fn open() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(registration::register))
        .routes(routes!(registration::confirm))
        .routes(routes!(password::login))
        .routes(routes!(password::ask_for_reset))
        .routes(routes!(password::reset))
        .routes(routes!(oidc::sign_in))
        .routes(routes!(otp::ask))
        .routes(routes!(otp::verify))
        .routes(routes!(session::refresh))
        .routes(routes!(invitation::accept))
}

/// What those who are signed in may ask.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(session::logout))
}
