//! Sockets to mail servers: plain, TLS from the first byte, or STARTTLS; one trust and one patience for all of them.

mod dialer;
mod metered;
mod trust;

use std::fmt::{self, Debug};

use postrider_shared::accounts::MailServer;
pub use postrider_shared::accounts::Security;
use tokio::io::{AsyncRead, AsyncWrite};

pub use self::dialer::{Dialer, Limits};
pub use self::metered::{Budget, Metered};
pub use self::trust::{Trust, TrustError, certificate_refused};

/// Where a mail server listens. A server that does not offer STARTTLS when it should is an error, never a downgrade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub host: String,
    pub port: u16,
    pub security: Security,
}

impl From<MailServer> for Endpoint {
    fn from(server: MailServer) -> Self {
        Self { host: without_brackets(server.host), port: server.port, security: server.security }
    }
}

/// An IPv6 address, which people write in brackets, as resolvers and certificates have it.
fn without_brackets(host: String) -> String {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(bare) if bare.contains(':') => bare.to_owned(),
        _ => host,
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

#[cfg(test)]
mod tests {
    use super::without_brackets;

    #[test]
    fn an_address_stands_without_its_brackets() {
        for (host, bare) in [("[::1]", "::1"), ("::1", "::1"), ("imap.example.com", "imap.example.com"), ("[x]", "[x]")]
        {
            assert_eq!(without_brackets(host.to_owned()), bare);
        }
    }
}
