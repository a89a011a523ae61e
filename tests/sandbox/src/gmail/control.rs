//! What tests order of the Gmail API, and read from it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::office::Office;

type Shared = State<Arc<Office>>;

#[derive(Debug, Deserialize)]
pub(super) struct Settings {
    /// What a user may spend in a minute.
    units_per_minute: Option<u64>,
    /// Whether a sender's Message-ID stays.
    keeps_message_ids: Option<bool>,
}

/// One mailbox, as the provider sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// The most units that it spent in any minute.
    pub most_units: u64,
    /// Calls that were refused for that.
    pub refused: u64,
    pub drafts: Vec<Draft>,
}

/// A draft that stands in a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    pub id: String,
    pub message_id: Option<String>,
    pub subject: Option<String>,
}

pub(super) async fn settings(State(office): Shared, Json(settings): Json<Settings>) -> StatusCode {
    let mut state = office.gmail.lock();
    if let Some(units) = settings.units_per_minute {
        state.quota.per_minute = units;
    }
    if let Some(keeps) = settings.keeps_message_ids {
        state.keeps_message_ids = keeps;
    }
    StatusCode::NO_CONTENT
}

pub(super) async fn figures(State(office): Shared, Path(address): Path<String>) -> Json<Figures> {
    let address = address.to_lowercase();
    let mut state = office.gmail.lock();
    let (most_units, refused) = state.quota.of(&address);
    let drafts = state.postbox(&office.mailboxes, &address).drafts.iter().map(|(id, letter)| {
        let headings = letter.headings();
        Draft { id: id.clone(), message_id: headings.message_id, subject: headings.subject }
    });
    Json(Figures { most_units, refused, drafts: drafts.collect() })
}

/// A draft that somebody wrote by hand.
pub(super) async fn draft_of_a_person(State(office): Shared, Path(address): Path<String>, raw: Bytes) -> Response {
    let made = office.gmail.lock().draft(&office.mailboxes, &address.to_lowercase(), raw, None);
    let id = made.map(|(id, _)| id);
    (StatusCode::CREATED, Json(id)).into_response()
}
