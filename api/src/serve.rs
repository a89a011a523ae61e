//! Serving, and stopping without cutting anybody off.

mod bounds;
mod head;
mod passing;
mod places;
mod refusal;
mod wire;

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use futures::TryFutureExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use postrider_shared::signals;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service as _;

use crate::limits::Peer;
use crate::problem::{Problem, ProblemType};

pub use bounds::Bounds;

use places::{NoPlace, Place, Places};
use wire::{Turns, Wire};

/// Largest head of a request; more is answered with 431.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// How many clients are told at a time that there is no place for them; more are just not served.
const REFUSING: usize = 256;

/// How long after the signal to stop a client may take for the rest of a head.
const LAST_HEAD: Duration = Duration::from_secs(2);

/// After this long it is tried again to accept when the process has no file handle left.
const ACCEPT_AGAIN: Duration = Duration::from_millis(500);

/// Serves until `stopping` is cancelled and the open requests have ended, at most the grace time later.
pub async fn until_stopped(listener: TcpListener, routes: Router, bounds: Bounds, stopping: CancellationToken) {
    let places = Places::new(&bounds);
    let refusing = Arc::new(Semaphore::new(REFUSING));
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => match places.take(peer.ip()) {
                Ok(place) => {
                    let client = Client { stream, peer: peer.ip(), place };
                    // A token of its own: one that all share is locked by each of them whenever it is looked at.
                    connections.spawn(client.serve(routes.clone(), &bounds, stopping.child_token()));
                }
                Err(why) => {
                    metrics::counter!("http_refused_total", "limit" => why.limit()).increment(1);
                    if let Ok(permit) = Arc::clone(&refusing).try_acquire_owned() {
                        connections.spawn(async move {
                            wire::refuse(stream, &why.problem()).await;
                            drop(permit);
                        });
                    }
                }
            },
            Err(error) if is_of_one_client(&error) => {}
            Err(error) => {
                tracing::error!(%error, "connections cannot be accepted");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(bounds.grace, connections.wait()).await.is_err() {
        tracing::warn!(grace_s = bounds.grace.as_secs(), "requests were still open at the end of the grace time");
    }
}

impl NoPlace {
    fn limit(self) -> &'static str {
        match self {
            Self::Anybody => "connections",
            Self::Address => "address_connections",
        }
    }

    fn problem(self) -> Problem {
        match self {
            Self::Anybody => Problem::new(ProblemType::Overloaded, ""),
            Self::Address => Problem::new(ProblemType::TooManyRequests, "This address has too many connections open.")
                .retry_after(Duration::from_secs(1)),
        }
    }
}

/// Somebody who is connected.
struct Client {
    stream: TcpStream,
    peer: IpAddr,
    place: Place,
}

impl Client {
    /// Serves until somebody ends the connection. No `async fn`: that would keep room for what it is given beside what it makes of it.
    fn serve(
        self,
        routes: Router,
        bounds: &Bounds,
        stopping: CancellationToken,
    ) -> impl Future<Output = ()> + Send + use<> {
        let Self { stream, peer, place } = self;
        let head_time = bounds.head;
        // Answers are small and awaited; a failure here costs only some milliseconds each.
        let _ = stream.set_nodelay(true);
        let turns = Turns::default();
        let wire = TokioIo::new(Wire::new(stream, turns.clone(), bounds));
        let requests = turns.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let turn = requests.begin();
            let mut request = head::detached(request);
            request.extensions_mut().insert(Peer(peer));
            routes.clone().call(request).map_ok(|response| passing::until_passed_on(response, turn))
        });
        // HTTP/1 only: telling versions apart would wait for the first bytes without a limit.
        let mut serving = http1::Builder::new().max_buf_size(MAX_HEAD_BYTES).serve_connection(wire, service);
        async move {
            let ended = tokio::select! {
                ended = &mut serving => Some(ended),
                () = stopping.cancelled() => None,
            };
            let ended = if let Some(ended) = ended {
                ended
            } else {
                Pin::new(&mut serving).graceful_shutdown();
                match tokio::time::timeout(LAST_HEAD, &mut serving).await {
                    Ok(ended) => ended,
                    Err(_) if turns.is_between() => Ok(()),
                    Err(_) => (&mut serving).await,
                }
            };
            if let Err(error) = ended {
                tracing::debug!(error = &error as &dyn std::error::Error, "a connection ended early");
                // In a box: it is rare, and larger than all else of a connection.
                Box::pin(tell_why(serving.into_parts().io.into_inner(), &error, head_time)).await;
            }
            drop(place);
        }
    }
}

/// Tells a client why its connection ends, if it was not told.
async fn tell_why(wire: Wire, error: &hyper::Error, head_time: Duration) {
    if wire.head_is_late() {
        let told = format!("The head of the request did not end within {} seconds.", head_time.as_secs());
        wire.refuse(&Problem::new(ProblemType::RequestTimeout, told)).await;
    } else if wire.has_refused() {
        wire.linger().await;
    } else if error.is_parse() {
        wire.refuse(&Problem::new(ProblemType::MalformedRequest, "")).await;
    }
}

/// Whether only the connection that was about to be accepted is lost.
fn is_of_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

/// Cancels `stopping` at SIGTERM or SIGINT, which are caught from this call on.
///
/// # Errors
/// When signals cannot be caught.
pub fn stop_signal(stopping: CancellationToken) -> io::Result<impl Future<Output = ()> + Send + use<>> {
    let told = signals::told_to_stop()?;
    Ok(async move {
        let name = told.await;
        tracing::info!(signal = name, "stopping; a second signal ends this process at once");
        stopping.cancel();
    })
}
