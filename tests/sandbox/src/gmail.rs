//! The Gmail API, as far as a sender needs it: drafts, sending, looking messages and threads up, uploads.
//!
//! What is sent is in the ledger, synced, before the answer is said. As Google does, it gives a sent message a new id, may put
//! a `Message-ID` of its own in place of the sender's, counts units per user and minute, and keeps a reply in its thread only if
//! `threadId`, `References` and the subject agree. Drafts and threads live in memory.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

use crate::office::Office;

mod call;
mod control;
mod drafts;
mod letter;
mod lookup;
mod quota;
mod sending;
mod store;
mod trouble;
mod upload;

pub use control::{Draft, Figures};
pub use store::Gmail;

/// 35 MB of message in base64, and what stands around it.
const MAX_REQUEST_BYTES: usize = 56 * 1024 * 1024;

pub fn router(office: Arc<Office>) -> Router {
    Router::new()
        .route("/gmail/v1/users/{user}/drafts", get(drafts::list).post(drafts::create))
        .route("/gmail/v1/users/{user}/drafts/send", post(drafts::send))
        .route("/gmail/v1/users/{user}/drafts/{id}", get(drafts::get).put(drafts::update).delete(drafts::delete))
        .route("/gmail/v1/users/{user}/messages", get(lookup::messages))
        .route("/gmail/v1/users/{user}/messages/send", post(sending::send))
        .route("/gmail/v1/users/{user}/messages/{id}", get(lookup::message))
        .route("/gmail/v1/users/{user}/threads/{id}", get(lookup::thread))
        .route("/upload/gmail/v1/users/{user}/drafts", post(upload::draft))
        .route("/upload/gmail/v1/users/{user}/messages/send", post(upload::send))
        .route("/control/gmail", post(control::settings))
        .route("/control/gmail/{address}", get(control::figures))
        .route("/control/gmail/{address}/drafts", post(control::draft_of_a_person))
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
        .with_state(office)
}
