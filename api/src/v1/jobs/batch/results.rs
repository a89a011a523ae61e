//! What became of each job of a batch.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::Accepted;
use crate::json::Json;
use crate::problem::{Answer, Problem, ProblemDocument};

/// The answer to a batch.
#[derive(Debug, Serialize, ToSchema)]
pub struct Batch {
    /// How many jobs are in the queue.
    accepted: usize,
    /// How many are not.
    refused: usize,
    /// One result per job, in the order sent.
    items: Vec<BatchItem>,
}

/// What became of one job of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchItem {
    /// The job's place in the request, from 0.
    index: usize,
    /// The status this job would have had alone.
    status: u16,
    /// The job.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// Whether an earlier submission with the same idempotency key made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    existed: Option<bool>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<ProblemDocument>,
}

#[derive(Default)]
pub(super) struct Results {
    items: Vec<BatchItem>,
    accepted: usize,
}

impl Results {
    pub(super) fn accepted(&self) -> usize {
        self.accepted
    }

    pub(super) fn refused(&self) -> usize {
        self.items.len() - self.accepted
    }

    pub(super) fn accept(&mut self, index: usize, job: Accepted) {
        self.accepted += 1;
        let status = StatusCode::ACCEPTED.as_u16();
        self.items.push(BatchItem { index, status, id: Some(job.id), existed: Some(job.existed), problem: None });
    }

    pub(super) fn refuse(&mut self, index: usize, problem: &Problem) {
        let problem = problem.document();
        self.items.push(BatchItem { index, status: problem.status, id: None, existed: None, problem: Some(problem) });
    }

    /// One JSON document.
    pub(super) fn into_document(mut self) -> Response {
        self.items.sort_unstable_by_key(|item| item.index);
        let batch = Batch { accepted: self.accepted, refused: self.refused(), items: Vec::new() };
        let status = self.status();
        (status, Json(Batch { items: self.items, ..batch })).into_response()
    }

    /// One result per line.
    pub(super) fn into_lines(mut self) -> Answer<Response> {
        self.items.sort_unstable_by_key(|item| item.index);
        let mut text = Vec::new();
        for item in &self.items {
            serde_json::to_writer(&mut text, item).map_err(Problem::internal)?;
            text.push(b'\n');
        }
        let mut response = (self.status(), Body::from(text)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        Ok(response)
    }

    fn status(&self) -> StatusCode {
        if self.refused() == 0 { StatusCode::ACCEPTED } else { StatusCode::MULTI_STATUS }
    }
}
