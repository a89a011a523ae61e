//! The sections of whole processes, made of their components' sections.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use chrono::TimeDelta;
use postrider_queue::MAX_PAYLOAD_BYTES;
use secrecy::SecretString;

use super::{
    ConsentConfig, DatabaseConfig, DepthConfig, DocumentsConfig, GoogleConfig, IssuersConfig, KeysConfig, LimitsConfig,
    ObjectsConfig, OutgoingConfig, Reader, RedisConfig, Registration, Section, SystemMailConfig, TelemetryConfig,
    TrafficConfig,
};
use crate::{audit::SHORTEST_RETENTION, egress::Egress, jobs::Queue};

/// `postrider-api`.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    pub bind: SocketAddr,
    /// Where the first platform key is written, besides stdout.
    pub platform_key_file: Option<PathBuf>,
    /// Largest payload of a job, in bytes.
    pub payload_limit: usize,
    pub registration: Registration,
    /// With whose tokens people may sign in.
    pub issuers: IssuersConfig,
    pub depth: DepthConfig,
    pub traffic: TrafficConfig,
    /// Where mail servers of accounts may be.
    pub egress: Egress,
    /// Absent where there are no Google accounts.
    pub consent: Option<ConsentConfig>,
    pub limits: LimitsConfig,
    pub database: DatabaseConfig,
    pub redis: RedisConfig,
    pub keys: KeysConfig,
    pub objects: ObjectsConfig,
    pub telemetry: TelemetryConfig,
}

impl Section for ApiConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let bind = reader.parse("BIND", "an IP address and port such as 127.0.0.1:8080");
        let platform_key_file = reader.text("PLATFORM_KEY_FILE").map(PathBuf::from);
        let payload_limit = reader.number("PAYLOAD_LIMIT_BYTES", MAX_PAYLOAD_BYTES..=100 * 1024 * 1024);
        let registration = reader.parse("REGISTRATION", "closed, approval or open");
        let issuers = IssuersConfig::read(reader);
        let depth = DepthConfig::read(reader);
        let traffic = TrafficConfig::read(reader);
        let egress = Egress::read(reader);
        let consent = ConsentConfig::read_if_set(reader);
        let limits = LimitsConfig::read(reader);
        let database = DatabaseConfig::read(reader);
        let redis = RedisConfig::read(reader);
        let keys = KeysConfig::read(reader);
        let objects = ObjectsConfig::read(reader);
        let telemetry = TelemetryConfig::read(reader);
        Some(Self {
            bind: bind?,
            platform_key_file,
            payload_limit: payload_limit?,
            registration: registration?,
            issuers: issuers?,
            depth: depth?,
            traffic: traffic?,
            egress: egress?,
            consent,
            limits: limits?,
            database: database?,
            redis: redis?,
            keys: keys?,
            objects: objects?,
            telemetry: telemetry?,
        })
    }
}

/// `postrider-worker`.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    pub queues: Vec<Queue>,
    pub concurrency: usize,
    pub grace: Duration,
    pub llm: LlmConfig,
    pub documents: DocumentsConfig,
    pub outgoing: OutgoingConfig,
    /// Where customers reach the API, without a slash at the end.
    pub public_url: Option<String>,
    /// Absent where there are no Google accounts.
    pub google: Option<GoogleConfig>,
    /// Whose signing keys are fetched.
    pub issuers: IssuersConfig,
    /// Absent where nobody is mailed about signing in.
    pub system_mail: Option<SystemMailConfig>,
    /// Where diagnostic jobs note their runs.
    pub run_ledger: Option<PathBuf>,
    pub limits: LimitsConfig,
    pub database: DatabaseConfig,
    pub redis: RedisConfig,
    pub keys: KeysConfig,
    pub objects: ObjectsConfig,
    pub telemetry: TelemetryConfig,
}

impl Section for WorkerConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let queues = queues(reader);
        let concurrency = reader.number("WORKER_CONCURRENCY", 1..=10_000);
        let grace = reader.number("WORKER_GRACE_SECONDS", 0..=3_600).map(Duration::from_secs);
        let llm = LlmConfig::read(reader);
        let documents = DocumentsConfig::read(reader);
        let outgoing = OutgoingConfig::read(reader);
        let public_url = public_url(reader);
        let google = GoogleConfig::read_if_set(reader);
        let issuers = IssuersConfig::read(reader);
        let system_mail = SystemMailConfig::read_if_set(reader);
        let run_ledger = reader.text("DIAGNOSTIC_LEDGER").map(PathBuf::from);
        let limits = LimitsConfig::read(reader);
        let database = DatabaseConfig::read(reader);
        let redis = RedisConfig::read(reader);
        let keys = KeysConfig::read(reader);
        let objects = ObjectsConfig::read(reader);
        let telemetry = TelemetryConfig::read(reader);
        Some(Self {
            queues: queues?,
            concurrency: concurrency?,
            grace: grace?,
            llm: llm?,
            documents: documents?,
            outgoing: outgoing?,
            public_url,
            google,
            issuers: issuers?,
            system_mail,
            run_ledger,
            limits: limits?,
            database: database?,
            redis: redis?,
            keys: keys?,
            objects: objects?,
            telemetry: telemetry?,
        })
    }
}

fn public_url(reader: &mut Reader<'_>) -> Option<String> {
    let url = reader.text("PUBLIC_URL")?.trim_end_matches('/').to_owned();
    if !url.starts_with("https://") && !url.starts_with("http://") {
        reader.problem("PUBLIC_URL", "must start with https:// or http://");
        return None;
    }
    Some(url)
}

fn queues(reader: &mut Reader<'_>) -> Option<Vec<Queue>> {
    let text = reader.text("WORKER_QUEUES")?;
    let mut queues = Vec::new();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match name.parse::<Queue>() {
            Ok(queue) if queues.contains(&queue) => {}
            Ok(queue) => queues.push(queue),
            Err(error) => reader.problem("WORKER_QUEUES", error),
        }
    }
    if queues.is_empty() {
        reader.problem("WORKER_QUEUES", "must name at least one queue");
        return None;
    }
    Some(queues)
}

/// The OpenAI-compatible endpoint.
#[derive(Debug, Clone)]
pub struct LlmConfig {
    /// Without a slash at the end.
    pub base_url: String,
    pub api_key: SecretString,
    pub model: String,
    pub timeout: Duration,
}

impl Section for LlmConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let base_url = reader.text("OPENAI_BASE_URL").map(|url| url.trim_end_matches('/').to_owned());
        if base_url.as_deref().is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
            reader.problem("OPENAI_BASE_URL", "must start with https:// or http://");
        }
        let api_key = reader.text("OPENAI_API_KEY");
        if api_key.as_deref().is_some_and(|key| !key.chars().all(|c| c == ' ' || c == '\t' || c.is_ascii_graphic())) {
            reader.problem("OPENAI_API_KEY", "must be one line of printable ASCII characters");
        }
        let api_key = api_key.map(SecretString::from);
        let model = reader.text("OPENAI_MODEL");
        let timeout = reader.number("LLM_TIMEOUT_SECONDS", 1..=600).map(Duration::from_secs);
        Some(Self { base_url: base_url?, api_key: api_key?, model: model?, timeout: timeout? })
    }
}

/// `postrider-scheduler`.
#[derive(Debug, Clone)]
pub struct SchedulerConfig {
    pub tick: Duration,
    /// Whose signing keys are kept fresh.
    pub issuers: IssuersConfig,
    /// How long audit events are kept.
    pub audit_retention: TimeDelta,
    pub limits: LimitsConfig,
    pub database: DatabaseConfig,
    pub redis: RedisConfig,
    pub objects: ObjectsConfig,
    pub telemetry: TelemetryConfig,
}

impl Section for SchedulerConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let tick = reader.number("SCHEDULER_TICK_MS", 10..=60_000).map(Duration::from_millis);
        let issuers = IssuersConfig::read(reader);
        let shortest = SHORTEST_RETENTION.num_days();
        let audit_retention = reader.number("AUDIT_RETENTION_DAYS", shortest..=36_500).map(TimeDelta::days);
        let limits = LimitsConfig::read(reader);
        let database = DatabaseConfig::read(reader);
        let redis = RedisConfig::read(reader);
        let objects = ObjectsConfig::read(reader);
        let telemetry = TelemetryConfig::read(reader);
        Some(Self {
            tick: tick?,
            issuers: issuers?,
            audit_retention: audit_retention?,
            limits: limits?,
            database: database?,
            redis: redis?,
            objects: objects?,
            telemetry: telemetry?,
        })
    }
}
