//! Sockets to mail servers: plain, TLS from the first byte, or STARTTLS; one rustls set-up for all of them.

mod metered;

use std::fmt::{self, Debug};
use std::sync::{Arc, OnceLock};

use postrider_shared::accounts::MailServer;
pub use postrider_shared::accounts::Security;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

pub use self::metered::{Budget, Metered};

/// Where a mail server listens. A server that does not offer STARTTLS when it should is an error, never a downgrade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub host: String,
    pub port: u16,
    pub security: Security,
}

impl From<MailServer> for Endpoint {
    fn from(server: MailServer) -> Self {
        Self { host: server.host, port: server.port, security: server.security }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Anything that carries a mail protocol: a socket, or a TLS session on one.
pub trait Duplex: AsyncRead + AsyncWrite + Debug + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Debug + Send + Unpin> Duplex for T {}

/// Opens the TCP connection. The caller bounds the time.
pub async fn dial(endpoint: &Endpoint) -> std::io::Result<TcpStream> {
    let socket = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// Wraps a stream in TLS and checks the server's certificate against the host's name.
pub async fn wrap_tls(host: &str, stream: Box<dyn Duplex>) -> std::io::Result<Box<dyn Duplex>> {
    let name = ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?;
    let session = TlsConnector::from(client_config()).connect(name, stream).await?;
    Ok(Box::new(session))
}

/// The process's rustls configuration: the ring provider and the system's roots (or those of `SSL_CERT_FILE`).
/// Built once, because reading the system's roots costs milliseconds.
#[expect(clippy::missing_panics_doc, reason = "ring supports the default TLS versions: it cannot panic")]
pub fn client_config() -> Arc<rustls::ClientConfig> {
    static CONFIG: OnceLock<Arc<rustls::ClientConfig>> = OnceLock::new();
    Arc::clone(CONFIG.get_or_init(|| {
        let mut roots = rustls::RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "a system root certificate could not be read");
        }
        let (added, ignored) = roots.add_parsable_certificates(found.certs);
        tracing::debug!(added, ignored, "system root certificates read");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the ring provider supports the default TLS versions");
        Arc::new(versions.with_root_certificates(roots).with_no_client_auth())
    }))
}
