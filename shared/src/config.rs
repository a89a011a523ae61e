//! Settings, read once at the start of a process.
//!
//! They come from environment variables, and below them from an optional TOML file named by `POSTRIDER_CONFIG`, whose keys are the
//! variables' names in lower case. Each component owns and validates its own [`Section`]; all problems of a process are reported
//! together, in words an operator can act on. Every variable is in [`VARIABLES`], from which `deploy/env.example` is checked.

mod connections;
mod documents;
mod files;
mod google;
mod issuers;
mod limits;
mod misspelt;
mod observability;
mod outgoing;
mod processes;
mod registration;
mod section;
mod settings;
mod system_mail;
mod traffic;
mod variables;

pub use connections::{ConnectionUrl, DatabaseConfig, DepthConfig, KeysConfig, ObjectsConfig, RedisConfig};
pub use documents::{DocumentsConfig, ScannerAddress};
pub use google::{ConsentConfig, GoogleConfig};
pub use issuers::{Issuer, IssuersConfig};
pub use limits::LimitsConfig;
pub use observability::{LogFormat, TelemetryConfig};
pub use outgoing::OutgoingConfig;
pub use processes::{ApiConfig, LlmConfig, SchedulerConfig, WorkerConfig};
pub use registration::Registration;
pub use section::{ConfigErrors, Reader, Section};
pub use settings::Settings;
pub use system_mail::SystemMailConfig;
pub use traffic::{Network, Networks, Origins, RouteClass, TenantRate, TrafficConfig, TrafficRates};
pub use variables::{Default, VARIABLES, Variable};

#[cfg(test)]
mod tests;
