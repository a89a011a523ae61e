//! The figures of a process at an address of their own (`METRICS_BIND`).
//!
//! The exporter's own listener is not used: with no file handle left it fails to accept again and again without a pause, each time with a
//! line in the log, and it keeps clients that say nothing for ever.

use std::{convert::Infallible, io, net::SocketAddr, pin::Pin, time::Duration};

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

/// Clients at a time; others wait until one has its answer.
const CLIENTS: usize = 16;
/// How long a client may take for its request and for its answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// The longest head of a request.
const HEAD_BYTES: usize = 8 * 1024;
/// After this long it is tried again to accept, as when the process has no file handle left.
const ACCEPT_AGAIN: Duration = Duration::from_millis(500);
/// How often the figures are condensed.
const UPKEEP: Duration = Duration::from_secs(5);

/// Serves the figures for as long as it is run.
pub type Serving = Pin<Box<dyn Future<Output = Infallible> + Send>>;

/// Takes the address at once; inside the async runtime.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

pub(super) async fn serve(listener: TcpListener, figures: PrometheusHandle, patience: Duration) -> Infallible {
    let mut upkeep = interval(UPKEEP);
    upkeep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut clients = JoinSet::new();
    let mut failing = false;
    loop {
        tokio::select! {
            _ = upkeep.tick() => figures.run_upkeep(),
            Some(_) = clients.join_next() => {}
            accepted = listener.accept(), if clients.len() < CLIENTS => match accepted {
                Ok((client, _)) => {
                    failing = false;
                    clients.spawn(timeout(patience, answer(client, figures.clone())));
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "the figures cannot be asked for at METRICS_BIND; it is tried again");
                    }
                    sleep(ACCEPT_AGAIN).await;
                }
            }
        }
    }
}

/// Whatever is asked for: there is nothing else here, but for `/health`.
async fn answer(mut client: TcpStream, figures: PrometheusHandle) -> io::Result<()> {
    let mut head = Vec::with_capacity(1024);
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        if head.len() > HEAD_BYTES || client.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let health = [&b"GET /health "[..], b"GET /health?"].iter().any(|start| head.starts_with(start));
    let body = if health { "OK".to_owned() } else { figures.render() };
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n"
    );
    client.write_all(answer.as_bytes()).await?;
    if !head.starts_with(b"HEAD ") {
        client.write_all(body.as_bytes()).await?;
    }
    client.shutdown().await
}

#[cfg(test)]
mod tests {
    use metrics::{Key, Level, Metadata, Recorder as _};
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    async fn ask(address: SocketAddr, request: &str) -> String {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn figures_are_told_although_many_clients_say_nothing() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let metadata = Metadata::new("tests", Level::INFO, None);
        recorder.register_counter(&Key::from_name("mails_total"), &metadata).increment(7);
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let handle = recorder.handle();
        let asked = async {
            let text = ask(address, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").await;
            assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.contains("mails_total 7\n"), "{text}");
            assert!(ask(address, "GET /health HTTP/1.1\r\n\r\n").await.ends_with("\r\n\r\nOK"));
            assert!(ask(address, "HEAD / HTTP/1.1\r\n\r\n").await.ends_with("\r\n\r\n"));
            let mut silent = Vec::new();
            for _ in 0..2 * CLIENTS {
                silent.push(TcpStream::connect(address).await.unwrap());
            }
            // Each of them has its time, and no more: then it is the turn of who asks.
            assert!(ask(address, "GET / HTTP/1.0\r\n\r\n").await.contains("mails_total 7\n"));
        };
        tokio::select! {
            never = serve(listener, handle, Duration::from_millis(200)) => match never {},
            asked = timeout(PATIENCE, asked) => asked.unwrap(),
        }
    }
}
