//! `postrider-worker`: reads its settings, connects, takes jobs until it is told to stop.

use std::error::Error;
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use postrider_queue::{QueueClient, QueueName};
use postrider_shared::clock::Clock;
use postrider_shared::config::{Settings, WorkerConfig};
use postrider_shared::database::Database;
use postrider_shared::handles;
use postrider_shared::jobs::Queue;
use postrider_shared::objects::Objects;
use postrider_shared::signals;
use postrider_shared::stores::Stores;
use postrider_shared::telemetry;
use postrider_worker::context::Services;
use postrider_worker::documents;
use postrider_worker::jobs;
use postrider_worker::links::Links;
use postrider_worker::providers::gmail::{Gmail, GmailSettings};
use postrider_worker::providers::google::Google;
use postrider_worker::providers::llm::{Llm, LlmSettings};
use postrider_worker::providers::oidc::Oidc;
use postrider_worker::providers::transport::{Dialer, Limits, Trust};
use postrider_worker::quarantine;
use postrider_worker::run_ledger::RunLedger;
use postrider_worker::runtime::{self, RuntimeConfig};
use postrider_worker::system_mail::SystemMail;
use postrider_worker::watching::WatchConfig;
use tokio::task::JoinSet;

/// Questions to the language model per minute and process; the provider's own limits come on top.
const LLM_REQUESTS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(600).expect("600 is not zero");

/// Postrider's worker. Settings come from the environment, or a TOML file that `POSTRIDER_CONFIG` names;
/// deploy/env.example lists them.
#[derive(Parser)]
#[command(version)]
struct Arguments {}

fn main() -> ExitCode {
    if documents::is_child() {
        return documents::serve();
    }
    let is_child = quarantine::is_child();
    if !is_child {
        let Arguments {} = Arguments::parse();
    }
    work(is_child)
}

#[tokio::main]
async fn work(is_child: bool) -> ExitCode {
    match run(is_child).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let error = telemetry::chain(error.as_ref());
            tracing::error!(error, "the worker ends");
            telemetry::flush();
            // Before logging is set up there is nobody else to tell.
            eprintln!("postrider-worker: {error}");
            ExitCode::FAILURE
        }
    }
}

/// As a worker, or as the child of one that runs a single suspect.
async fn run(is_child: bool) -> Result<(), Box<dyn Error>> {
    let settings = Settings::load();
    let mut config: WorkerConfig = settings.read()?;
    if is_child {
        config.telemetry.metrics_bind = None; // the parent has it
    }
    let (_telemetry, figures) = telemetry::start(&config.telemetry, "worker")?;
    if !is_child {
        settings.warn_of_misspelt();
    }
    if let Err(error) = handles::raise() {
        tracing::warn!(%error, "the limit of file handles stays as it is");
    }
    let registry = Arc::new(jobs::registry()?);
    let clock = Clock::system();
    let queue = QueueClient::connect_when_loaded(config.redis.queue()).await?;
    let database = Database::connect(&config.database).await?;
    let objects = Objects::open(&config.objects)?;
    let trust = match &config.outgoing.extra_ca_certs {
        Some(file) => Trust::with_authorities(file)?,
        None => Trust::default(),
    };
    let llm = llm(&config, trust.clone(), clock.clone())?;
    let limits = Limits::new(config.outgoing.mail_timeout, config.outgoing.smtp_answer_timeout);
    let stores = Stores::new(&database, &clock, Some(config.keys.keys.clone()));
    let scanner = documents::Scanner::new(config.documents.scanner.clone());
    let run_ledger = RunLedger::open(config.run_ledger.as_deref(), clock.clone())?;
    let services = Services::new(queue, stores, objects, llm, clock.clone())
        .with_limits(config.limits)
        .with_mailbox_connections(config.outgoing.mailbox_connections);
    let services = match &config.google {
        Some(google) => {
            let gmail = GmailSettings {
                base_url: google.gmail_url.clone(),
                timeout: config.outgoing.mail_timeout,
                trust: trust.clone(),
            };
            let gmail = Gmail::new(&gmail, clock.clone())?;
            services.with_google(Google::new(google.clone(), &trust, clock)?).with_gmail(gmail)
        }
        None => services,
    };
    let services = services.with_oidc(Oidc::new(config.issuers.clone(), config.outgoing.egress.clone(), &trust)?);
    let links = config.public_url.clone().map(|url| Links::new(config.keys.keys.clone(), url));
    let dialer = Dialer { egress: config.outgoing.egress.clone(), trust, limits };
    let system_mail = config.system_mail.clone().map(|mail| SystemMail::new(mail, dialer.clone()));
    let services = Arc::new(
        services
            .with_dialer(dialer)
            .with_system_mail(system_mail)
            .with_run_ledger(run_ledger)
            .with_links(links)
            .with_files(scanner, config.documents.sees_pictures),
    );
    if is_child {
        return Ok(quarantine::serve(registry, services).await?);
    }
    let runtime = RuntimeConfig {
        queues: config.queues.iter().map(|queue| queue.name()).collect(),
        concurrency: config.concurrency,
        grace: config.grace,
        watch: watch(&config),
    };
    let told = signals::told_to_stop()?;
    signals::second_ends_at_once()?;
    let stop = async move {
        told.await;
    };
    let metrics_bind = config.telemetry.metrics_bind.map(|address| address.to_string());
    let queues: Vec<&str> = runtime.queues.iter().map(QueueName::as_str).collect();
    tracing::info!(queues = queues.join(","), concurrency = runtime.concurrency, metrics = metrics_bind, "ready");
    let serve_metrics = async {
        match figures {
            Some(serving) => serving.await,
            None => std::future::pending().await,
        }
    };
    // In a task of its own: the main thread is none of the runtime's, and each job would change threads to it and back.
    let mut working = JoinSet::new();
    working.spawn(runtime::run(runtime, registry, services, stop));
    tokio::select! {
        Some(ended) = working.join_next() => Ok(ended??),
        never = serve_metrics => match never {},
    }
}

/// Only who reads mail watches for it.
fn watch(config: &WorkerConfig) -> WatchConfig {
    let reads = config.queues.contains(&Queue::Mail);
    WatchConfig {
        capacity: if reads { config.outgoing.idle_connections } else { 0 },
        renewal: config.outgoing.idle_renewal,
    }
}

fn llm(config: &WorkerConfig, trust: Trust, clock: Clock) -> Result<Llm, Box<dyn Error>> {
    let settings = LlmSettings {
        base_url: config.llm.base_url.clone(),
        api_key: config.llm.api_key.clone(),
        model: config.llm.model.clone(),
        timeout: config.llm.timeout,
        requests_per_minute: LLM_REQUESTS_PER_MINUTE,
        trust,
    };
    Ok(Llm::new(settings, clock)?)
}
