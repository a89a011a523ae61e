//! Clients that send slowly, read slowly, or hold many connections, keep nothing from the others and nothing for long.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use postrider_api::{router::router, serve, serve::Bounds};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::api::Api;
use crate::wait::until;

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(300);
const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Bounds that nothing reaches.
fn wide() -> Bounds {
    Bounds {
        head: LONG,
        idle: LONG,
        stall: LONG,
        grace: LONG,
        connections: 100,
        per_address: 100,
        proxies: postrider_shared::config::Networks::default(),
    }
}

/// What a client may do with the serving, besides connecting.
#[derive(Clone)]
struct Serving {
    /// Begins the stop.
    stopping: CancellationToken,
    /// The stop is over.
    over: CancellationToken,
}

/// Runs a client against these routes within these bounds; the serving ends when the client has, at the latest after a minute.
async fn serving(bounds: Bounds, routes: Router, client: impl AsyncFnOnce(SocketAddr, Serving)) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = Serving { stopping: CancellationToken::new(), over: CancellationToken::new() };
    let served = async {
        serve::until_stopped(listener, routes, bounds, serving.stopping.clone()).await;
        serving.over.cancel();
    };
    let client = async {
        client(address, serving.clone()).await;
        serving.stopping.cancel();
    };
    tokio::time::timeout(Duration::from_secs(60), async { tokio::join!(served, client) }).await.unwrap();
    nobody_listens(address).await;
}

async fn nobody_listens(address: SocketAddr) {
    until("nobody listens any more", async || TcpStream::connect(address).await.err()).await;
}

async fn send(address: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

/// Everything until the other side ends the connection.
async fn rest(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

/// Reads a head and no more.
async fn healthy(stream: &mut TcpStream) {
    stream.write_all(HEALTH.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    while !text.ends_with(b"}") {
        text.push(stream.read_u8().await.unwrap());
    }
    assert!(text.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", String::from_utf8_lossy(&text));
}

/// Checks that the text is one answer with this problem, whole and in the right form.
fn is_problem(text: &str, slug: &str) {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let body: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(body["type"], format!("/problems/{slug}"), "{text}");
    assert!(head.starts_with(&format!("HTTP/1.1 {} ", body["status"])), "{text}");
    for line in [
        "content-type: application/problem+json",
        "connection: close",
        &format!("content-length: {}", text.len() - head.len() - 4),
    ] {
        assert!(head.to_ascii_lowercase().lines().any(|found| found == line), "{line}: {text}");
    }
    let request_id = body["request_id"].as_str().unwrap();
    assert!(head.contains(&format!("x-request-id: {request_id}")), "{text}");
}

#[tokio::test]
async fn a_head_that_does_not_end_is_told_so_and_a_pause_between_requests_is_not() {
    let api = Api::start().await;
    let routes = router(api.app.clone()).unwrap();
    serving(Bounds { head: SHORT, ..wide() }, routes, async |address, _| {
        let mut idle = send(address, "").await;
        let began = Instant::now();
        let mut drops = send(address, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await;
        // Each byte is progress, and none of it counts.
        let dropping = async {
            while drops.write_all(b"x").await.is_ok() && began.elapsed() < LONG {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let half = send(address, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await;
        let (told, ()) = tokio::join!(rest(half), dropping);
        is_problem(&told, "request-timeout");
        assert!(began.elapsed() >= SHORT);
        // The second request of a connection has as long as the first, however long ago that was.
        healthy(&mut idle).await;
        healthy(&mut idle).await;
        idle.write_all(b"GET /healthz HTTP/1.1\r\n").await.unwrap();
        is_problem(&rest(idle).await, "request-timeout");
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_is_not_used_is_closed_and_one_that_waits_for_its_answer_is_not() {
    let routes = Router::new()
        .route("/healthz", get(async || "{}"))
        .route("/slow", get(async || tokio::time::sleep(SHORT * 3).await))
        .route(
            "/stream",
            get(async || {
                let pieces = futures::stream::unfold(0, async |number| {
                    tokio::time::sleep(SHORT * 2).await;
                    (number < 2)
                        .then_some((Ok::<_, std::convert::Infallible>(Bytes::from_static(b"piece")), number + 1))
                });
                Body::from_stream(pieces)
            }),
        );
    serving(Bounds { idle: SHORT, ..wide() }, routes, async |address, _| {
        for opening in ["", HEALTH] {
            let began = Instant::now();
            let unused = rest(send(address, opening).await).await;
            assert_eq!(unused.is_empty(), opening.is_empty(), "{unused}");
            assert!(began.elapsed() >= SHORT);
        }
        let slow = rest(send(address, "GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n").await).await;
        assert!(slow.starts_with("HTTP/1.1 200 OK\r\n"), "{slow}");
        let stream = rest(send(address, "GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n").await).await;
        assert!(stream.ends_with("5\r\npiece\r\n5\r\npiece\r\n0\r\n\r\n"), "{stream}");
    })
    .await;
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_is_let_go() {
    const MANY: usize = 256 * 1024 * 1024;
    let routes = Router::new().route("/large", get(async || vec![b'x'; MANY]));
    serving(Bounds { stall: SHORT, ..wide() }, routes, async |address, serving| {
        let mut stalled = send(address, "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        stalled.readable().await.unwrap();
        // The stop waits for whatever is under way, and this is not for long.
        serving.stopping.cancel();
        serving.over.cancelled().await;
        let (mut piece, mut bytes) = (vec![0; 1024 * 1024], 0);
        while let Ok(more @ 1..) = stalled.read(&mut piece).await {
            bytes += more;
        }
        assert!(bytes < MANY, "{bytes}");
    })
    .await;
}

#[tokio::test]
async fn a_stop_waits_for_answers_and_not_for_heads() {
    let api = Api::start().await;
    let routes = router(api.app.clone()).unwrap();
    serving(wide(), routes, async |address, serving| {
        // One that was served before would be let go at once; the first head of a connection is waited for.
        let mut half = send(address, "GET /healthz HTTP/1.1\r\nHost: ").await;
        let mut idle = send(address, "").await;
        for _ in 0..10 {
            healthy(&mut idle).await;
        }
        serving.stopping.cancel();
        assert_eq!(rest(idle).await, "");
        half.read_to_end(&mut Vec::new()).await.ok();
    })
    .await;

    // What is under way is answered, and what does not end is cut.
    let (begun, stopped) = (Arc::new(Semaphore::new(0)), Arc::new(Notify::new()));
    let slow = {
        let (begun, stopped) = (Arc::clone(&begun), Arc::clone(&stopped));
        async move || {
            begun.add_permits(1);
            stopped.notified().await;
        }
    };
    let never = {
        let begun = Arc::clone(&begun);
        async move || {
            begun.add_permits(1);
            std::future::pending::<()>().await;
        }
    };
    let routes = Router::new().route("/slow", get(slow)).route("/never", get(never));
    serving(Bounds { grace: SHORT * 10, ..wide() }, routes, async |address, serving| {
        let never = send(address, "GET /never HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        let slow = send(address, "GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        let _ = begun.acquire_many(2).await.unwrap();
        serving.stopping.cancel();
        nobody_listens(address).await;
        stopped.notify_one();
        let answer = rest(slow).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        serving.over.cancelled().await;
        drop(never);
    })
    .await;
}

#[tokio::test]
async fn connections_are_bounded_by_address_and_in_all() {
    let api = Api::start().await;
    let routes = router(api.app.clone()).unwrap();
    let from = async |host: &str, address: SocketAddr| {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(host.parse().unwrap(), 0)).unwrap();
        socket.connect(address).await.unwrap()
    };
    let bounds = Bounds { connections: 3, per_address: 2, ..wide() };
    serving(bounds, routes, async |address, _| {
        let (mut one, mut two) = (from("127.0.0.1", address).await, from("127.0.0.1", address).await);
        healthy(&mut one).await;
        healthy(&mut two).await;
        // Whether it has sent its request already or says nothing.
        for opening in ["", HEALTH] {
            let mut three = from("127.0.0.1", address).await;
            three.write_all(opening.as_bytes()).await.unwrap();
            is_problem(&rest(three).await, "too-many-requests");
        }
        let mut other = from("127.0.0.2", address).await;
        healthy(&mut other).await;
        is_problem(&rest(from("127.0.0.3", address).await).await, "overloaded");
        healthy(&mut one).await;
        // A place is free again as soon as its connection has gone.
        drop(two);
        until("the place of who has gone is free", async || {
            let mut again = from("127.0.0.1", address).await;
            again.write_all(HEALTH.as_bytes()).await.unwrap();
            let mut status = [0; 12];
            again.read_exact(&mut status).await.unwrap();
            (&status == b"HTTP/1.1 200").then_some(())
        })
        .await;
    })
    .await;
}
