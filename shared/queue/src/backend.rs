//! The queue as a backend of apalis workers.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use apalis_core::{
    backend::{Backend, BackendConfig},
    error::BoxDynError,
    task::{ExecutionContext, Task},
    worker::{
        context::WorkerContext,
        ext::ack::{Acknowledge, AcknowledgeLayer},
    },
};

use crate::{
    claim::Claimed, client::QueueClient, error::QueueError, name::QueueName, outcome::Done,
    policy::Policies,
};

/// How a worker process takes jobs.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// The queues it serves.
    pub queues: Vec<QueueName>,
    /// Jobs it holds at the same time, at most.
    pub concurrency: usize,
    /// How long its session lives without a sign of life; default 6 s.
    pub session_ttl: Duration,
}

impl WorkerConfig {
    /// Serves these queues with the default session.
    pub fn new(queues: Vec<QueueName>, concurrency: usize) -> Self {
        Self {
            queues,
            concurrency,
            session_ttl: Duration::from_secs(6),
        }
    }
}

/// A source of jobs for `apalis::WorkerBuilder`, with acknowledgement built in.
///
/// It yields [`Task`]s of [`Claimed`]. Handlers return [`Done`] or an error; an error that is a [`Stop`](crate::Stop) is taken by its word, any
/// other (a panic caught by a layer, a time-out) is a retry.
#[derive(Debug)]
pub struct QueueBackend {
    acknowledgement: Acknowledgement,
    config: WorkerConfig,
}

/// Controls the session of a backend from outside of the worker.
#[derive(Debug, Clone)]
pub struct SessionHandle {}

#[expect(
    clippy::unused_self,
    clippy::unused_async,
    reason = "signatures first; bodies follow"
)]
impl SessionHandle {
    /// Takes no more jobs. What is held goes on.
    pub fn stop_claiming(&self) {
        unimplemented!()
    }

    /// Jobs handed to handlers and not yet acknowledged.
    pub fn running(&self) -> usize {
        unimplemented!()
    }

    /// Ends the session: outcomes are delivered, whatever is still held goes back to its lane without an attempt, its leases are
    /// lost. Gives up after the time and leaves the rest to the rescue.
    pub async fn close(&self, _at_most: Duration) -> Result<(), QueueError> {
        unimplemented!()
    }
}

impl QueueBackend {
    /// A backend with a session of its own. Must be called in a tokio runtime.
    pub fn new(_client: &QueueClient, config: WorkerConfig, _policies: Arc<dyn Policies>) -> Self {
        Self {
            acknowledgement: Acknowledgement {},
            config,
        }
    }

    /// For stopping it from outside.
    pub fn handle(&self) -> SessionHandle {
        SessionHandle {}
    }
}

/// Records outcomes; installed by the backend itself, outside of all layers of the worker.
#[derive(Debug, Clone)]
pub struct Acknowledgement {}

impl Acknowledge<Done> for Acknowledgement {
    type Error = QueueError;
    type Future = std::future::Ready<Result<(), QueueError>>;

    fn ack(
        &mut self,
        _result: &Result<Done, BoxDynError>,
        _ctx: &ExecutionContext,
    ) -> Self::Future {
        std::future::ready(Ok(()))
    }
}

impl Backend for QueueBackend {
    type Task = Task<Claimed>;
    type Error = QueueError;

    fn poll_ready(
        &mut self,
        _cx: &mut Context<'_>,
        _worker: &WorkerContext,
    ) -> Poll<Result<(), QueueError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        _cx: &mut Context<'_>,
        _worker: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, QueueError>>> {
        Poll::Pending
    }

    fn poll_close(
        &mut self,
        _cx: &mut Context<'_>,
        _worker: &WorkerContext,
    ) -> Poll<Result<(), QueueError>> {
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for QueueBackend {
    type Args = Claimed;
    type Id = String;
    type Kind = apalis_core::backend::finalize::Ephemeral;
    type Config = WorkerConfig;
    type Layer = AcknowledgeLayer<Acknowledgement>;

    fn config(&self) -> &WorkerConfig {
        &self.config
    }

    fn middleware(&mut self, _worker: &mut WorkerContext) -> Self::Layer {
        AcknowledgeLayer::new(self.acknowledgement.clone())
    }
}
