//! Clients that send slowly, or not at all, hold nothing for long.

use std::time::{Duration, Instant};

use postrider_api::{router::router, serve, serve::Bounds};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::api::Api;

const HEADER_TIME: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_connection_whose_header_does_not_end_is_closed_and_a_stop_cuts_nobody_off() {
    let api = Api::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stopping = CancellationToken::new();
    let serving = serve::within(
        Bounds { header_time: HEADER_TIME, connections: 100 },
        listener,
        router(api.app.clone()).unwrap(),
        stopping.clone(),
    );

    let client = async {
        let began = Instant::now();
        for opening in ["", "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: "] {
            let mut slow = TcpStream::connect(address).await.unwrap();
            slow.write_all(opening.as_bytes()).await.unwrap();
            let mut rest = Vec::new();
            // A refusal or a plain end: both let the connection go.
            let ended = tokio::time::timeout(Duration::from_secs(10), slow.read_to_end(&mut rest)).await;
            assert!(ended.is_ok(), "still open after {:?}: {opening:?}", began.elapsed());
        }
        // An ordinary client is served, and one whose request is under way when the process stops gets its answer.
        let mut client = TcpStream::connect(address).await.unwrap();
        let request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 15];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        stopping.cancel();
    };
    tokio::time::timeout(Duration::from_secs(20), async { tokio::join!(serving, client) }).await.unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}
