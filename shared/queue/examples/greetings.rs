//! A kind of job, a worker for it and a client, against the Redis named by the first argument:
//!
//! ```text
//! redis-server --port 6390 --appendonly yes --maxmemory 256mb --maxmemory-policy noeviction --dir /tmp &
//! cargo run -p postrider-queue --example greetings redis://127.0.0.1:6390
//! ```

use std::{sync::Arc, time::Duration};

use apalis::prelude::*;
use postrider_queue::{
    Claimed, Done, Enqueued, Interrupt, Job, JobKind, NewJob, Outcome, Policy, QueueBackend, QueueClient, QueueConfig,
    QueueName, Stop, Tenant, WorkerConfig,
};
use serde::{Deserialize, Serialize};

/// Greets somebody.
#[derive(Serialize, Deserialize)]
struct Greet {
    name: String,
}

impl Job for Greet {
    const KIND: JobKind = JobKind::new("greet");
    const QUEUE: QueueName = QueueName::new("greetings");
}

/// One handler for all kinds: decode by kind, work, and stop when the lease is lost or somebody cancels.
async fn handle(job: Claimed) -> Outcome {
    let lease = job.lease.clone();
    let work = async {
        match job.kind.as_str() {
            "greet" => {
                let greet: Greet = serde_json::from_slice(&job.payload).map_err(Stop::fail)?;
                lease.progress(serde_json::json!({ "step": "clearing the throat" })).await.map_err(Stop::retry)?;
                Ok(Done::with(format!("Hello, {}!", greet.name)))
            }
            other => Err(Stop::fail(format!("no handler for {other}"))),
        }
    };
    tokio::select! {
        outcome = work => outcome,
        interrupt = lease.lost_or_cancelled() => Err(match interrupt {
            Interrupt::Cancelled => Stop::Cancelled,
            Interrupt::Lost => Stop::retry("the lease was lost"), // refused anyway: the job runs elsewhere
        }),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("usage: greetings REDIS_URL")?;
    let client = QueueClient::connect(QueueConfig::new(url)).await?;

    // What this process knows to run, and how it is retried.
    let policies = |kind: &str| (kind == Greet::KIND.as_str()).then(Policy::of::<Greet>);
    let backend = QueueBackend::new(&client, WorkerConfig::new(vec![Greet::QUEUE], 64), Arc::new(policies));
    let session = backend.handle();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let worker = WorkerBuilder::new("greeter").backend(backend).catch_panic().build(handle).run_until(async move {
        let _ = stopped.await;
        Ok::<(), std::io::Error>(())
    });

    let application = async {
        let tenant = Tenant::parse("acme")?;
        let greet = Greet { name: "world".into() };
        let enqueued = client.enqueue(NewJob::of(tenant, &greet)?).await?;
        let Enqueued::Created(id) = enqueued else {
            return Err(format!("not created: {enqueued:?}").into());
        };
        let record = client.wait(id, Duration::from_secs(10)).await?.ok_or("the job vanished")?;
        assert_eq!(record.output, Some(serde_json::json!("Hello, world!")), "{record:?}");
        let _ = stop.send(());
        Ok::<(), Box<dyn std::error::Error>>(())
    };
    let (worker, application) = tokio::join!(worker, application);
    // Handlers that outlive their grace would be dropped here; what they held goes back without an attempt.
    session.close(Duration::from_secs(5)).await?;
    worker?;
    application
}
