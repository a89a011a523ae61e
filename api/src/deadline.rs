//! No request hangs: each has a deadline, after which the caller is told what it may do.

use std::time::Duration;

use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};

use crate::layers::Inner;
use crate::problem::{Problem, ProblemType};

/// For all but the operations below.
const ORDINARY: Duration = Duration::from_secs(30);
/// `GET /v1/jobs/{id}` may wait for the job itself, for at most [`LONGEST_WAIT`].
const WAITING: Duration = Duration::from_secs(75);
/// A large job takes a while to come.
const LARGE: Duration = Duration::from_secs(75);
/// A batch is read from the network while it is enqueued, and looks itself that it goes on.
const BATCH: Duration = Duration::from_hours(6);

/// Longest `?wait=` a caller may ask for.
pub const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// Layer that ends a request at its deadline. A stream that began in time may go on.
pub async fn layer(request: Box<Request>, next: impl Inner) -> Response {
    let deadline = of(request.extensions().get::<MatchedPath>().map(MatchedPath::as_str));
    let answer = tokio::time::timeout(deadline, next.run(request)).await;
    answer.unwrap_or_else(|_| {
        let detail = format!("The request was not done after {} seconds.", deadline.as_secs());
        Problem::new(ProblemType::TimedOut, detail).into_response()
    })
}

fn of(path: Option<&str>) -> Duration {
    match path {
        Some("/v1/jobs/{id}") => WAITING,
        Some("/v1/jobs") => LARGE,
        Some("/v1/jobs/batch") => BATCH,
        _ => ORDINARY,
    }
}
