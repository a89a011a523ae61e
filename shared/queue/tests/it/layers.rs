//! The layers that apalis brings work with the queue as they come.

use std::{sync::Arc, time::Duration};

use apalis::{
    layers::{WorkerBuilderExt, prometheus::PrometheusLayer, sentry::SentryLayer},
    prelude::WorkerBuilder,
};
use metrics_exporter_prometheus::PrometheusBuilder;
use postrider_queue::{Claimed, Done, Enqueued, JobState, NewJob, Outcome, QueueBackend, Stop};

use crate::server::{Server, config, job, policy, until, until_state};

async fn handle(claimed: Claimed) -> Outcome {
    match &claimed.payload[..] {
        b"\"hang\"" => std::future::pending().await,
        b"\"panic\"" => panic!("at the disco"),
        b"\"fail\"" => Err(Stop::fail("no such address")),
        _ => Ok(Done::with("well")),
    }
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the test holds the handle and ends it")]
async fn tracing_sentry_prometheus_timeout_and_panics() {
    let server = Server::start().await;
    let client = server.client().await;
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    metrics::set_global_recorder(recorder).unwrap();
    let reports = sentry_core::test::TestTransport::new();
    let mut options = sentry_core::ClientOptions::new().dsn("https://public@errors.example/1");
    options.transport = Some(Arc::new(Arc::clone(&reports)));
    sentry_core::Hub::main().bind_client(Some(Arc::new(options.into())));

    let backend = QueueBackend::new(&client, config(4), Arc::new(policy));
    let session = backend.handle();
    let worker = WorkerBuilder::new("layered")
        .backend(backend)
        .enable_tracing()
        .layer(SentryLayer::new())
        .layer(PrometheusLayer::default())
        .catch_panic()
        .timeout(Duration::from_millis(200))
        .build(handle);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(worker.run_until(async move {
        let _ = stopped.await;
        Ok::<(), std::io::Error>(())
    }));

    let mut ids = Vec::new();
    for word in ["well", "hang", "panic", "fail"] {
        let job = NewJob { payload: format!("\"{word}\"").into_bytes(), max_attempts: 1, ..job("acme") };
        let Enqueued::Created(id) = client.enqueue(job).await.unwrap() else { panic!("not created") };
        ids.push(id);
    }
    let well = until_state(&client, ids[0], JobState::Completed).await;
    assert_eq!(well.output.unwrap(), "well");
    for (id, told) in [(ids[1], "timed out"), (ids[2], "at the disco"), (ids[3], "no such address")] {
        let dead = until_state(&client, id, JobState::Dead).await;
        let error = dead.error.unwrap();
        assert!(error.contains(told), "{error}");
    }
    let text = metrics.render();
    let counted = |status: &str| {
        let of = |line: &&str| line.starts_with("tasks_total") && line.contains(&format!("status=\"{status}\""));
        text.lines().find(of).and_then(|line| line.rsplit(' ').next()).map(str::to_owned)
    };
    assert_eq!((counted("Ok").as_deref(), counted("Err").as_deref()), (Some("1"), Some("3")), "{text}");
    for ours in ["postrider_queue_claims_total 4", "postrider_queue_script_seconds", "postrider_queue_outcomes_total"] {
        assert!(text.contains(ours), "{ours} is not in\n{text}");
    }
    until("errors are reported", || async { (!reports.fetch_and_clear_events().is_empty()).then_some(()) }).await;

    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
    session.close(Duration::from_secs(5)).await.unwrap();
}
