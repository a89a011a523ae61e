//! Connections that a caller drives in its own task.
//!
//! The shared connection of a server has a task of its own: a call is handed over to it and its answer back, which is two
//! wake-ups of threads and takes longer than Redis does. Here the caller's task writes and reads by itself. Whoever finds
//! no such connection free uses the shared one, as everybody does over TLS, behind Sentinels and on a cluster.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, RedisError, Value,
    aio::{ConnectionLike, MultiplexedConnection},
};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};

use super::{HUNG_AFTER, eager::Eager, following::stale};
use crate::address;

/// So many calls to a server can be driven by their callers at the same time.
const MOST: usize = 2;
/// Opening is done by a caller who has just heard of the server, so it takes no longer than that; if it does, it is left.
const OPEN_WITHIN: Duration = Duration::from_millis(100);
/// After one that was left, nobody tries for so long: a server far away, or one that takes no more connections, would delay
/// every call.
const OPEN_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// One connection, and the future that moves its bytes.
struct Line {
    connection: MultiplexedConnection,
    driver: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Line {
    async fn open(client: &Client) -> Option<Self> {
        let info = client.get_connection_info();
        let ConnectionAddr::Tcp(host, port) = info.addr() else {
            return None;
        };
        let stream = TcpStream::connect((host.as_str(), *port)).await.ok()?;
        address::tune(&stream).ok()?;
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(HUNG_AFTER));
        let opened =
            MultiplexedConnection::new_with_config(info.redis_settings(), Eager::new(stream).ok()?, config).await;
        let (connection, driver) = opened.ok()?;
        Some(Self { connection, driver: Box::pin(driver) })
    }

    async fn ask(&mut self, command: &Cmd) -> Result<Value, RedisError> {
        let Self { connection, driver } = self;
        let mut call = pin!(connection.req_packed_command(command));
        let mut broken = false;
        poll_fn(|cx| {
            // The call is looked at before the driver, to give it what is to be written, and after, to take what was read.
            let mut answer = call.as_mut().poll(cx);
            while answer.is_pending() && !broken {
                // Once to write, and once more to look for the answer (eager.rs).
                broken = driver.as_mut().poll(cx).is_ready() || driver.as_mut().poll(cx).is_ready();
                answer = call.as_mut().poll(cx);
                if !broken {
                    break;
                }
            }
            answer
        })
        .await?
        .extract_error()
    }
}

/// The connections of this kind to one server.
pub(super) struct Lines {
    client: Client,
    idle: Mutex<Vec<Line>>,
    /// Idle, in use, and being opened.
    open: AtomicUsize,
    /// Until then none is opened.
    left_till: Mutex<Option<Instant>>,
}

/// A line in use. It is idle again only after a whole answer: whoever stops waiting before leaves it unusable.
struct Taken<'a> {
    lines: &'a Lines,
    line: Option<Line>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.lines.open.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Lines {
    /// None if the server is reached in a way that only the shared connection knows.
    pub(super) fn to(client: &Client) -> Option<Self> {
        matches!(client.get_connection_info().addr(), ConnectionAddr::Tcp(..)).then(|| Self {
            client: client.clone(),
            idle: Mutex::default(),
            open: AtomicUsize::new(0),
            left_till: Mutex::default(),
        })
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Line>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks on a free line. None if there is none, or if it broke, hangs or leads to a server that is no master any more: then
    /// the command may or may not have been carried out.
    pub(super) async fn ask(&self, command: &Cmd) -> Option<Result<Value, RedisError>> {
        let line = self.idle().pop()?;
        let mut taken = Taken { lines: self, line: Some(line) };
        let answer = taken.line.as_mut()?.ask(command).await;
        match &answer {
            Err(error) if stale(error) => {
                self.give_up();
                return None;
            }
            _ => {
                self.open.fetch_add(1, Ordering::AcqRel);
                self.idle().extend(taken.line.take());
            }
        }
        Some(answer)
    }

    /// What happened to one has happened to all.
    fn give_up(&self) {
        let gone = std::mem::take(&mut *self.idle());
        self.open.fetch_sub(gone.len(), Ordering::AcqRel);
    }

    /// Opens what is missing. To be called when the server answers.
    pub(super) async fn extend(&self) {
        let left_till = || self.left_till.lock().unwrap_or_else(PoisonError::into_inner);
        if left_till().is_some_and(|till| Instant::now() < till) {
            return;
        }
        while self
            .open
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |open| (open < MOST).then_some(open + 1))
            .is_ok()
        {
            let mut opening = Taken { lines: self, line: None };
            opening.line = timeout(OPEN_WITHIN, Line::open(&self.client)).await.ok().flatten();
            if opening.line.is_none() {
                *left_till() = Some(Instant::now() + OPEN_AGAIN_AFTER);
                return;
            }
            self.open.fetch_add(1, Ordering::AcqRel);
            self.idle().extend(opening.line.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use redis::Client;
    use tokio::net::TcpListener;

    use super::{Lines, OPEN_WITHIN};

    #[tokio::test]
    async fn callers_do_not_wait_again_and_again_for_a_line_that_does_not_open() {
        // Takes connections and says nothing, as one does that is far away.
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", silent.local_addr().unwrap());
        let lines = Lines::to(&Client::open(url).unwrap()).unwrap();
        lines.extend().await;
        let asked = Instant::now();
        for _ in 0..100 {
            lines.extend().await;
        }
        assert!(asked.elapsed() < 10 * OPEN_WITHIN + Duration::from_secs(1), "{:?}", asked.elapsed());
    }
}
