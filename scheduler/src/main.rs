//! `postrider-scheduler`: reads its settings, connects, and keeps its duties until it is told to stop.

use std::{error::Error, process::ExitCode};

use clap::Parser;
use postrider_queue::QueueClient;
use postrider_scheduler::roster::Roster;
use postrider_shared::{
    clock::Clock,
    config::{SchedulerConfig, Settings},
    database::Database,
    objects::Objects,
    payloads::Payloads,
    signals,
    stores::Stores,
    telemetry,
};
use tokio_util::sync::CancellationToken;

/// Postrider's scheduler. Settings come from the environment, or a TOML file that `POSTRIDER_CONFIG` names;
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
            let error = telemetry::chain(error.as_ref());
            tracing::error!(error, "the scheduler ends");
            telemetry::flush();
            // Before logging is set up there is nobody else to tell.
            eprintln!("postrider-scheduler: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let settings = Settings::load();
    let config: SchedulerConfig = settings.read()?;
    let (_telemetry, figures) = telemetry::start(&config.telemetry, "scheduler")?;
    settings.warn_of_misspelt();
    let clock = Clock::system().bounded();
    let queue = QueueClient::connect_when_loaded(config.redis.queue()).await?;
    let database = Database::connect(&config.database).await?;
    let stores = Stores::new(&database, &clock, None);
    let payloads = Payloads::new(database, Objects::open(&config.objects)?, clock.clone());

    let stop = CancellationToken::new();
    let told = signals::told_to_stop()?;
    signals::second_ends_at_once()?;
    let told = async {
        let name = told.await;
        tracing::info!(signal = name, "stopping; a second signal ends this process at once");
        stop.cancel();
    };
    let serve_metrics = async {
        match figures {
            Some(serving) => serving.await,
            None => std::future::pending().await,
        }
    };

    let (tick, limits, issuers, audit_retention) = (config.tick, config.limits, config.issuers, config.audit_retention);
    let roster = Roster { stores, payloads, queue, clock, tick, limits, issuers, audit_retention };
    let metrics = config.telemetry.metrics_bind.map(|address| address.to_string());
    tracing::info!(tick_seconds = config.tick.as_secs_f64(), metrics, "ready");
    tokio::select! {
        ((), ()) = async { tokio::join!(roster.keep(&stop), told) } => {}
        never = serve_metrics => match never {},
    }
    tracing::info!("stopped");
    Ok(())
}
