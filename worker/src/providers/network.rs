//! What calls to outside hosts have in common: to which addresses they go, and what is told of those that came to nothing.

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;

use postrider_shared::egress::Egress;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Why a host has no address to call.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    #[error("its host is in a network that this installation does not allow")]
    Forbidden,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The host's addresses that may be called, at least one. Whoever connects to them, and not to the host, looks it up once: a name
/// that means something else a moment later leads nowhere.
pub(super) async fn lookup(egress: &Egress, host: &str, port: u16) -> Result<Vec<SocketAddr>, LookupError> {
    let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "its name has no address").into());
    }
    let allowed: Vec<SocketAddr> = found.into_iter().filter(|address| egress.allows(address.ip())).collect();
    if allowed.is_empty() { Err(LookupError::Forbidden) } else { Ok(allowed) }
}

/// Has an HTTP client connect to allowed addresses only. It is not asked about URLs whose host is an address.
#[derive(Debug, Clone)]
pub(super) struct Lookup(pub(super) Egress);

impl Resolve for Lookup {
    fn resolve(&self, name: Name) -> Resolving {
        let egress = self.0.clone();
        Box::pin(async move {
            let addresses: Addrs = Box::new(lookup(&egress, name.as_str(), 0).await?.into_iter());
            Ok(addresses)
        })
    }
}

/// The innermost cause only: the text of a `reqwest::Error` names the URL, in which there may be secrets.
pub(super) fn innermost(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    while let Some(deeper) = cause.and_then(|cause| cause.source()) {
        cause = Some(deeper);
    }
    let unnamed = if error.is_timeout() { "no answer in time" } else { "the connection failed" };
    cause.map_or_else(|| unnamed.to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use postrider_shared::config::Settings;
    use postrider_shared::egress::Egress;

    use super::{LookupError, lookup};

    #[tokio::test]
    async fn what_a_host_means_counts_and_not_how_it_is_called() {
        let ours =
            ["localhost", "127.0.0.1", "127.1", "2130706433", "0x7f.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::"];
        for host in ours {
            let refused = lookup(&Egress::default(), host, 143).await;
            assert!(matches!(refused, Err(LookupError::Forbidden)), "{host}: {refused:?}");
            assert!(lookup(&Egress::Anywhere, host, 143).await.is_ok(), "{host}");
        }
        let one: Egress = Settings::of([("ALLOWED_PRIVATE_NETWORKS", "127.0.0.1")]).read().unwrap();
        let found = lookup(&one, "localhost", 143).await.unwrap();
        assert_eq!(found, ["127.0.0.1:143".parse().unwrap()], "and no other that the name has");
    }
}
