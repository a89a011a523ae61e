//! A worker process of a test.

use std::{any::Any, time::Duration};

use postrider_queue::{Claimed, Outcome, QueueClient, QueueConfig};

use crate::server::{config, work};

/// Of the sessions of these processes.
pub(crate) const TTL: Duration = Duration::from_secs(1);

/// A runtime of its own, which can be killed without any good-bye.
pub(crate) struct Process {
    runtime: Option<tokio::runtime::Runtime>,
    held: Box<dyn Any + Send>,
}

impl Process {
    /// One that runs `handler` for every job.
    pub(crate) async fn start<F, Fut>(url: String, concurrency: usize, handler: F) -> Self
    where
        F: Fn(Claimed) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Outcome> + Send + 'static,
    {
        Self::with(url, move |client| work(&client, config(concurrency).session_ttl(TTL), handler)).await
    }

    /// One that does whatever `start` does.
    pub(crate) async fn with<T: Send + 'static>(
        url: String,
        start: impl FnOnce(QueueClient) -> T + Send + 'static,
    ) -> Self {
        Self::of(QueueConfig::new(url).shards(1), start).await
    }

    /// The same with any queue.
    pub(crate) async fn of<T: Send + 'static>(
        queue: QueueConfig,
        start: impl FnOnce(QueueClient) -> T + Send + 'static,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (sender, held) = tokio::sync::oneshot::channel();
        runtime.spawn(async move {
            let client = QueueClient::connect(queue).await.unwrap();
            let _ = sender.send(start(client));
        });
        Self { held: Box::new(held.await.ok().unwrap()), runtime: Some(runtime) }
    }

    pub(crate) fn kill(mut self) {
        // A worker that is dropped says good-bye, and the runtime may still be in the middle of hearing it.
        std::mem::forget(std::mem::replace(&mut self.held, Box::new(())));
        self.runtime.take().unwrap().shutdown_background();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
