//! Version 1, one file per resource.

pub mod accounts;
pub mod api_keys;
pub mod attachments;
pub mod audit_events;
pub mod auth;
pub mod batches;
pub mod dead_letters;
pub mod identities;
pub mod invitations;
pub mod jobs;
pub mod kinds;
pub mod mails;
pub mod me;
pub mod messages;
pub mod products;
pub mod queues;
pub mod quotes;
pub mod secrets;
pub mod tenants;
pub mod threads;
pub mod users;

use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

/// Operations for strangers, such as signing in: each says so by `security(())`.
pub fn open() -> OpenApiRouter<App> {
    auth::open()
}

/// All other operations under `/v1`: each names the permission it needs.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(kinds::router())
        .merge(jobs::router())
        .merge(batches::router())
        .merge(queues::router())
        .merge(dead_letters::router())
        .merge(tenants::router())
        .merge(api_keys::router())
        .merge(accounts::router())
        .merge(products::router())
        .merge(quotes::router())
        .merge(mails::router())
        .merge(attachments::router())
        .merge(threads::router())
        .merge(messages::router())
        .merge(secrets::router())
        .merge(audit_events::router())
        .merge(auth::router())
        .merge(me::router())
        .merge(identities::router())
        .merge(users::router())
        .merge(invitations::router())
}
