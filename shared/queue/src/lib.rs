//! A durable job queue on Redis: fair lanes, scopes with caps, leases with fencing, and nothing lost.
//!
//! The engine knows no business. Jobs have a [`Tenant`], a [`JobKind`], a [`QueueName`], a [`Lane`] and a JSON payload.
//! [`QueueClient`] enqueues, reads and controls; [`QueueBackend`] feeds an apalis worker.
#![deny(missing_docs)]

mod backend;
mod claim;
mod client;
mod config;
mod error;
mod hub;
mod id;
mod job;
mod keys;
mod lane;
mod link;
mod name;
mod outcome;
mod policy;
mod record;
mod scope;
mod script;
mod session;
mod settings;
mod stats;
mod wire;
mod worker;

pub use backend::{Acknowledgement, QueueBackend};
pub use claim::{Claimed, Interrupt, Lease};
pub use client::{QueueClient, Ticked};
pub use config::QueueConfig;
pub use error::QueueError;
pub use id::JobId;
pub use job::{Enqueued, IdempotencyKey, Job, MAX_KEY_BYTES, MAX_PAYLOAD_BYTES, NewJob, UniqueKey};
pub use lane::Lane;
pub use name::{JobKind, LaneName, QueueName, ScopeKey, Tenant};
pub use outcome::{CapUse, Done, Outcome, Stop};
pub use policy::{Backoff, Policies, Policy, RetryPolicy};
pub use record::{Cancelled, DeadLetter, JobRecord, JobState, ListFilter, Page, Promoted};
pub use scope::{CapSpec, CapState, ScopeLimits, ScopeState, WINDOW_DAYS, Window, calendar_days};
pub use session::SessionHandle;
pub use stats::QueueStats;
pub use worker::WorkerConfig;
