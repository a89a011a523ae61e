//! What every conversation with a mail server starts from: where it may be, whom to trust, and how long to wait.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use postrider_shared::egress::Egress;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{Duplex, Endpoint, Trust};
use crate::providers::network::{LookupError, lookup};

/// An address that is silent for so long is no longer waited for alone (RFC 8305 names this time).
const NEXT_AFTER: Duration = Duration::from_millis(250);

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
        let socket = first_to_answer(&addresses).await?;
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

/// Connects to the first of these addresses that answers. They are tried in turn, each as soon as the one before has failed or has
/// been silent for a moment: a host of which one address is dead is reached by another.
async fn first_to_answer(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let (mut attempts, mut left, mut failed) = (FuturesUnordered::new(), addresses.iter(), None);
    loop {
        attempts.extend(left.next().map(TcpStream::connect));
        match timeout(NEXT_AFTER, attempts.next()).await {
            Ok(Some(Ok(socket))) => return Ok(socket),
            Ok(Some(Err(error))) => failed = Some(error),
            Ok(None) => return Err(failed.unwrap_or_else(|| io::ErrorKind::NotFound.into())),
            Err(_silent) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::SocketAddr;
    use std::time::Duration;

    use tokio::net::{TcpListener, TcpSocket, TcpStream};
    use tokio::time::timeout;

    use super::{Limits, first_to_answer};

    /// An address from which nothing comes, and what keeps it so: its line of connections is full.
    async fn silent() -> (SocketAddr, TcpListener, Vec<TcpStream>) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut line = Vec::new();
        while let Ok(connected) = timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
            line.push(connected.unwrap());
        }
        (address, listener, line)
    }

    #[tokio::test]
    async fn a_host_of_which_an_address_is_dead_is_reached_by_another() {
        let (silent, _listener, _line) = silent().await;
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let alive = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let reached = alive.local_addr().unwrap();
        for addresses in
            [vec![reached], vec![silent, reached], vec![silent, closed, silent, reached], vec![closed, reached]]
        {
            let socket = timeout(Limits::default().connect, first_to_answer(&addresses)).await.unwrap().unwrap();
            assert_eq!(socket.peer_addr().unwrap(), reached);
        }
        let refused = first_to_answer(&[closed, closed]).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert!(first_to_answer(&[]).await.is_err());
    }
}
