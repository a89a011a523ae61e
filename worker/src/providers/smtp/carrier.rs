//! The stream that a conversation runs on. It hands over no more than a whole conversation needs: lettre looks at the length of a line
//! only when the line has come to its end, so a server that never ends one would fill the memory of all.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use lettre::transport::smtp::client::AsyncTokioStream;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{SmtpError, Stage};
use crate::providers::transport::{Budget, Dialer, Endpoint, Metered, Security, certificate_refused};

/// Bytes that a server may say, certificates included. lettre takes at most a tenth of it as one answer.
const WHOLE_CONVERSATION: u64 = 1024 * 1024;

impl AsyncTokioStream for Metered<TcpStream> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner().peer_addr()
    }
}

impl AsyncTokioStream for Metered<TlsStream<TcpStream>> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner().get_ref().0.peer_addr()
    }
}

/// Connects, with TLS if that begins with the first byte. Nothing was said yet.
pub(super) async fn open(dialer: &Dialer, endpoint: &Endpoint) -> Result<Box<dyn AsyncTokioStream>, SmtpError> {
    let limits = dialer.limits;
    let late = |stage, limit| move |_elapsed| SmtpError::Timeout { stage, limit };
    let addresses = timeout(limits.connect, dialer.addresses(endpoint)).await;
    let addresses = addresses.map_err(late(Stage::Connect, limits.connect))?.map_err(SmtpError::unconnected)?;
    let whole = limits.connect + limits.command;
    let socket = timeout(whole, connect(&addresses, limits.connect)).await.map_err(late(Stage::Connect, whole))?;
    let socket = socket.map_err(|error| SmtpError::Network { stage: Stage::Connect, detail: error.to_string() })?;
    let budget = Budget::default();
    budget.allow(WHOLE_CONVERSATION);
    if endpoint.security != Security::Tls {
        return Ok(Box::new(Metered::new(socket, budget)));
    }
    let name = ServerName::try_from(endpoint.host.clone());
    let name = name.map_err(|error| SmtpError::Insecure { detail: error.to_string() })?;
    let handshake = TlsConnector::from(dialer.trust.client_config()).connect(name, socket);
    let session = timeout(limits.command, handshake).await.map_err(late(Stage::Tls, limits.command))?;
    let session = session.map_err(|error| match certificate_refused(&error) {
        Some(detail) => SmtpError::Insecure { detail },
        None => SmtpError::Network { stage: Stage::Tls, detail: error.to_string() },
    })?;
    Ok(Box::new(Metered::new(session, budget)))
}

/// To the first of these addresses that answers; each gets its time.
async fn connect(addresses: &[SocketAddr], limit: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(socket)) => {
                socket.set_nodelay(true)?;
                return Ok(socket);
            }
            Ok(Err(error)) => last = error,
            Err(_elapsed) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}
