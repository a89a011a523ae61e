//! What the endpoint was asked.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::request::{Answer, Call};

/// Older requests are forgotten; `seq` goes on counting.
const KEPT: usize = 2000;

/// One request: `outcome` is `answered` or the kind of the fault that struck.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Served {
    pub seq: u64,
    pub received_at: DateTime<Utc>,
    pub model: String,
    pub from: String,
    pub subject: String,
    pub outcome: String,
    /// The user message.
    pub request: Value,
    pub answer: Option<Answer>,
    /// Pictures that came with the message.
    #[serde(default)]
    pub pictures: usize,
}

impl Served {
    pub(super) fn new(received_at: DateTime<Utc>, call: &Call, outcome: String, answer: Option<Answer>) -> Self {
        Self {
            seq: 0,
            received_at,
            model: call.model.clone(),
            from: call.request.mail.from.clone(),
            subject: call.request.mail.subject.clone(),
            outcome,
            request: call.user.clone(),
            answer,
            pictures: call.pictures,
        }
    }
}

#[derive(Debug, Default)]
struct Requests {
    last_seq: u64,
    list: VecDeque<Served>,
}

#[derive(Debug, Default)]
pub struct LlmLog(Mutex<Requests>);

impl LlmLog {
    pub(super) fn record(&self, served: Served) {
        let mut requests = self.lock();
        requests.last_seq += 1;
        let seq = requests.last_seq;
        requests.list.push_back(Served { seq, ..served });
        if requests.list.len() > KEPT {
            requests.list.pop_front();
        }
    }

    /// The newest requests, oldest first.
    pub fn all(&self) -> Vec<Served> {
        self.lock().list.iter().cloned().collect()
    }

    pub fn clear(&self) {
        *self.lock() = Requests::default();
    }

    fn lock(&self) -> MutexGuard<'_, Requests> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
