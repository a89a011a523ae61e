//! Ordering faults.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::{Shared, problem};
use crate::faults::{Fault, Standing};

pub(super) async fn list(State(office): Shared) -> Json<Vec<Standing>> {
    Json(office.faults.all())
}

pub(super) async fn add(State(office): Shared, Json(fault): Json<Fault>) -> Response {
    match office.faults.add(fault) {
        Ok(standing) => (StatusCode::CREATED, Json(standing)).into_response(),
        Err(refused) => problem(StatusCode::UNPROCESSABLE_ENTITY, &refused.to_string()),
    }
}

pub(super) async fn clear(State(office): Shared) -> StatusCode {
    office.faults.clear();
    StatusCode::NO_CONTENT
}

pub(super) async fn remove(State(office): Shared, Path(id): Path<u64>) -> Response {
    if office.faults.remove(id) {
        StatusCode::NO_CONTENT.into_response()
    } else {
        problem(StatusCode::NOT_FOUND, "no such fault")
    }
}
