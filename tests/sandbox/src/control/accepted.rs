//! The ledger, with a way to wait for it.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::{Shared, problem};
use crate::ledger::Accepted;

/// Which entries, and whether to wait until there are so many of them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Wanted {
    /// Only entries with a greater `seq`.
    pub after: u64,
    /// Part of a recipient's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Answer as soon as this many entries match …
    pub wait_for: usize,
    /// … or when this time is over, with what there is.
    pub timeout_ms: u64,
}

impl Wanted {
    fn holds(&self, accepted: &Accepted) -> bool {
        let to = self.to.as_ref().map(|to| to.to_lowercase());
        accepted.seq > self.after
            && to.is_none_or(|to| accepted.rcpt_to.iter().any(|recipient| recipient.to_lowercase().contains(&to)))
    }
}

pub(super) async fn list(State(office): Shared, Query(wanted): Query<Wanted>) -> Json<Vec<Accepted>> {
    let matching = || office.ledger.all().into_iter().filter(|accepted| wanted.holds(accepted)).collect::<Vec<_>>();
    let mut changes = office.ledger.watch();
    let enough = changes.wait_for(|_| matching().len() >= wanted.wait_for);
    let _ = tokio::time::timeout(Duration::from_millis(wanted.timeout_ms), enough).await;
    Json(matching())
}

pub(super) async fn raw(State(office): Shared, Path(seq): Path<u64>) -> Response {
    match office.ledger.raw(seq) {
        Some(raw) => ([("content-type", "message/rfc822")], raw).into_response(),
        None => problem(StatusCode::NOT_FOUND, "no such entry"),
    }
}
