//! The queue as a backend of apalis workers.

use std::{
    collections::VecDeque,
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll, ready as ready_or_return},
    time::Duration,
};

use apalis_core::{
    backend::{Backend, BackendConfig, finalize::Ephemeral},
    error::BoxDynError,
    task::{ExecutionContext, Task, builder::TaskBuilder, task_id::TaskId},
    worker::{
        context::WorkerContext,
        ext::ack::{Acknowledge, AcknowledgeLayer},
    },
};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::sync::{mpsc, oneshot};

use crate::{
    claim::Claimed,
    client::QueueClient,
    error::QueueError,
    outcome::{CapUse, Done, Stop},
    policy::Policies,
    session::{Command, Run, Session, SessionHandle, Settling},
    worker::WorkerConfig,
};

/// A beginning that could not be noted is noted again at this distance.
const BEGIN_AGAIN: Duration = Duration::from_millis(50);

/// A source of jobs for `apalis::WorkerBuilder`, with acknowledgement built in.
///
/// It yields tasks of [`Claimed`]. Handlers return [`Done`] or an error: a [`Stop`] is taken by its word, any other error (a panic
/// caught by a layer, a time-out) is a retry whose cap units stay charged. Outcomes are recorded outside of all layers of the worker, in groups, and
/// without making the handler's slot wait.
///
/// It never ends its worker: not when Redis goes away, not for a job that cannot be read, not for an outcome that came too
/// late. Dropping it gives back what it holds; to wait for that, call [`SessionHandle::close`].
#[derive(Debug)]
pub struct QueueBackend {
    session: Arc<Session>,
    claims: mpsc::UnboundedReceiver<Vec<Claimed>>,
    ready: VecDeque<Claimed>,
    /// Jobs that saw a crash wait here until their beginning is written down.
    beginning: FuturesUnordered<BoxFuture<'static, Claimed>>,
    closing: Option<oneshot::Receiver<()>>,
}

impl QueueBackend {
    /// A backend with a session of its own, which opens at once. Must be called in a tokio runtime.
    pub fn new(client: &QueueClient, config: WorkerConfig, policies: Arc<dyn Policies>) -> Self {
        let (session, claims) = Session::start(client, config, policies);
        Self { session, claims, ready: VecDeque::new(), beginning: FuturesUnordered::new(), closing: None }
    }

    /// For stopping it from outside.
    pub fn handle(&self) -> SessionHandle {
        SessionHandle(Arc::clone(&self.session))
    }

    fn task(&self, claimed: Claimed) -> Task<Claimed> {
        let policy = self.session.policies.of(claimed.kind.as_str());
        // apalis wants ids unique among running tasks, and a job may be claimed again while a lost run of it still ends.
        let mut task = TaskBuilder::new(())
            .task_id(TaskId::from(format!("{}.{}", claimed.id, claimed.epoch)))
            .attempt(usize::try_from(claimed.attempt.saturating_sub(1)).unwrap_or_default())
            .queue(claimed.queue.as_str().into())
            .data(claimed.lease.clone());
        if let Some(policy) = policy {
            task = task.data(Run::of(&claimed, policy));
        }
        task.map_args(|()| claimed).build()
    }
}

impl Drop for QueueBackend {
    fn drop(&mut self) {
        let _ = self.session.commands.send(Command::Finish);
    }
}

impl Backend for QueueBackend {
    type Task = Task<Claimed>;
    type Error = QueueError;

    fn poll_ready(&mut self, _cx: &mut Context<'_>, _worker: &WorkerContext) -> Poll<Result<(), QueueError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        worker: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, QueueError>>> {
        loop {
            if let Poll::Ready(Some(claimed)) = self.beginning.poll_next_unpin(cx) {
                return Poll::Ready(Some(Ok(self.task(claimed))));
            }
            if let Some(claimed) = self.ready.pop_front() {
                if claimed.crashes > 0 && !claimed.is_suspect() {
                    self.beginning.push(begin(claimed).boxed());
                    continue;
                }
                return Poll::Ready(Some(Ok(self.task(claimed))));
            }
            let Some(batch) = ready_or_return!(self.claims.poll_recv(cx)) else {
                // The session was closed, or a task of it failed. A worker that nobody stops would wait on without jobs.
                let _ = worker.stop(); // an error means that it has not begun
                return Poll::Ready(None);
            };
            self.ready.extend(batch);
        }
    }

    /// Gives back what was not started, and ends when every outcome has been delivered.
    fn poll_close(&mut self, cx: &mut Context<'_>, _worker: &WorkerContext) -> Poll<Result<(), QueueError>> {
        let session = &self.session;
        let closing = self.closing.get_or_insert_with(|| {
            let (flushed, done) = oneshot::channel();
            let _ = session.commands.send(Command::StopClaiming);
            self.claims.close();
            self.ready.clear();
            self.beginning.clear();
            while self.claims.try_recv().is_ok() {}
            let _ = session.commands.send(Command::Flush(flushed));
            done
        });
        let _ = ready_or_return!(closing.poll_unpin(cx)); // an error means that the session is closed already
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for QueueBackend {
    type Args = Claimed;
    type Id = String;
    type Kind = Ephemeral; // it yields decoded tasks itself
    type Config = WorkerConfig;
    type Layer = AcknowledgeLayer<Acknowledgement>;

    fn config(&self) -> &WorkerConfig {
        &self.session.config
    }

    fn middleware(&mut self, _worker: &mut WorkerContext) -> Self::Layer {
        AcknowledgeLayer::new(Acknowledgement)
    }
}

/// Records outcomes; installed by the backend itself, outside of all layers of the worker.
#[derive(Debug, Clone, Copy)]
pub struct Acknowledgement;

impl Acknowledge<Done> for Acknowledgement {
    type Error = QueueError;
    type Future = Ready<Result<(), QueueError>>;

    fn ack(&mut self, result: &Result<Done, BoxDynError>, ctx: &ExecutionContext) -> Self::Future {
        if let (Some(lease), Some(run)) = (ctx.data().get::<crate::Lease>(), ctx.data().get::<Run>()) {
            let outcome = match result {
                Ok(done) => Ok(done.clone()),
                Err(error) => Err(error.downcast_ref::<Stop>().cloned().unwrap_or_else(|| interrupted(error))),
            };
            lease.0.settle(|id, epoch, token| Settling::of(run, outcome, id, epoch, token));
        }
        ready(Ok(()))
    }
}

/// The handler did not end by itself, so it may have used its cap units.
fn interrupted(error: &BoxDynError) -> Stop {
    Stop::retry(error).with_cap(CapUse::Unknown)
}

/// After a first crash the next is held against a job only if its handler had begun, so that has to be on record before.
async fn begin(claimed: Claimed) -> Claimed {
    while !claimed.lease.lost()
        && let Err(error) = claimed.lease.0.begin().await
    {
        tracing::debug!(job = %claimed.id, %error, "the beginning of a run was not noted yet");
        tokio::time::sleep(BEGIN_AGAIN).await;
    }
    claimed
}
