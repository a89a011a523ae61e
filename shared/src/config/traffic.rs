//! How much the API takes: limits of rate, of size and number, and which browsers may call it.

mod networks;
mod rates;

use std::time::Duration;

use postrider_queue::RateLimit;

use super::{Reader, Section};

pub use networks::{Network, Networks};
pub use rates::{RouteClass, TenantRate, TrafficRates};

/// What stands between the outside and the API's handlers.
#[derive(Debug, Clone)]
pub struct TrafficConfig {
    pub rates: TrafficRates,
    /// Requests that one process takes, of whomever.
    pub process: Option<RateLimit>,
    /// Requests under way in one process; those that wait for a job do not count.
    pub requests_in_flight: usize,
    /// Open connections of one process.
    pub connections: usize,
    /// Open connections of one address with one process; those of trusted proxies do not count.
    pub connections_per_address: usize,
    /// How long a connection may be open between two requests.
    pub keep_alive: Duration,
    /// Whose X-Forwarded-For is believed.
    pub proxies: Networks,
    pub origins: Origins,
    /// What Strict-Transport-Security says; absent where TLS is not a given.
    pub transport_security: Option<Duration>,
}

/// Which pages of other sites may call the API out of a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// None.
    None,
    /// These, with cookies, each as `https://app.example.com`.
    Named(Vec<String>),
    /// Any, and never with cookies.
    Any,
}

impl Section for TrafficConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let rates = TrafficRates::read(reader);
        let process = rates::read(reader, "RATE_LIMIT_PROCESS");
        let requests_in_flight = reader.number("MAX_REQUESTS_IN_FLIGHT", 1..=1_000_000);
        let connections = reader.number("MAX_CONNECTIONS", 1..=1_000_000);
        let connections_per_address = reader.number("MAX_CONNECTIONS_PER_ADDRESS", 1..=1_000_000);
        let keep_alive: Option<u64> = reader.number("KEEP_ALIVE_SECONDS", 1..=3_600);
        let proxies = Networks::read(reader);
        let origins = origins(reader);
        let seconds: Option<u64> = reader.number("HSTS_SECONDS", 0..=63_072_000);
        Some(Self {
            rates: rates?,
            process: process?.0,
            requests_in_flight: requests_in_flight?,
            connections: connections?,
            connections_per_address: connections_per_address?,
            keep_alive: Duration::from_secs(keep_alive?),
            proxies: proxies?,
            origins: origins?,
            transport_security: seconds.map(Duration::from_secs).filter(|time| !time.is_zero()),
        })
    }
}

fn origins(reader: &mut Reader<'_>) -> Option<Origins> {
    let text = reader.text("CORS_ORIGINS").unwrap_or_default();
    let all: Vec<&str> = text.split(',').map(str::trim).filter(|origin| !origin.is_empty()).collect();
    if all == ["*"] {
        return Some(Origins::Any);
    }
    if let Some(wrong) = all.iter().find(|origin| !is_origin(origin)) {
        let told = format!("{wrong:?} is not an origin such as https://app.example.com, and * stands alone");
        reader.problem("CORS_ORIGINS", told);
        return None;
    }
    let named = all.into_iter().map(str::to_ascii_lowercase).collect::<Vec<_>>();
    Some(if named.is_empty() { Origins::None } else { Origins::Named(named) })
}

/// Scheme, host and perhaps a port, as browsers send it.
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']');
    host.is_some_and(|host| !host.is_empty() && host.bytes().all(allowed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ConfigErrors, Settings};

    fn of(name: &str, value: &str) -> Result<TrafficConfig, ConfigErrors> {
        Settings::of([(name, value)]).read()
    }

    fn usual() -> TrafficConfig {
        Settings::of([]).read().unwrap()
    }

    #[test]
    fn origins_are_named_or_any_but_not_both() {
        assert_eq!(usual().origins, Origins::None);
        assert_eq!(of("CORS_ORIGINS", "*").unwrap().origins, Origins::Any);
        let named = of("CORS_ORIGINS", "https://App.example.com, http://localhost:3000").unwrap().origins;
        assert_eq!(named, Origins::Named(vec!["https://app.example.com".into(), "http://localhost:3000".into()]));
        for wrong in ["https://a.example, *", "app.example.com", "https://a.example/path", "null", "https://*.example"]
        {
            of("CORS_ORIGINS", wrong).unwrap_err();
        }
    }

    #[test]
    fn transport_security_is_off_unless_told() {
        assert_eq!(usual().transport_security, None);
        assert_eq!(of("HSTS_SECONDS", "300").unwrap().transport_security, Some(Duration::from_mins(5)));
    }
}
