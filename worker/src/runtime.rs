//! One worker process: an apalis worker over our queue, its maintenance, and an end that loses nothing.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use apalis::prelude::{Monitor, MonitorError, WorkerBuilder};
use futures::FutureExt as _;
use futures::future::FusedFuture as _;
use postrider_queue::{QueueBackend, QueueClient, QueueName, SessionHandle, WorkerConfig};
use tokio::sync::watch;

use crate::context::Services;
use crate::dispatch::{Dispatch, STUBBORN};
use crate::registry::Registry;
use crate::watching::{self, WatchConfig};

/// How often due jobs are promoted and dead sessions looked for. Every worker does it; none needs another.
const TICK: Duration = Duration::from_millis(200);
/// How long the queue may take to accept the last outcomes.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// What a worker process takes and how it stops.
#[derive(Debug, Clone)]
pub struct RuntimeConfig {
    pub queues: Vec<QueueName>,
    pub concurrency: usize,
    /// What running jobs get after the stop signal before they are returned.
    pub grace: Duration,
    pub watch: WatchConfig,
}

/// Why a worker ends.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    #[error("the jobs' runtime failed")]
    Monitor(#[from] MonitorError),
    /// A task of it failed, which the log tells; what it held is rescued.
    #[error("the session with the queue ended by itself: the worker is to be started again")]
    SessionEnded,
}

/// Takes jobs until `stop` ends; then claims nothing, gives what runs its grace, and returns the rest to the queue
/// without an attempt.
pub async fn run(
    config: RuntimeConfig,
    registry: Arc<Registry>,
    services: Arc<Services>,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), RuntimeError> {
    let queue = services.queue.clone();
    let session: Arc<Mutex<Option<SessionHandle>>> = Arc::default();
    let dispatch = Dispatch::new(Arc::clone(&registry), Arc::clone(&services));
    let (stop_watching, watching_stops) = watch::channel(false);
    let watching = watching::keep(services, config.watch, watching_stops);
    let monitor = {
        let (queue, session, config, runs) = (queue.clone(), Arc::clone(&session), config.clone(), dispatch.clone());
        Monitor::new().register(move |_restarts| {
            let policies = Arc::clone(&registry);
            let worker = WorkerConfig::new(config.queues.clone(), config.concurrency).take_suspects();
            let backend = QueueBackend::new(&queue, worker, policies);
            *session.lock().unwrap_or_else(PoisonError::into_inner) = Some(backend.handle());
            WorkerBuilder::new("postrider-worker").backend(backend).build(runs.clone())
        })
    };
    let control = monitor.context();
    let ending = async {
        stop.await;
        // Another process may watch the mailboxes while the last jobs end here.
        stop_watching.send_replace(true);
        let session = session.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(session) = session {
            end(&session, &dispatch, config.grace).await;
        }
        if let Err(error) = control.shutdown() {
            tracing::warn!(%error, "the worker did not take the stop");
        }
    };
    let working = async {
        let mut ending = pin!(ending.fuse());
        let ended = tokio::select! {
            ended = monitor.run() => ended.map_err(RuntimeError::from),
            () = maintain(&queue) => Ok(()),
            () = async { ending.as_mut().await; tokio::time::sleep(CLOSE_LIMIT).await } => Ok(()),
        };
        let told = *stop_watching.borrow();
        if told && !ending.is_terminated() {
            ending.await; // the worker ends with its session, whose goodbye may still be under way
        }
        let ended = if told { ended } else { ended.and(Err(RuntimeError::SessionEnded)) };
        stop_watching.send_replace(true);
        ended
    };
    tokio::join!(working, watching).0
}

async fn end(session: &SessionHandle, dispatch: &Dispatch, grace: Duration) {
    session.stop_claiming();
    tracing::info!(
        running = session.running(),
        grace_seconds = grace.as_secs(),
        "stopping; a second signal ends this process at once"
    );
    let _ = tokio::time::timeout(grace, idle(session)).await;
    let returned = session.running();
    // What is given back must not go on here. A run that ignores this ends the process, and the rescue takes its job.
    dispatch.cut();
    let _ = tokio::time::timeout(STUBBORN + CLOSE_LIMIT, idle(session)).await;
    match session.close(CLOSE_LIMIT).await {
        Ok(()) => tracing::info!(returned, "stopped"),
        Err(error) => tracing::warn!(%error, returned, "stopped without a goodbye; the rest is rescued"),
    }
}

async fn idle(session: &SessionHandle) {
    while session.running() > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn maintain(queue: &QueueClient) {
    let mut failing = false;
    let mut upkeep = queue.upkeep();
    loop {
        let more = match upkeep.step().await {
            Ok(ticked) => {
                if std::mem::take(&mut failing) {
                    tracing::info!("queue maintenance works again");
                }
                ticked.more
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "queue maintenance fails");
                }
                false
            }
        };
        if !more {
            tokio::time::sleep(TICK).await;
        }
    }
}
