//! What a process tells about itself: log lines, error reports, metrics.

mod chain;
mod figures;
mod lines;
mod one_line;

use std::{
    borrow::Cow,
    io::{self, IsTerminal as _},
    net::SocketAddr,
    sync::OnceLock,
    time::Duration,
};

pub use chain::chain;
pub use figures::Serving;
pub use metrics_exporter_prometheus::PrometheusHandle;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};
use secrecy::ExposeSecret;
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{LogFormat, TelemetryConfig};

use lines::Lines;
use one_line::OneLine;

/// Seconds, for histograms of durations: from a queue's millisecond to a language model's minute.
const BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// Whatever `RUST_LOG` says: these log passwords and mail, at `trace` only. The last two name the database's URL in their spans.
const QUIET: [&str; 4] = [
    "async_imap=info",
    "async_imap::imap_stream=off",
    "sea_orm::driver::sqlx_postgres=off",
    "sea_orm::driver::sqlx_sqlite=off",
];

/// How long the last lines of the log may take at the end.
const LAST_LINES: Duration = Duration::from_secs(2);

/// The log of this process, once it has started.
static LOG: OnceLock<Lines> = OnceLock::new();

/// Why telemetry could not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("RUST_LOG is not a valid filter")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    #[error("logging was started twice")]
    Logs(#[from] tracing_subscriber::util::TryInitError),
    #[error("the log has no thread: {0}")]
    Thread(#[source] io::Error),
    #[error("SENTRY_DSN is not valid")]
    Sentry(#[from] sentry::types::ParseDsnError),
    #[error("METRICS_BIND: metrics cannot be served there: {0}")]
    Bind(#[source] io::Error),
    #[error("metrics cannot be kept")]
    Metrics(#[from] BuildError),
    #[error("metrics were started twice")]
    Recorder,
}

/// Keeps telemetry alive; lines of the log that still wait are written, and errors that are still to be reported are sent, when it is
/// dropped.
pub struct Telemetry {
    _sentry: Option<sentry::ClientInitGuard>,
    /// Renders the metrics of this process.
    pub metrics: PrometheusHandle,
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        flush();
    }
}

/// Waits until the log is written, but not for ever for a reader that has stopped: to be called before a process ends itself.
pub fn flush() {
    if let Some(lines) = LOG.get() {
        lines.flush(LAST_LINES);
    }
}

/// Starts logs, error reports and metrics for the process `component`. Call it once, inside the async runtime.
///
/// The second part is there if metrics have an address of their own: the caller runs it next to its other tasks. Without it the
/// caller serves [`Telemetry::metrics`] and calls `run_upkeep` on it every few seconds.
pub fn start(
    config: &TelemetryConfig,
    component: &'static str,
) -> Result<(Telemetry, Option<Serving>), TelemetryError> {
    // One TLS stack for every client of the process; another call came first in tests that start several components.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let sentry = report_errors(config, component)?;
    log(config)?;
    let (metrics, exporter) = measure(config.metrics_bind, component)?;
    Ok((Telemetry { _sentry: sentry, metrics }, exporter))
}

fn report_errors(
    config: &TelemetryConfig,
    component: &'static str,
) -> Result<Option<sentry::ClientInitGuard>, TelemetryError> {
    let Some(dsn) = &config.sentry_dsn else { return Ok(None) };
    let dsn = dsn.expose_secret();
    dsn.parse::<sentry::types::Dsn>()?;
    let options = sentry::ClientOptions::new()
        .dsn(dsn)
        .release(Cow::Borrowed(concat!("postrider@", env!("CARGO_PKG_VERSION"))))
        .server_name(Cow::Borrowed(component))
        // Mail addresses and texts of customers are not an error report's business.
        .send_default_pii(false);
    Ok(Some(sentry::init(options)))
}

fn log(config: &TelemetryConfig) -> Result<(), TelemetryError> {
    let filter = filter(&config.filter)?;
    let log = Lines::default();
    let out = log.clone();
    let lines = match config.format {
        LogFormat::Text => {
            let lines = tracing_subscriber::fmt::layer().with_writer(move || OneLine(out.clone()));
            // In a file or a journal colours are signs between a name and its value, which nobody finds any more.
            if io::stdout().is_terminal() { lines.boxed() } else { lines.with_ansi(false).boxed() }
        }
        LogFormat::Json => tracing_subscriber::fmt::layer().json().flatten_event(true)
            // The innermost is in the list of all, too, and each is taken apart and put together again for every line.
            .with_current_span(false).with_writer(move || out.clone()).boxed(),
    };
    let reports = config.sentry_dsn.is_some().then(|| {
        // Logged errors become reports; what was logged before them travels along.
        sentry::integrations::tracing::BreadcrumbLayer::new().and_then(sentry::integrations::tracing::ErrorLayer::new())
    });
    tracing_subscriber::registry().with(filter).with(lines).with(reports).try_init()?;
    log.write_to(io::stdout(), tell_lost).map_err(TelemetryError::Thread)?;
    let _ = LOG.set(log);
    Ok(())
}

/// What is logged.
fn filter(wanted: &str) -> Result<EnvFilter, TelemetryError> {
    let mut filter = EnvFilter::try_new(wanted)?;
    for quiet in QUIET {
        filter = filter.add_directive(quiet.parse()?);
    }
    Ok(filter)
}

fn tell_lost(lines: u64, why: &str) {
    tracing::warn!(lines, "lines of the log were lost before this one, because {why}");
}

fn count_lost(lines: u64) {
    metrics::counter!("postrider_log_lines_lost_total").increment(lines);
}

fn measure(
    bind: Option<SocketAddr>,
    component: &'static str,
) -> Result<(PrometheusHandle, Option<Serving>), TelemetryError> {
    let builder = PrometheusBuilder::new()
        .add_global_label("component", component)
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), BUCKETS)?;
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    let listener = bind.map(figures::listen).transpose().map_err(TelemetryError::Bind)?;
    metrics::set_global_recorder(recorder).map_err(|_| TelemetryError::Recorder)?;
    let serving =
        listener.map(|listener| -> Serving { Box::pin(figures::serve(listener, handle.clone(), figures::PATIENCE)) });
    Ok((handle, serving))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the driver tells while it connects stands inside spans that say with which URL.
    #[tokio::test]
    async fn no_filter_brings_the_databases_password_into_the_log() {
        let log = Lines::default();
        let (out, written) = (log.clone(), tempfile::NamedTempFile::new().unwrap());
        log.write_to(written.reopen().unwrap(), |_, _| ()).unwrap();
        let lines = tracing_subscriber::fmt::layer().with_writer(move || out.clone());
        let subscriber = tracing_subscriber::registry().with(filter("trace").unwrap()).with(lines);
        let guard = tracing::subscriber::set_default(subscriber);
        for url in ["postgres://shop:hush@127.0.0.1:1/shop?connect_timeout=5", "sqlite::memory:"] {
            let mut options = sea_orm::ConnectOptions::new(url);
            options.connect_lazy(true);
            sea_orm::Database::connect(options).await.unwrap();
        }
        tracing::trace!("the end");
        drop(guard);
        assert!(log.flush(Duration::from_secs(5)));
        let said = std::fs::read_to_string(written.path()).unwrap();
        assert!(said.contains("connect_timeout") && said.contains("the end"), "{said}");
        assert!(!said.contains("hush"), "{said}");
    }
}
