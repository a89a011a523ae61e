//! Who is at the other end of the wire.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use postrider_shared::config::Networks;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address that the connection comes from.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// The client's address, past the proxies that are trusted; none where nobody knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub Option<IpAddr>);

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().copied().unwrap_or(Self(None)))
    }
}

/// The address that `X-Forwarded-For` gives, read from its end: each trusted proxy vouches for the one that it names. What
/// stands before the first that is not trusted may be made up by anybody.
pub(super) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &Networks) -> IpAddr {
    let mut address = peer.to_canonical();
    let lines: Vec<&str> =
        headers.get_all(FORWARDED_FOR).iter().map(|value| value.to_str().unwrap_or_default()).collect();
    let mut named = lines.iter().rev().flat_map(|line| line.rsplit(','));
    while trusted.contain(address) {
        let Some(next) = named.next().and_then(read) else { break };
        address = next;
    }
    address
}

/// An address, with or without a port.
fn read(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let address = text.parse().or_else(|_| text.parse::<std::net::SocketAddr>().map(|socket| socket.ip()));
    address.ok().map(|address| address.to_canonical())
}

/// The address as it is counted: whoever has an IPv6 address has 2^64 of them.
pub(crate) fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use postrider_shared::config::{Settings, TrafficConfig};

    use super::*;

    fn found(peer: &str, lines: &[&str]) -> String {
        let settings = Settings::of([("TRUSTED_PROXIES", "10.0.0.0/8,2001:db8::1")]);
        let trusted = settings.read::<TrafficConfig>().unwrap().proxies;
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, HeaderValue::from_str(line).unwrap());
        }
        client(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(found("9.9.9.9", &["1.1.1.1"]), "9.9.9.9", "anybody can write a header");
        assert_eq!(found("10.0.0.1", &["1.1.1.1"]), "1.1.1.1");
        assert_eq!(found("10.0.0.1", &["6.6.6.6, 1.1.1.1, 10.0.0.2"]), "1.1.1.1", "made up before the proxies");
        assert_eq!(found("10.0.0.1", &["6.6.6.6", "1.1.1.1:443"]), "1.1.1.1");
        assert_eq!(found("::ffff:10.0.0.1", &["2001:db8:5::7"]), "2001:db8:5::7");
        assert_eq!(found("10.0.0.1", &["10.0.0.9"]), "10.0.0.9", "nobody but proxies");
        for nonsense in ["", "unknown", "1.1.1.1, x", "1.1.1.1;10.0.0.2"] {
            assert_eq!(found("10.0.0.1", &[nonsense]), "10.0.0.1", "{nonsense:?}");
        }
    }

    #[test]
    fn neighbours_in_ipv6_count_as_one() {
        let counted = |text: &str| counted_as(text.parse().unwrap()).to_string();
        assert_eq!(counted("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(counted("::ffff:1.2.3.4"), "1.2.3.4");
        assert_eq!(counted("1.2.3.4"), "1.2.3.4");
    }
}
