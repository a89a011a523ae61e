//! Serving, and stopping without cutting anybody off.

use std::io;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long requests may finish after the signal; what still runs then is cut.
const GRACE: Duration = Duration::from_secs(20);

/// Serves until `stopping` is cancelled and the open requests have ended, at most [`GRACE`] later.
pub async fn until_stopped(listener: TcpListener, routes: Router, stopping: CancellationToken) -> io::Result<()> {
    let serving = axum::serve(listener, routes).with_graceful_shutdown(stopping.clone().cancelled_owned());
    tokio::select! {
        ended = serving.into_future() => ended,
        () = async { stopping.cancelled().await; tokio::time::sleep(GRACE).await } => {
            tracing::warn!(grace_s = GRACE.as_secs(), "requests were still open at the end of the grace time");
            Ok(())
        }
    }
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
