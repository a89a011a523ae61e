//! A client that costs little: bytes that were made before, one task per connection, all in one thread.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::process;

/// A connection with what was read of it.
pub struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("connect to the API");
        stream.set_nodelay(true).expect("set TCP_NODELAY");
        Self { stream, read: Vec::with_capacity(2_048) }
    }

    pub async fn send(&mut self, request: &[u8]) {
        self.stream.write_all(request).await.expect("send a request");
    }

    /// Reads the answer; its status and body.
    pub async fn answer(&mut self) -> (u16, Vec<u8>) {
        self.answer_with(|status, body| (status, body.to_vec())).await
    }

    /// Reads the answer, and looks at its status and body where they lie.
    pub async fn answer_with<T>(&mut self, look: impl FnOnce(u16, &[u8]) -> T) -> T {
        let (head, length) = loop {
            if let Some(end) = head_end(&self.read) {
                break (end, length(&self.read[..end]));
            }
            self.more().await;
        };
        while self.read.len() < head + length {
            self.more().await;
        }
        let status = std::str::from_utf8(&self.read[9..12]).ok().and_then(|text| text.parse().ok()).expect("a status");
        let seen = look(status, &self.read[head..head + length]);
        self.read.drain(..head + length);
        seen
    }

    /// Reads until these bytes have come, and forgets everything up to them.
    pub async fn until(&mut self, bytes: &[u8]) {
        loop {
            if let Some(end) = find(&self.read, bytes) {
                self.read.drain(..end + bytes.len());
                return;
            }
            self.more().await;
        }
    }

    async fn more(&mut self) {
        let many = self.stream.read_buf(&mut self.read).await.expect("read an answer");
        assert!(many > 0, "the API closed a connection after {:?}", String::from_utf8_lossy(&self.read));
    }
}

/// Where the body begins. Of four bytes in a row that are sought, one stands at each fourth place.
fn head_end(text: &[u8]) -> Option<usize> {
    let mut at = 3;
    while let Some(byte) = text.get(at) {
        if matches!(byte, b'\r' | b'\n')
            && let Some(place) = find(&text[at - 3..text.len().min(at + 4)], b"\r\n\r\n")
        {
            return Some(at - 3 + place + 4);
        }
        at += 4;
    }
    None
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

fn length(head: &[u8]) -> usize {
    let name = b"\r\ncontent-length: ";
    let start = find(head, name).expect("an answer with a length") + name.len();
    let digits = head[start..].iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0'))
}

/// What a measurement found.
pub struct Found {
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// Processor time of the client, for each request.
    pub client_cpu_us: f64,
}

/// Sends so many requests over so many connections, one after the other on each, and expects this status of all of them, and
/// this text in their bodies. `write` writes the request of a number.
pub fn send_all(
    address: SocketAddr,
    connections: u32,
    requests: u32,
    (status, text): (u16, &'static [u8]),
    write: impl Fn(u32, &mut Vec<u8>) + Send + 'static,
) -> Found {
    let one_thread = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    one_thread.block_on(async {
        let write = &write;
        let open = join_all((0..connections).map(|_| Connection::open(address))).await;
        let (began, busy) = (Instant::now(), process::thread_cpu_seconds());
        let all = open.into_iter().zip(0..).map(async |(mut connection, first)| {
            let mut request = Vec::with_capacity(1_024);
            let mut took = Vec::new();
            for number in (first..requests).step_by(usize::try_from(connections).expect("few")) {
                request.clear();
                write(number, &mut request);
                let asked = Instant::now();
                connection.send(&request).await;
                let expected = |found, body: &[u8]| {
                    let right = found == status && find(body, text).is_some();
                    assert!(right, "{found}: {}", String::from_utf8_lossy(body));
                };
                connection.answer_with(expected).await;
                took.push(asked.elapsed());
            }
            took
        });
        let took: Vec<Duration> = join_all(all).await.into_iter().flatten().collect();
        let per_second = f64::from(requests) / began.elapsed().as_secs_f64();
        let client_cpu_us = (process::thread_cpu_seconds() - busy) * 1e6 / f64::from(requests);
        Found { per_second, p50_ms: quantile(&took, 50), p99_ms: quantile(&took, 99), client_cpu_us }
    })
}

/// In milliseconds.
pub fn quantile(took: &[Duration], percent: usize) -> f64 {
    let mut sorted = took.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).map_or(f64::INFINITY, |time| time.as_secs_f64() * 1000.0)
}
