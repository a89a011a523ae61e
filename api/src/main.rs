//! The process `postrider-api`: reads its settings, connects, makes the first key, serves until told to stop.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use mimalloc::MiMalloc;
use postrider_api::app::{App, Parts};
use postrider_api::audit::tally;
use postrider_api::serve::{self, Bounds};
use postrider_api::{first_key, router};
use postrider_queue::QueueClient;
use postrider_shared::clock::Clock;
use postrider_shared::config::{ApiConfig, Settings};
use postrider_shared::database::Database;
use postrider_shared::handles;
use postrider_shared::objects::Objects;
use postrider_shared::signals;
use postrider_shared::telemetry;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A request makes some two hundred small allocations, and another thread often frees them: glibc's allocator took a quarter of
/// the processor time of `POST /v1/jobs`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// How often the figures of `/metrics` are condensed.
const UPKEEP: Duration = Duration::from_secs(5);

/// How long work without a waiting client may finish at the end.
const LAST_WORK: Duration = Duration::from_secs(5);

/// Postrider's HTTP API. Settings come from the environment, or a TOML file that `POSTRIDER_CONFIG` names;
/// deploy/env.example lists them.
#[derive(Parser)]
#[command(version)]
struct Arguments {}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments {} = Arguments::parse();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // On stderr, because the log may not have started yet.
            eprintln!("postrider-api: {}", telemetry::chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let settings = Settings::load();
    let mut config: ApiConfig = settings.read()?;
    // The API serves its figures at its own address.
    config.telemetry.metrics_bind = None;
    let (telemetry, _) = telemetry::start(&config.telemetry, "api")?;
    settings.warn_of_misspelt();
    if let Err(error) = handles::raise() {
        tracing::warn!(%error, "the limit of file handles stays as it is");
    }
    let stopping = CancellationToken::new();
    let app = App::new(Parts {
        quotas: config.limits,
        database: Database::connect(&config.database).await?,
        queue: QueueClient::connect_when_loaded(config.redis.queue()).await?,
        objects: Objects::open(&config.objects)?,
        payload_limit: config.payload_limit,
        traffic: config.traffic,
        registration: config.registration,
        issuers: config.issuers,
        egress: config.egress,
        clock: Clock::system(),
        keys: config.keys.keys,
        consent: config.consent,
        metrics: Some(telemetry.metrics.clone()),
        stopping: stopping.clone(),
    });
    app.queue().limit_depth(&config.depth.limits).await?;
    let routes = router::router(app.clone())?;
    first_key::create(&app, |key| first_key::show(key, config.platform_key_file.as_deref())).await?;
    let told_to_stop = serve::stop_signal(stopping.clone())?;
    signals::second_ends_at_once()?;
    let listener = TcpListener::bind(config.bind).await;
    let listener = listener.map_err(|error| format!("BIND: {} cannot be listened at: {error}", config.bind))?;
    let mut beside = JoinSet::new();
    let metrics = telemetry.metrics.clone();
    beside.spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            metrics.run_upkeep();
        }
    });
    beside.spawn(told_to_stop);
    beside.spawn(tally::keep(app.clone()));
    tracing::info!(address = %listener.local_addr()?, "ready");
    serve::until_stopped(listener, routes, Bounds::of(app.limits().config()), stopping).await;
    // What a client that hung up had begun.
    app.tasks().close();
    if tokio::time::timeout(LAST_WORK, app.tasks().wait()).await.is_err() {
        tracing::warn!(tasks = app.tasks().len(), "unfinished at the end");
    }
    tally::close(&app).await;
    tracing::info!("stopped");
    Ok(())
}
