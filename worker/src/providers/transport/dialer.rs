//! What every conversation with a mail server starts from: where it may be, whom to trust, and how long to wait.

use std::net::SocketAddr;
use std::time::Duration;

use postrider_shared::egress::Egress;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Duplex, Endpoint, Trust};
use crate::providers::network::{LookupError, lookup};

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

/// Cheap to clone. The default calls public addresses only, and trusts the system's authorities.
#[derive(Debug, Clone, Default)]
pub struct Dialer {
    pub egress: Egress,
    pub trust: Trust,
    pub limits: Limits,
}

impl Dialer {
    /// For a server that the operator names.
    #[must_use]
    pub fn anywhere(self) -> Self {
        Self { egress: Egress::Anywhere, ..self }
    }

    /// Where the server may be connected to: to these addresses, so that its name is not looked up again. The caller bounds the time.
    pub async fn addresses(&self, endpoint: &Endpoint) -> Result<Vec<SocketAddr>, LookupError> {
        lookup(&self.egress, &endpoint.host, endpoint.port).await
    }

    /// Opens the TCP connection. The caller bounds the time.
    pub async fn connect(&self, endpoint: &Endpoint) -> Result<TcpStream, LookupError> {
        let addresses = self.addresses(endpoint).await?;
        let socket = TcpStream::connect(&addresses[..]).await?;
        socket.set_nodelay(true)?;
        Ok(socket)
    }

    /// Wraps a stream in TLS and checks the server's certificate against the host's name.
    pub async fn wrap_tls(&self, host: &str, stream: Box<dyn Duplex>) -> std::io::Result<Box<dyn Duplex>> {
        let name = ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?;
        let session = TlsConnector::from(self.trust.client_config()).connect(name, stream).await?;
        Ok(Box::new(session))
    }
}
