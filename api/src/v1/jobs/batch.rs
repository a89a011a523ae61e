//! Many jobs in one request, each with its own answer.
//!
//! A JSON array is read as a whole, up to 16 MiB. NDJSON is read line by line and enqueued on the way, in chunks, so a request of
//! any length needs the same memory. The answer comes after the last line, out of a file if it is long: a client that sends
//! everything before it reads anything must not be able to block itself.

mod results;
mod spool;

use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use futures::{Stream, TryStreamExt as _};
use postrider_queue::NewJob;
use postrider_shared::ids::TenantId;
use postrider_shared::roles::Permission;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::apart::{self, Apart};
use super::submission::{self, Submission};
use crate::app::App;
use crate::auth::{Caller, Standing, Tenant};
use crate::idempotency;
use crate::json::{self, Lines};
use crate::limits::{BodyClass, LINE_TIME};
use crate::problem::{Answer, Problem, ProblemType};

use results::Results;
pub use results::{Batch, BatchItem};

/// Most jobs of an array.
const MAX_JOBS: usize = 100_000;
/// Most jobs of a stream, whose results must fit into the temporary folder: about 100 bytes each.
const MAX_LINES: usize = 10_000_000;
/// Jobs that go to the queue together.
const CHUNK: usize = 500;
/// The longest that a job of a slow stream waits for others to go with. A payload that lies in the object store must not wait for its job
/// until the sweep takes it for forgotten.
const SOON: Duration = Duration::from_secs(1);
/// If the first so many are all refused, the rest is not read: the client sends something else than it thinks.
const MAX_REFUSED: usize = 1_000;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(submit))
}

/// Submit many jobs.
///
/// As a JSON array (at most 16 MiB and 100,000 jobs), or as NDJSON, one job per line, which is enqueued while it is read: a stream may
/// have ten million lines and pause for a minute. Each job has its own result, in the order sent; with NDJSON the results are lines,
/// too. They come after the last job. 202 when all were accepted, 207 when some were refused, which harms no other; if the first
/// 1,000 are all refused, the rest is not read.
///
/// Whoever may no longer submit jobs while a stream is read, because the key was revoked, the session has ended or the tenant is
/// suspended, is told so, and nothing more is enqueued. An access token may run out meanwhile.
///
/// With the header `Idempotency-Key: k`, the job at index *n* has the key `k:n` unless it names its own. Whoever was cut off, or got an
/// error instead of results, does not know how many jobs are in the queue: a repeat of the whole request with the same key enqueues
/// what is missing and answers for all.
#[utoipa::path(
    post, path = "/jobs/batch", tag = "jobs", operation_id = "submit_jobs",
    request_body(content(
        (Vec<Submission> = "application/json"),
        (String = "application/x-ndjson")
    )),
    responses(
        (status = 202, description = "All are in the queue.", content(
            (Batch = "application/json"), (BatchItem = "application/x-ndjson")
        )),
        (status = 207, description = "Some were refused.", content(
            (Batch = "application/json"), (BatchItem = "application/x-ndjson")
        ))
    ),
    security(("api_key" = ["jobs:write"]))
)]
async fn submit(
    State(app): State<App>,
    caller: Caller,
    Tenant(tenant): Tenant,
    standing: Standing,
    headers: HeaderMap,
    request: Request,
) -> Answer<Response> {
    let key = idempotency::key(&headers)?;
    let begin = |results| Intake { app, caller, tenant, standing, key, waiting: Vec::new(), since: None, results };
    match json::media_type(&headers).as_deref() {
        Some("application/json") => {
            let mut intake = begin(Results::default());
            intake.take_array(&json::body(request, &()).await?).await?;
            intake.results.into_response().await
        }
        Some("application/x-ndjson" | "application/ndjson" | "application/jsonl") => {
            let mut intake = begin(Results::of_lines());
            intake.take_lines(request.into_body()).await?;
            intake.results.into_response().await
        }
        _ => Err(Problem::new(
            ProblemType::UnsupportedMediaType,
            "Send the jobs as application/json (an array) or application/x-ndjson (one per line).",
        )),
    }
}

/// Jobs on their way into the queue.
struct Intake {
    app: App,
    caller: Caller,
    tenant: TenantId,
    standing: Standing,
    key: Option<String>,
    /// Read, but not yet enqueued: index, job, and its payload if that is stored apart.
    waiting: Vec<(usize, NewJob, Option<Apart>)>,
    /// Since when.
    since: Option<Instant>,
    results: Results,
}

impl Intake {
    async fn take_array(&mut self, body: &Bytes) -> Answer<()> {
        let items: Vec<&RawValue> = json::read(body)?;
        if items.len() > MAX_JOBS {
            return Err(too_many(MAX_JOBS));
        }
        for (index, item) in items.iter().enumerate() {
            self.take(index, item.get().as_bytes()).await?;
        }
        self.enqueue().await
    }

    async fn take_lines(&mut self, body: Body) -> Answer<()> {
        let longest = BodyClass::Job.bounds(self.app.payload_limit()).bytes;
        let mut lines = Lines::of(body.into_data_stream().map_err(io::Error::other), longest);
        let mut index = 0;
        while let Some(line) = self.next(&mut lines).await? {
            match line {
                _ if index >= MAX_LINES => {
                    self.results.refuse(index, &too_many(MAX_LINES));
                    break;
                }
                Ok(text) => self.take(index, text.as_bytes()).await?,
                Err(problem) => {
                    self.results.refuse(index, &problem);
                    self.end_chunk_if_due().await?;
                }
            }
            if self.results.refused() == MAX_REFUSED && index + 1 == MAX_REFUSED {
                break;
            }
            index += 1;
        }
        self.enqueue().await
    }

    async fn next<S>(&mut self, lines: &mut Lines<S>) -> Answer<Option<Answer<String>>>
    where
        S: Stream<Item = io::Result<Bytes>> + Unpin,
    {
        if !self.waiting.is_empty() {
            match timeout(SOON, lines.next()).await {
                Ok(line) => return line,
                Err(_) => self.enqueue().await?,
            }
        }
        timeout(LINE_TIME, lines.next()).await.map_err(|_| too_slow(LINE_TIME))?
    }

    async fn take(&mut self, index: usize, text: &[u8]) -> Answer<()> {
        match self.read(index, text).await {
            Ok((job, apart)) => {
                self.waiting.push((index, job, apart));
                self.since.get_or_insert_with(Instant::now);
            }
            Err(problem) => self.results.refuse(index, &problem),
        }
        self.end_chunk_if_due().await
    }

    /// Refused jobs count, too: their results wait until their place in the answer has come.
    async fn end_chunk_if_due(&mut self) -> Answer<()> {
        let full = self.waiting.len() + self.results.waiting() >= CHUNK;
        if full || self.since.is_some_and(|since| since.elapsed() >= SOON) { self.enqueue().await } else { Ok(()) }
    }

    async fn read(&self, index: usize, text: &[u8]) -> Answer<(NewJob, Option<Apart>)> {
        let submission: Submission = json::object(text)?;
        let key = self.key.as_ref().map(|key| format!("{key}:{index}"));
        let mut job = submission.into_job(&self.app, self.caller, self.tenant, key, self.app.payload_limit())?;
        let apart = apart::store(&self.app, self.tenant, &mut job).await?;
        Ok((job, apart))
    }

    /// Enqueues what waits, if the caller still may. A failure ends the request when nothing was accepted yet, else it is the result of
    /// those jobs that were not.
    async fn enqueue(&mut self) -> Answer<()> {
        self.since = None;
        if self.waiting.is_empty() {
            return self.results.end_chunk().await;
        }
        self.standing.check(&self.app, Permission::JobsWrite).await?;
        let (mut places, mut jobs) = (Vec::new(), Vec::new());
        for (index, job, apart) in self.waiting.drain(..) {
            places.push((index, apart));
            jobs.push(job);
        }
        let nothing_yet = self.results.accepted() == 0;
        match self.app.scopes().define_shares_of(&jobs).await {
            Err(error) if nothing_yet => return Err(error.into()),
            // Then they are not enqueued either, and each says so.
            Err(error) => tracing::warn!(%error, "the tenant's shares are not defined yet"),
            Ok(()) => {}
        }
        let mut answers = self.app.queue().enqueue_each(jobs).await?;
        if nothing_yet && answers.iter().all(Result::is_err) && !answers.is_empty() {
            answers.swap_remove(0)?;
        }
        for ((index, apart), answer) in places.into_iter().zip(answers) {
            if let Some(apart) = apart {
                apart.settle(&self.app, &answer).await;
            }
            match answer.map_err(Problem::from).and_then(submission::accepted) {
                Ok(accepted) => self.results.accept(index, accepted),
                Err(problem) => self.results.refuse(index, &problem),
            }
        }
        self.results.end_chunk().await
    }
}

fn too_many(most: usize) -> Problem {
    Problem::new(ProblemType::PayloadTooLarge, format!("A batch may have {most} jobs."))
}

fn too_slow(time: Duration) -> Problem {
    let detail = format!("Nothing came for {} seconds; jobs before that may be in the queue.", time.as_secs());
    Problem::new(ProblemType::TimedOut, detail)
}
