//! What every conversation with a mail server starts from: whom to trust, and how long to wait.

use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use super::{Duplex, Trust};

/// How long a server may take. Each bounds one step of a conversation, never the whole of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub connect: Duration,
    pub command: Duration,
    /// For the answer to the final dot of a message. Long, because giving up here is what makes doubt.
    pub answer: Duration,
}

impl Limits {
    const CONNECT: Duration = Duration::from_secs(10);

    /// Connecting gets as long as a command, and 10 s at most.
    pub fn new(command: Duration, answer: Duration) -> Self {
        Self { connect: command.min(Self::CONNECT), command, answer }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(Duration::from_secs(30), Duration::from_mins(2))
    }
}

/// Cheap to clone. The default trusts the system's authorities.
#[derive(Debug, Clone, Default)]
pub struct Dialer {
    pub trust: Trust,
    pub limits: Limits,
}

impl Dialer {
    /// Wraps a stream in TLS and checks the server's certificate against the host's name.
    pub async fn wrap_tls(&self, host: &str, stream: Box<dyn Duplex>) -> std::io::Result<Box<dyn Duplex>> {
        let name = ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?;
        let session = TlsConnector::from(self.trust.client_config()).connect(name, stream).await?;
        Ok(Box::new(session))
    }
}
