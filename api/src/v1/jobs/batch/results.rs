//! What became of each job of a batch.

use std::io;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::Accepted;
use super::spool::Spool;
use crate::json::Json;
use crate::problem::{Answer, Problem, ProblemDocument, ProblemType};

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

/// Results as they come. Those of one chunk may come in any order; the chunks come one after the other.
#[derive(Debug, Default)]
pub(super) struct Results {
    items: Vec<BatchItem>,
    accepted: usize,
    refused: usize,
    /// Lines of the chunks before, if the answer is lines.
    lines: Option<Spool>,
}

impl Results {
    /// Results that are sent as lines, and need no more memory however many there are.
    pub(super) fn of_lines() -> Self {
        Self { lines: Some(Spool::default()), ..Self::default() }
    }

    pub(super) const fn accepted(&self) -> usize {
        self.accepted
    }

    pub(super) const fn refused(&self) -> usize {
        self.refused
    }

    /// Results of lines whose chunk has not ended.
    pub(super) const fn waiting(&self) -> usize {
        if self.lines.is_some() { self.items.len() } else { 0 }
    }

    pub(super) fn accept(&mut self, index: usize, job: Accepted) {
        self.accepted += 1;
        let status = StatusCode::ACCEPTED.as_u16();
        self.items.push(BatchItem { index, status, id: Some(job.id), existed: Some(job.existed), problem: None });
    }

    pub(super) fn refuse(&mut self, index: usize, problem: &Problem) {
        self.refused += 1;
        let problem = problem.document();
        self.items.push(BatchItem { index, status: problem.status, id: None, existed: None, problem: Some(problem) });
    }

    /// Ends a chunk: whatever comes later has a higher index.
    pub(super) async fn end_chunk(&mut self) -> Answer<()> {
        let Some(spool) = &mut self.lines else { return Ok(()) };
        self.items.sort_unstable_by_key(|item| item.index);
        let mut text = Vec::new();
        for item in self.items.drain(..) {
            serde_json::to_writer(&mut text, &item).map_err(Problem::internal)?;
            text.push(b'\n');
        }
        spool.add(&mut text).await.map_err(unkept)
    }

    /// The answer.
    pub(super) async fn into_response(mut self) -> Answer<Response> {
        self.end_chunk().await?;
        let status = if self.refused == 0 { StatusCode::ACCEPTED } else { StatusCode::MULTI_STATUS };
        if let Some(lines) = self.lines {
            let mut response = (status, lines.into_body().await.map_err(unkept)?).into_response();
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
            return Ok(response);
        }
        self.items.sort_unstable_by_key(|item| item.index);
        Ok((status, Json(Batch { accepted: self.accepted, refused: self.refused, items: self.items })).into_response())
    }
}

/// The temporary folder is full, or away.
fn unkept(error: io::Error) -> Problem {
    let detail = "The results cannot be kept; what was sent is in the queue as far as it was read.";
    Problem::new(ProblemType::StorageUnavailable, detail).caused_by(error)
}
