//! Version 1, one file per resource.

pub mod accounts;
pub mod api_keys;
pub mod attachments;
pub mod audit_events;
pub mod batches;
pub mod dead_letters;
pub mod jobs;
pub mod kinds;
pub mod mails;
pub mod messages;
pub mod products;
pub mod queues;
pub mod quotes;
pub mod secrets;
pub mod tenants;
pub mod threads;

use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

/// Operations for strangers, such as signing in: each says so by `security(())`.
pub fn open() -> OpenApiRouter<App> {
    OpenApiRouter::new()
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
}
