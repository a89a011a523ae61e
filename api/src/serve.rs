//! Serving, and stopping without cutting anybody off.

use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long requests may finish after the signal; what still runs then is cut.
const GRACE: Duration = Duration::from_secs(20);

/// How long a client may take for a request's header, and how long a connection may be idle between two. A client that sends
/// its header byte by byte would otherwise hold a connection for ever.
const HEADER_TIME: Duration = Duration::from_secs(30);

/// After this long it is tried again to accept when the process has no file handle left.
const ACCEPT_AGAIN: Duration = Duration::from_millis(500);

/// Serves until `stopping` is cancelled and the open requests have ended, at most [`GRACE`] later.
pub async fn until_stopped(listener: TcpListener, routes: Router, stopping: CancellationToken) {
    within(HEADER_TIME, listener, routes, stopping).await;
}

/// [`until_stopped`] with another time for headers.
pub async fn within(header_time: Duration, listener: TcpListener, routes: Router, stopping: CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, routes.clone(), header_time, stopping.clone()));
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

async fn connection(stream: TcpStream, routes: Router, header_time: Duration, stopping: CancellationToken) {
    // Answers are small and awaited; a failure here costs only some milliseconds each.
    let _ = stream.set_nodelay(true);
    // HTTP/1 only: telling versions apart would wait for the first bytes without a limit.
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(header_time);
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
