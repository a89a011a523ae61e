use std::time::Duration;

use postrider_shared::config::{Networks, TrafficConfig};

/// How long a client may take for the head of a request. One that sends it byte by byte would otherwise hold a connection for ever.
const HEAD: Duration = Duration::from_secs(20);
/// How long a client may leave an answer lying without taking a byte of it.
const STALL: Duration = Duration::from_secs(30);
/// How long requests may finish after the signal to stop; what still runs then is cut.
const GRACE: Duration = Duration::from_secs(20);

/// What connections may take.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// For a request's head, from its first byte.
    pub head: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// For a client that does not read.
    pub stall: Duration,
    /// For the end of what is under way at a stop.
    pub grace: Duration,
    /// Open connections.
    pub connections: usize,
    /// Open connections of one address; IPv6 counts by its first 64 bits.
    pub per_address: usize,
    /// Whose connections are those of many clients, and so are not counted by address.
    pub proxies: Networks,
}

impl Bounds {
    /// What the settings say.
    pub fn of(traffic: &TrafficConfig) -> Self {
        Self {
            head: HEAD,
            idle: traffic.keep_alive,
            stall: STALL,
            grace: GRACE,
            connections: traffic.connections,
            per_address: traffic.connections_per_address,
            proxies: traffic.proxies.clone(),
        }
    }
}
