//! How failures of the stores and the queue look from outside. Exhaustive, so that a new kind of failure is judged here.

use std::time::Duration;

use postrider_queue::QueueError;
use postrider_shared::database::{CursorError, StoreError};
use postrider_shared::objects::ObjectError;
use postrider_shared::outbox::RelayError;
use postrider_shared::payloads::PayloadStoreError;

use crate::problem::{Problem, ProblemType};

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { what } => Self::not_found(what),
            StoreError::Conflict { .. } => Self::new(ProblemType::StateConflict, sentence(&error.to_string())),
            StoreError::Taken { .. } => Self::new(ProblemType::AlreadyExists, sentence(&error.to_string())),
            StoreError::Invalid { field, reason } => Self::field(format!("/{field}"), reason),
            StoreError::Formula(error) => {
                let position = error.position;
                let problem = Self::new(ProblemType::InvalidFormula, sentence(&error.to_string()))
                    .with_field("/formula", error.reason);
                match position {
                    Some(position) => problem.at(position.line, position.column),
                    None => problem,
                }
            }
            StoreError::Unavailable(_) => Self::new(ProblemType::DatabaseUnavailable, "").caused_by(error),
            StoreError::Unreadable { .. } | StoreError::Seal(_) | StoreError::Database(_) => Self::internal(error),
        }
    }
}

impl From<RelayError> for Problem {
    fn from(error: RelayError) -> Self {
        match error {
            RelayError::Store(error) => error.into(),
            RelayError::Queue(error) => error.into(),
        }
    }
}

impl From<ObjectError> for Problem {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::Store(_) => Self::new(ProblemType::StorageUnavailable, "").caused_by(error),
            // The row says that the file is there.
            ObjectError::NotFound(_) | ObjectError::Url(_) => Self::internal(error),
        }
    }
}

impl From<PayloadStoreError> for Problem {
    fn from(error: PayloadStoreError) -> Self {
        match error {
            PayloadStoreError::Row(error) => error.into(),
            PayloadStoreError::File(error) => error.into(),
            PayloadStoreError::TimedOut => Self::new(ProblemType::StorageUnavailable, "").caused_by(error),
            PayloadStoreError::Changed(_) => Self::internal(error),
        }
    }
}

impl From<CursorError> for Problem {
    fn from(error: CursorError) -> Self {
        Self::new(ProblemType::InvalidQuery, sentence(&error.to_string()))
    }
}

impl From<QueueError> for Problem {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Unreachable(_) | QueueError::Closed => {
                Self::new(ProblemType::QueueUnavailable, "").caused_by(error)
            }
            QueueError::Full => later(Self::new(ProblemType::QueueFull, ""), error),
            QueueError::TooDeep { ref queue, waiting, limit } => {
                let detail = format!("{waiting} jobs wait in queue {queue} already, and {limit} may.");
                later(Self::new(ProblemType::QueueTooDeep, detail), error)
            }
            QueueError::Invalid { what, reason } => Self::new(ProblemType::InvalidBody, format!("{what}: {reason}")),
            QueueError::Refused(_)
            | QueueError::Setting { .. }
            | QueueError::Shards { .. }
            | QueueError::Protocol { .. }
            | QueueError::Servers(_)
            | QueueError::Corrupt(_)
            | QueueError::LeaseLost => Self::internal(error),
        }
    }
}

/// The queue knows how long it is worth waiting.
fn later(problem: Problem, error: QueueError) -> Problem {
    problem.retry_after(error.retry_after().unwrap_or(Duration::from_secs(1))).caused_by(error)
}

/// An error's words as a sentence: `the quote is sent` → `The quote is sent.`
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str().trim_end_matches('.'))
}
