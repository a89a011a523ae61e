//! What the process tells about itself.

use std::{net::SocketAddr, str::FromStr};

use secrecy::SecretString;

use super::{Reader, Section};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

impl FromStr for LogFormat {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(()),
        }
    }
}

/// Logs, error reports, metrics.
#[derive(Debug, Clone)]
pub struct TelemetryConfig {
    /// In the syntax of `tracing-subscriber`'s `EnvFilter`.
    pub filter: String,
    pub format: LogFormat,
    pub sentry_dsn: Option<SecretString>,
    /// Where Prometheus asks; `None` where the process has another way (the API) or none.
    pub metrics_bind: Option<SocketAddr>,
}

impl Section for TelemetryConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let filter = reader.text("RUST_LOG");
        let filter_is_valid =
            filter.as_deref().is_none_or(|filter| tracing_subscriber::EnvFilter::try_new(filter).is_ok());
        if !filter_is_valid {
            reader.problem("RUST_LOG", "must be a list such as info,postrider_worker=debug");
        }
        let format = reader.parse("LOG_FORMAT", "text or json");
        let dsn = reader.text("SENTRY_DSN");
        if dsn.as_deref().is_some_and(|dsn| sentry::types::Dsn::from_str(dsn).is_err()) {
            reader.problem("SENTRY_DSN", "must look like https://key@sentry.example.com/1");
        }
        let metrics_bind = reader
            .text("METRICS_BIND")
            .and_then(|_| reader.parse("METRICS_BIND", "an IP address and port such as 127.0.0.1:9090"));
        Some(Self { filter: filter?, format: format?, sentry_dsn: dsn.map(SecretString::from), metrics_bind })
    }
}
