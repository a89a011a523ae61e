//! A durable job queue on Redis: fair lanes, scopes with caps, leases with fencing, and nothing lost.
//!
//! The engine knows no business. A job has a [`Tenant`], a [`JobKind`], a [`QueueName`], a [`Lane`] and a JSON payload; all
//! jobs of a tenant are in one shard. [`QueueClient`] enqueues, reads and controls. [`QueueBackend`] feeds an apalis worker and
//! takes back the outcomes. Whoever calls [`QueueClient::tick`] (every backend does) keeps the queue in order.
//!
//! A job's way: [`QueueClient::enqueue`] writes its record and puts its id into a lane; a backend's session claims it, under a
//! [`Lease`]; the handler returns an [`Outcome`], which a script applies, together with follow-up jobs; its record is kept
//! for the time its kind says. If the process dies in between, another one takes the job over within seconds, and the
//! outcome of the first is refused.
//!
//! ```no_run
//! use std::{sync::Arc, time::Duration};
//!
//! use apalis::prelude::WorkerBuilder;
//! use postrider_queue::{
//!     Claimed, Done, Job, JobKind, NewJob, Outcome, Policy, QueueBackend, QueueClient, QueueConfig, QueueName, Stop, Tenant,
//!     WorkerConfig,
//! };
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Greet {
//!     name: String,
//! }
//!
//! impl Job for Greet {
//!     const KIND: JobKind = JobKind::new("greet");
//!     const QUEUE: QueueName = QueueName::new("greetings");
//! }
//!
//! async fn handle(job: Claimed) -> Outcome {
//!     let greet: Greet = serde_json::from_slice(&job.payload).map_err(Stop::fail)?;
//!     Ok(Done::with(format!("Hello, {}!", greet.name)))
//! }
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = QueueClient::connect(QueueConfig::new("redis://127.0.0.1")).await?;
//! let greet = Greet { name: "world".into() };
//! client.enqueue(NewJob::of(Tenant::parse("acme")?, &greet)?).await?;
//!
//! let policies = |kind: &str| (kind == Greet::KIND.as_str()).then(Policy::of::<Greet>);
//! let backend = QueueBackend::new(&client, WorkerConfig::new(vec![Greet::QUEUE], 64), Arc::new(policies));
//! let session = backend.handle();
//! WorkerBuilder::new("greeter").backend(backend).build(handle).run_until(tokio::signal::ctrl_c()).await?;
//! session.close(Duration::from_secs(5)).await?; // what is still held goes back to its lane
//! # Ok(())
//! # }
//! ```
//!
//! A job may kill the process that runs it. A crash counts against the jobs whose handlers had begun; who saw two is a suspect
//! and goes only to workers that [can run it apart](WorkerConfig::take_suspects), in a child process. Its death there is the
//! handler's to tell, with [`Stop::Fail`]; the queue itself buries nobody for a crash, so innocent neighbours are safe.
//!
//! What is promised: at least one run per job, one accepted outcome per run, caps never exceeded whatever crashes. A job that
//! may run twice must be able to: see [`Claimed::epoch`] and the caller's own records.
//!
//! # Versions
//!
//! The data in Redis has a protocol version. A program serves that of the version before as well, so both work side by side during
//! an upgrade, and refuses newer data. What only the newer one finds is used in data that began with it, and in older data once
//! [`QueueClient::raise_protocol`] was called, when no older program runs any more.
//!
//! # Layers and metrics
//!
//! The layers of apalis (tracing, sentry, prometheus, timeout, panics) go around a handler as they come. What they know of a job
//! is its [`Claimed`] type, its task id (`JOB.EPOCH`) and attempt; a layer that ends a run, such as a timeout, ends it with a
//! retry whose cap units count as used, because nobody knows what the handler had done.
//!
//! The crate itself counts with the `metrics` facade, in whatever recorder the process installs:
//!
//! * `postrider_queue_claims_total`: jobs handed out;
//! * `postrider_queue_outcomes_total{outcome}`: runs that ended, and `postrider_queue_stale_outcomes_total`: those refused,
//!   because the lease was lost;
//! * `postrider_queue_leases_lost_total`: leases of running jobs that were lost;
//! * `postrider_queue_orphans_total`: runs whose end Redis had confirmed and lost (a replica took over), and that go back;
//! * `postrider_queue_resubmitted_total`: jobs that a new master did not know, and that were brought again;
//! * `postrider_queue_script_seconds{script, answered}`: a call of a script, there and back.
//!
//! Depths, ages and parked lanes are not counted on the way but read: [`QueueClient::queues`].
#![deny(missing_docs)]

mod address;
mod backend;
mod batch;
#[cfg(test)]
mod churn;
mod claim;
mod client;
mod config;
mod error;
mod hub;
mod id;
mod job;
mod keys;
mod lane;
#[cfg(test)]
mod leaping;
mod link;
#[cfg(test)]
mod model;
mod name;
mod outcome;
mod policy;
mod priority;
mod rates;
mod recipient;
mod record;
mod scope;
mod script;
mod session;
mod settings;
mod stats;
mod wire;
mod worker;

pub use backend::{Acknowledgement, QueueBackend};
pub use batch::{Batch, BatchId};
pub use claim::{Claimed, Interrupt, Lease};
pub use client::{
    DepthLimits, ForgetPlace, Forgotten, Moved, QueueClient, ServerState, Ticked, Unfinished, Upkeep, Walk,
};
pub use config::QueueConfig;
pub use error::QueueError;
pub use id::JobId;
pub use job::{Enqueued, IdempotencyKey, Job, Links, MAX_KEY_BYTES, MAX_PAYLOAD_BYTES, NewJob, UniqueFor, UniqueKey};
pub use lane::Lane;
pub use name::{JobKind, LaneName, QueueName, ScopeKey, Tenant};
pub use outcome::{CapUse, Done, Outcome, Stop};
pub use policy::{Backoff, Policies, Policy, RetryPolicy};
pub use priority::Priority;
pub use rates::{Allowance, Draw, LimitState, RateSubject};
pub use recipient::RecipientKey;
pub use record::{Attempt, Cancelled, DeadLetter, JobRecord, JobState, ListFilter, LogLine, Page, Promoted};
pub use scope::{
    CapSpec, CapState, CapUnit, CapWindow, Closing, Defined, RampStep, RateLimit, Restored, ScopeLimits, ScopeState,
    WINDOW_DAYS, Window, calendar_days,
};
pub use script::script_name;
pub use session::SessionHandle;
pub use stats::QueueStats;
pub use worker::WorkerConfig;
