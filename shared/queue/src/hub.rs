//! The one subscription of a process and server: tells waiters that a record changed, sessions that there is work or a cancel.
//!
//! Pub/sub forgets: whoever waits reads once after subscribing, and again after each reconnect, of which it is told here
//! like of a change.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{StreamExt, future::join_all};
use redis::aio::PubSub;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{error::QueueError, id::JobId, keys, link::Link};

/// A silent connection is asked whether it lives at this distance.
const PING_EVERY: Duration = Duration::from_millis(750);
/// A connection that does not answer for so long is given up.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// Whoever subscribes waits so long for the confirmation.
const CONFIRM_WITHIN: Duration = Duration::from_millis(500);
const RECONNECT_AFTER: Duration = Duration::from_millis(100);

/// What a session is told.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Signal {
    /// A queue it serves has work in this shard.
    Work(u16),
    /// This job is asked to stop.
    Cancel(JobId),
    /// Signals may have been missed.
    Reconnected,
}

#[derive(Debug, Clone)]
pub(crate) struct Hub(Arc<Shared>);

type Request = (Arc<str>, oneshot::Sender<()>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    link: Link,
    /// By server.
    requests: Vec<mpsc::UnboundedSender<Request>>,
    stop: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    waiters: HashMap<JobId, Vec<(u64, Arc<Notify>)>>,
    next_waiter: u64,
    sessions: Vec<(HashSet<String>, mpsc::UnboundedSender<Signal>)>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who wants to know of a job's changes; forgotten when dropped.
#[derive(Debug)]
pub(crate) struct Waiter {
    id: JobId,
    number: u64,
    notify: Arc<Notify>,
    hub: Hub,
}

impl Waiter {
    /// Ends when the record may have changed since the last call.
    pub(crate) async fn changed(&self) {
        self.notify.notified().await;
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut state = self.hub.0.state();
        if let Some(list) = state.waiters.get_mut(&self.id) {
            list.retain(|(number, _)| *number != self.number);
            if list.is_empty() {
                state.waiters.remove(&self.id);
            }
        }
    }
}

impl Hub {
    pub(crate) fn start(link: &Link, tasks: &TaskTracker) -> Self {
        let (requests, receivers): (Vec<_>, Vec<_>) = (0..link.servers()).map(|_| mpsc::unbounded_channel()).unzip();
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared { state: Mutex::default(), link: link.clone(), requests, stop: stop.clone() });
        for (server, receiver) in receivers.into_iter().enumerate() {
            let listener = Listener {
                server,
                link: link.clone(),
                shared: Arc::downgrade(&shared),
                channels: HashSet::new(),
                unconfirmed: Vec::new(),
                refused: false,
            };
            let stop = stop.clone();
            tasks.spawn(async move {
                stop.run_until_cancelled(listener.run(receiver)).await;
            });
        }
        Self(shared)
    }

    /// A waiter for a job, subscribed by now (or as soon as Redis is back).
    pub(crate) async fn waiter(&self, id: JobId) -> Waiter {
        let notify = Arc::new(Notify::new());
        let number = {
            let mut state = self.0.state();
            state.next_waiter += 1;
            let number = state.next_waiter;
            state.waiters.entry(id).or_default().push((number, Arc::clone(&notify)));
            number
        };
        // Before anything is waited for: whoever stops waiting meanwhile is forgotten, too.
        let waiter = Waiter { id, number, notify, hub: self.clone() };
        self.subscribe(keys::events_channel(id.shard()), Some(self.0.link.home(id.shard()))).await;
        waiter
    }

    /// Signals for the session of this worker, which serves these queues.
    pub(crate) async fn session(&self, worker: &str, queues: &[String]) -> mpsc::UnboundedReceiver<Signal> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut channels: HashSet<String> = queues.iter().map(|queue| keys::wake_channel(queue)).collect();
        channels.insert(keys::worker_channel(worker));
        self.0.state().sessions.push((channels.clone(), sender));
        let channels = channels.into_iter().chain([keys::cancel_channel()]);
        join_all(channels.map(|channel| self.subscribe(channel, None))).await;
        receiver
    }

    /// Subscribes at all servers, because a shard may move. Waits for the confirmation of the one that matters now, or of all,
    /// but not for a Redis that is away: after a reconnect everybody is told to look again.
    async fn subscribe(&self, channel: String, at: Option<usize>) {
        let (channel, mut confirmations) = (Arc::<str>::from(channel), Vec::new());
        for (server, requests) in self.0.requests.iter().enumerate() {
            let (done, confirmed) = oneshot::channel();
            if requests.send((Arc::clone(&channel), done)).is_ok() && at.is_none_or(|at| at == server) {
                confirmations.push(confirmed);
            }
        }
        let _ = tokio::time::timeout(CONFIRM_WITHIN, join_all(confirmations)).await;
    }
}

/// A connection into a network that swallows everything must not be waited for.
async fn answered<T>(answer: impl Future<Output = redis::RedisResult<T>>) -> redis::RedisResult<T> {
    let late = |_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into());
    tokio::time::timeout(ANSWER_WITHIN, answer).await.unwrap_or_else(late)
}

struct Listener {
    server: usize,
    link: Link,
    shared: std::sync::Weak<Shared>,
    channels: HashSet<Arc<str>>,
    /// Who waits until these are subscribed.
    unconfirmed: Vec<oneshot::Sender<()>>,
    /// It was said that the server refuses the subscription.
    refused: bool,
}

impl Listener {
    async fn run(mut self, mut requests: mpsc::UnboundedReceiver<Request>) {
        // Nobody listens yet: do not connect before somebody does.
        let Some(first) = requests.recv().await else {
            return;
        };
        self.note(first);
        loop {
            let master = self.master();
            let subscription = async { self.link.at(self.server)?.subscription().await };
            let ended = match subscription.await {
                Ok(connection) => self.listen(connection, master, &mut requests).await,
                Err(error) => Err(error),
            };
            let pause = ended.map_or_else(|error| self.lost(error), |()| RECONNECT_AFTER);
            tokio::time::sleep(pause).await;
            // Whoever gave up waiting for a server that is away is not remembered until it is back.
            while let Ok(request) = requests.try_recv() {
                self.note(request);
            }
            self.unconfirmed.retain(|done| !done.is_closed());
        }
    }

    /// Says what keeps it from listening, if a person has to mend that: once, and not for each time it is tried. Returns when that is next.
    fn lost(&mut self, error: QueueError) -> Duration {
        let pause = error.repeat_after();
        if error.is_transient() {
            tracing::debug!(%error, "no subscription, it will be made again");
        } else if !std::mem::replace(&mut self.refused, true) {
            let error = self.link.explain(self.server, error);
            tracing::warn!(%error, "Redis refuses the subscription: until it is mended, jobs start and waits end seconds late");
        }
        pause
    }

    fn note(&mut self, (channel, done): Request) {
        self.channels.insert(channel);
        if !done.is_closed() {
            self.unconfirmed.push(done);
        }
    }

    async fn listen(
        &mut self,
        connection: PubSub,
        master: Option<u64>,
        requests: &mut mpsc::UnboundedReceiver<Request>,
    ) -> Result<(), QueueError> {
        let (mut sink, mut messages) = connection.split();
        for channel in &self.channels {
            answered(sink.subscribe(&**channel)).await?;
        }
        for done in self.unconfirmed.drain(..) {
            let _ = done.send(());
        }
        self.tell_all();
        if std::mem::take(&mut self.refused) {
            tracing::info!("Redis takes the subscription again");
        }
        let mut ping = tokio::time::interval(PING_EVERY);
        loop {
            tokio::select! {
                message = messages.next() => match message {
                    Some(message) => self.dispatch(message.get_channel_name(), message.get_payload_bytes()),
                    None => return Ok(()),
                },
                request = requests.recv() => {
                    let Some((channel, done)) = request else { return Ok(()) };
                    if self.channels.insert(Arc::clone(&channel)) {
                        answered(sink.subscribe(&*channel)).await?;
                    }
                    let _ = done.send(());
                }
                _ = ping.tick() => {
                    if self.master() != master {
                        return Ok(()); // messages come from the new one
                    }
                    let _: redis::Value = answered(sink.ping()).await?;
                }
            }
        }
    }

    /// Changes with the master, if that may change.
    fn master(&self) -> Option<u64> {
        Some(self.link.at(self.server).ok()?.master_number())
    }

    fn tell_all(&self) {
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        let mut state = shared.state();
        for (_, notify) in state.waiters.values().flatten() {
            notify.notify_one();
        }
        state.sessions.retain(|(_, sender)| sender.send(Signal::Reconnected).is_ok());
    }

    fn dispatch(&self, channel: &str, payload: &[u8]) {
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        let mut state = shared.state();
        if let Some(shard) = keys::shard_of_events_channel(channel) {
            if state.waiters.is_empty() {
                return;
            }
            for tail in payload.chunks_exact(14) {
                let Ok(id) = JobId::from_tail(shard, tail) else {
                    continue;
                };
                for (_, notify) in state.waiters.get(&id).into_iter().flatten() {
                    notify.notify_one();
                }
            }
        } else if channel == keys::cancel_channel() {
            let mut words = payload.splitn(2, |byte| *byte == b' ');
            let home = words.next().and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
            if let (Some(home), Some(tail)) = (home, words.next())
                && let Ok(id) = JobId::from_tail(home, tail)
            {
                state.sessions.retain(|(_, sender)| sender.send(Signal::Cancel(id)).is_ok());
            }
        } else if let Some(shard) = std::str::from_utf8(payload).ok().and_then(|text| text.parse().ok()) {
            state
                .sessions
                .retain(|(channels, sender)| !channels.contains(channel) || sender.send(Signal::Work(shard)).is_ok());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::Arc,
        time::{Duration, Instant},
    };

    use futures::FutureExt;
    use tokio::sync::oneshot;

    use crate::{id::JobId, leaping::Server};

    #[tokio::test]
    async fn whoever_stops_waiting_before_it_is_subscribed_is_forgotten() {
        let server = Server::start();
        let client = server.client().await;
        let subscribed = client.hub().waiter(JobId::random(0)).now_or_never();
        assert!(subscribed.is_none(), "it takes a moment");
        assert_eq!(client.hub().0.state().waiters.len(), 0);
    }

    #[tokio::test]
    async fn while_a_server_is_away_nobody_who_gave_up_is_remembered() {
        let server = Server::start();
        let client = server.client().await;
        drop(client.hub().waiter(JobId::random(0)).await);
        drop(server);
        let channel: Arc<str> = "a channel".into();
        for _ in 0..1_000 {
            client.hub().0.requests[0].send((Arc::clone(&channel), oneshot::channel().0)).unwrap();
        }
        let (waits, confirmed) = oneshot::channel();
        client.hub().0.requests[0].send((Arc::clone(&channel), waits)).unwrap();
        let began = Instant::now();
        while Arc::strong_count(&channel) > 2 {
            assert!(began.elapsed() < Duration::from_secs(20), "{} are remembered", Arc::strong_count(&channel));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(confirmed.now_or_never().is_none(), "who waits is told when it is back");
    }
}
