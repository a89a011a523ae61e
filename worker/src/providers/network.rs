//! What calls to outside hosts have in common: to which addresses they go, how much of an answer is read, and what is told of those
//! that came to nothing.

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
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

/// Why an answer has no body to use.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// It is longer than the bound, or says that it is.
    #[error("the answer is longer than {most} bytes")]
    TooLong { most: usize },
    /// It did not come whole, or not in time.
    #[error("{}", innermost(.0))]
    Lost(#[from] reqwest::Error),
}

/// The body of an answer, of at most `most` bytes. The request's timeout counts for it, too.
pub(super) async fn body(mut response: reqwest::Response, most: usize) -> Result<Bytes, BodyError> {
    if response.content_length().is_some_and(|length| length > most as u64) {
        return Err(BodyError::TooLong { most });
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > most {
            return Err(BodyError::TooLong { most });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
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
    use std::time::Duration;

    use bytes::Bytes;
    use postrider_shared::config::Settings;
    use postrider_shared::egress::Egress;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::{BodyError, LookupError, body, lookup};
    use crate::providers::transport::Trust;

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

    const MOST: usize = 8;

    /// What is read of an answer: its headers after the status line, and what follows them. The connection then stays open until the
    /// reader has enough, or is closed.
    async fn read(headers: &str, sent: &[u8], stays_open: bool) -> Result<Bytes, BodyError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/?key=canary", listener.local_addr().unwrap());
        let client = reqwest::Client::builder().tls_backend_preconfigured((*Trust::default().client_config()).clone());
        let client = client.timeout(Duration::from_secs(1)).build().unwrap();
        let server = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(socket.read_u8().await.unwrap());
            }
            socket.write_all(format!("HTTP/1.1 200 OK\r\n{headers}\r\n").as_bytes()).await.unwrap();
            socket.write_all(sent).await.unwrap();
            let _open = stays_open.then_some(socket);
            std::future::pending::<()>().await;
        };
        let client = async { body(client.get(url).send().await.unwrap(), MOST).await };
        tokio::select! {
            read = client => read,
            () = server => panic!("it waits for the reader"),
        }
    }

    #[tokio::test]
    async fn an_answer_is_read_up_to_its_bound_and_no_further() {
        let fits = Bytes::from_static(b"12345678");
        assert_eq!(read("Content-Length: 8\r\n", b"12345678", true).await.unwrap(), fits);
        assert_eq!(read("Content-Length: 0\r\n", b"", true).await.unwrap(), Bytes::new());
        let chunked = "Transfer-Encoding: chunked\r\n";
        assert_eq!(read(chunked, b"3\r\n123\r\n5\r\n45678\r\n0\r\n\r\n", true).await.unwrap(), fits);
        assert_eq!(read("", b"12345678", false).await.unwrap(), fits, "until the connection is closed");
        // None of these says that it is over.
        for (headers, sent) in [
            ("Content-Length: 9\r\n", b"123456789".as_slice()),
            (chunked, b"9\r\n123456789\r\n"),
            (chunked, b"3\r\n123\r\n6\r\n456789\r\n"),
            ("", b"123456789"),
        ] {
            let found = read(headers, sent, true).await;
            assert!(matches!(found, Err(BodyError::TooLong { most: MOST })), "{headers:?}: {found:?}");
        }
    }

    #[tokio::test]
    async fn the_length_that_an_answer_names_is_no_promise() {
        let found = read("Content-Length: 8\r\n", b"123456789 and more", true).await;
        assert_eq!(found.unwrap(), Bytes::from_static(b"12345678"), "what follows is not the answer's");
        let found = read("Content-Length: 1099511627776\r\n", b"", true).await;
        assert!(matches!(found, Err(BodyError::TooLong { .. })), "before a byte of it is awaited: {found:?}");
        let cut = read("Content-Length: 8\r\n", b"1234", false).await.unwrap_err();
        assert!(matches!(&cut, BodyError::Lost(error) if !error.is_timeout()), "{cut:?}");
        assert!(!cut.to_string().contains("canary"), "{cut}");
    }

    #[tokio::test]
    async fn an_answer_that_stalls_is_given_up_in_time() {
        for (headers, sent) in
            [("Content-Length: 8\r\n", b"1234".as_slice()), ("Transfer-Encoding: chunked\r\n", b"3\r\n123\r\n")]
        {
            let stalled = tokio::time::timeout(Duration::from_secs(30), read(headers, sent, true)).await.unwrap();
            let error = stalled.unwrap_err();
            assert!(matches!(&error, BodyError::Lost(error) if error.is_timeout()), "{error:?}");
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }
}
