//! Where Redis is: one server, a master that Sentinels name, or a cluster; and several of the first two together.

use redis::{
    Client, ConnectionInfo, IntoConnectionInfo,
    cluster::{ClusterClient, ClusterClientBuilder},
    io::tcp::{TcpSettings, socket2},
};

use crate::{
    error::QueueError,
    link::{ANSWER_TIMEOUT, CONNECT_TIMEOUT, RECONNECT_EVERY},
};

/// How one server of the queue is reached.
#[derive(Clone)]
pub(crate) enum Address {
    /// Always the same server.
    Single(Client),
    /// Whoever is the master under this name.
    Sentinel {
        /// `redis://host:port` of each Sentinel.
        sentinels: Vec<ConnectionInfo>,
        master: String,
        /// User, password, database and TLS of the master.
        node: ConnectionInfo,
    },
    /// Any node of a cluster knows the others.
    Cluster { nodes: Vec<ConnectionInfo> },
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Address") // may hold a password
    }
}

impl std::fmt::Display for Address {
    /// Where it is, without user and password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let places =
            |list: &[ConnectionInfo]| list.iter().map(|info| info.addr().to_string()).collect::<Vec<_>>().join(",");
        match self {
            Self::Single(client) => write!(f, "{}", client.get_connection_info().addr()),
            Self::Sentinel { sentinels, master, .. } => write!(f, "{master} of {}", places(sentinels)),
            Self::Cluster { nodes } => f.write_str(&places(nodes)),
        }
    }
}

fn invalid(reason: impl Into<String>) -> QueueError {
    QueueError::invalid("REDIS_URL", reason)
}

/// Reads `REDIS_URL`: one or several addresses, separated by commas. Hosts of one address are separated by commas, too:
/// what has no `://` belongs to the address before it.
pub(crate) fn parse(text: &str) -> Result<Vec<Address>, QueueError> {
    let mut texts: Vec<String> = Vec::new();
    for part in text.split([',', ' ', '\n']).filter(|part| !part.is_empty()) {
        match texts.last_mut() {
            Some(last) if !part.contains("://") => {
                last.push(',');
                last.push_str(part);
            }
            _ => texts.push(part.to_owned()),
        }
    }
    let addresses = texts.iter().map(|text| parse_one(text)).collect::<Result<Vec<_>, _>>()?;
    if addresses.is_empty() {
        return Err(invalid("it is empty"));
    }
    if addresses.len() > 1 && addresses.iter().any(|address| matches!(address, Address::Cluster { .. })) {
        return Err(invalid("a cluster spreads the shards by itself: name nothing beside it"));
    }
    Ok(addresses)
}

fn parse_one(text: &str) -> Result<Address, QueueError> {
    let (scheme, rest) = text.split_once("://").ok_or_else(|| invalid("expected a scheme such as redis://"))?;
    if scheme.starts_with("rediss") {
        // rustls panics where a process has not chosen its cryptography; a choice that was made stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let Some((transport @ ("redis" | "rediss"), sort @ ("sentinel" | "cluster"))) = scheme.split_once('+') else {
        let info = connection(text)?;
        return Ok(Address::Single(Client::open(info).map_err(|error| invalid(error.to_string()))?));
    };
    let (credentials, rest) = rest.rsplit_once('@').map_or(("", rest), |(user, rest)| (user, rest));
    let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
    let at = if credentials.is_empty() { "" } else { "@" };
    let hosts: Vec<&str> = hosts.split(',').filter(|host| !host.is_empty()).collect();
    if hosts.is_empty() {
        return Err(invalid("it names no host"));
    }
    if sort == "cluster" {
        if !path.trim_matches('/').is_empty() {
            return Err(invalid("a cluster has no databases: nothing may follow its hosts"));
        }
        let nodes = hosts.iter().map(|host| connection(&format!("{transport}://{credentials}{at}{host}")));
        return Ok(Address::Cluster { nodes: nodes.collect::<Result<_, _>>()? });
    }
    let (master, database) = path.split_once('/').unwrap_or((path, ""));
    if master.is_empty() {
        return Err(invalid("expected redis+sentinel://host:26379,host:26379/NAME-OF-THE-MASTER[/db]"));
    }
    // The colons of an IPv6 address stand in brackets.
    let has_port = |host: &str| host.rsplit(']').next().is_some_and(|rest| rest.contains(':'));
    let with_port = |host: &&str| if has_port(host) { (*host).to_owned() } else { format!("{host}:26379") };
    let sentinels = hosts.iter().map(|host| connection(&format!("{transport}://{}", with_port(host))));
    let node = connection(&format!("{transport}://{credentials}{at}{}/{database}", hosts[0]))?;
    Ok(Address::Sentinel { sentinels: sentinels.collect::<Result<_, _>>()?, master: master.to_owned(), node })
}

fn connection(url: &str) -> Result<ConnectionInfo, QueueError> {
    let info = url.into_connection_info().map_err(|error| {
        let escapes = "in a password : / ? # [ ] @ and % are written as %3A %2F %3F %23 %5B %5D %40 and %25";
        invalid(format!("an address in it cannot be read ({error}); {escapes}"))
    })?;
    Ok(info.set_tcp_settings(tcp()))
}

/// A connection into a network that swallows everything must break, so that a new one is tried as soon as it is mended:
/// otherwise the kernel would repeat the old packets at ever longer distances. One on which nothing is said is tried, too.
fn tcp() -> TcpSettings {
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive());
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    let settings = settings.set_user_timeout(ANSWER_TIMEOUT);
    settings
}

fn keepalive() -> socket2::TcpKeepalive {
    socket2::TcpKeepalive::new().with_time(ANSWER_TIMEOUT).with_interval(CONNECT_TIMEOUT)
}

/// The same for a connection that the client library does not make.
pub(crate) fn tune(stream: &tokio::net::TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = socket2::SockRef::from(stream);
    socket.set_tcp_keepalive(&keepalive())?;
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    socket.set_tcp_user_timeout(Some(ANSWER_TIMEOUT))?;
    Ok(())
}

pub(crate) fn cluster_client(nodes: &[ConnectionInfo]) -> Result<ClusterClient, QueueError> {
    ClusterClientBuilder::new(nodes.to_vec())
        .connection_timeout(CONNECT_TIMEOUT)
        .response_timeout(ANSWER_TIMEOUT)
        .overall_response_timeout(Some(ANSWER_TIMEOUT))
        .retries(8)
        .min_retry_wait(20)
        .max_retry_wait(u64::try_from(RECONNECT_EVERY.as_millis()).unwrap_or(200))
        .tcp_settings(tcp())
        .build()
        .map_err(|error| invalid(error.to_string()))
}

#[cfg(test)]
mod tests {
    use redis::ConnectionAddr;

    use super::{Address, parse};

    fn sorts(text: &str) -> Vec<String> {
        let sort = |address: &Address| match address {
            Address::Single(client) => client.get_connection_info().addr().to_string(),
            Address::Sentinel { sentinels, master, .. } => format!("{master} by {}", sentinels.len()),
            Address::Cluster { nodes } => format!("cluster of {}", nodes.len()),
        };
        parse(text).unwrap().iter().map(sort).collect()
    }

    #[test]
    fn lists_sentinels_and_clusters_are_told_apart() {
        assert_eq!(sorts("redis://a:1"), ["a:1"]);
        assert_eq!(sorts("redis://a:1,redis://:secret@b:2/3"), ["a:1", "b:2"]);
        assert_eq!(
            sorts("redis+sentinel://s1,s2:3,s3/main/2, redis+sentinel://t:1/other"),
            ["main by 3", "other by 1"]
        );
        assert_eq!(sorts("redis+cluster://user:p%40ss@a:1,b:2,c:3"), ["cluster of 3"]);
    }

    #[test]
    fn a_sentinel_without_a_port_is_at_its_own() {
        for (host, name, port) in [("s", "s", 26379), ("s:3", "s", 3), ("[::1]", "::1", 26379), ("[::1]:3", "::1", 3)] {
            let addresses = parse(&format!("redis+sentinel://{host}/main")).unwrap();
            let [Address::Sentinel { sentinels, .. }] = &addresses[..] else { panic!("{host}") };
            assert_eq!(*sentinels[0].addr(), ConnectionAddr::Tcp(name.to_owned(), port));
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_without_showing_the_password() {
        for text in ["", ",", "localhost", "http://a", "redis+sentinel://:hush@a:1", "redis+cluster://a/3"] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with("REDIS_URL: ") && !error.contains("hush"), "{text:?}: {error}");
        }
        for text in ["redis://:hush/@a:1", "redis://:hush@a:99999", "redis+cluster://:hush#@a:1,b:2"] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains("%2F") && !error.contains("hush"), "{text:?}: {error}");
        }
        assert!(parse("redis+cluster://a:1,redis://b:2").is_err());
    }
}
