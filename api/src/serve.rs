//! Serving, and stopping without cutting anybody off.

use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::limits::Peer;
use crate::problem::{MEDIA_TYPE, Problem, ProblemType};

/// How long requests may finish after the signal; what still runs then is cut.
const GRACE: Duration = Duration::from_secs(20);

/// How long a client may take for a request's header, and how long a connection may be idle between two. A client that sends
/// its header byte by byte would otherwise hold a connection for ever.
const HEADER_TIME: Duration = Duration::from_secs(30);

/// Largest head of a request; more is answered with 431. hyper does so by itself, without a body.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// How long a client may take to read that there are too many connections.
const REFUSE_WITHIN: Duration = Duration::from_millis(200);

/// After this long it is tried again to accept when the process has no file handle left.
const ACCEPT_AGAIN: Duration = Duration::from_millis(500);

/// Takes as many file handles as the system gives: the usual soft limit of 1,024 is soon reached by clients that wait.
pub fn raise_handles() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let most = getrlimit(Resource::Nofile).maximum;
    Ok(setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most })?)
}

/// Serves until `stopping` is cancelled and the open requests have ended, at most [`GRACE`] later.
pub async fn until_stopped(listener: TcpListener, routes: Router, connections: usize, stopping: CancellationToken) {
    within(Bounds { header_time: HEADER_TIME, connections }, listener, routes, stopping).await;
}

/// What connections may take.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// For a request's header, and between two requests.
    pub header_time: Duration,
    /// Open ones.
    pub connections: usize,
}

/// [`until_stopped`] with other bounds.
pub async fn within(bounds: Bounds, listener: TcpListener, routes: Router, stopping: CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) if connections.len() >= bounds.connections => {
                connections.spawn(refuse(stream));
            }
            Ok((stream, peer)) => {
                let serving = connection(stream, routes.clone(), Peer(peer.ip()), bounds.header_time, stopping.clone());
                connections.spawn(serving);
            }
            Err(error) if is_of_one_client(&error) => {}
            Err(error) => {
                tracing::error!(%error, "connections cannot be accepted");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(GRACE, connections.wait()).await.is_err() {
        tracing::warn!(grace_s = GRACE.as_secs(), "requests were still open at the end of the grace time");
    }
}

/// Tells a client that there are too many, in the words of the catalogue. It may have sent nothing yet, so nobody waits for it.
async fn refuse(mut stream: TcpStream) {
    let document = serde_json::to_string(&Problem::new(ProblemType::Overloaded, "").document()).unwrap_or_default();
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: {MEDIA_TYPE}\r\nretry-after: 1\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n",
        document.len()
    );
    let told = async {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(document.as_bytes()).await?;
        stream.shutdown().await
    };
    // Whoever does not read it does without.
    let _ = tokio::time::timeout(REFUSE_WITHIN, told).await;
}

async fn connection(stream: TcpStream, routes: Router, peer: Peer, header_time: Duration, stopping: CancellationToken) {
    // Answers are small and awaited; a failure here costs only some milliseconds each.
    let _ = stream.set_nodelay(true);
    // HTTP/1 only: telling versions apart would wait for the first bytes without a limit.
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(header_time).max_buf_size(MAX_HEAD_BYTES);
    let routes = tower::util::MapRequest::new(routes, move |mut request: axum::http::Request<_>| {
        request.extensions_mut().insert(peer);
        request
    });
    let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes)));
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = stopping.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error, "a connection ended early");
    }
}

/// Whether only the connection that was about to be accepted is lost.
fn is_of_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

/// Cancels `stopping` at SIGTERM or SIGINT.
pub async fn stop_signal(stopping: CancellationToken) {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        tracing::error!("signals cannot be caught, so a stop will not be graceful");
        return;
    };
    let name = tokio::select! {
        _ = term.recv() => "SIGTERM",
        _ = int.recv() => "SIGINT",
    };
    tracing::info!(signal = name, "stopping");
    stopping.cancel();
}
