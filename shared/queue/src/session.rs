//! One process's standing with the queue: a session per shard, its leases, and the tasks that keep it.
//!
//! Each shard knows the process under an own random token, because a shard that took the process for dead (it was stopped,
//! or Redis lost data) must not touch the leases held in other shards. Per shard one call is on its way at a time: a turn
//! that delivers outcomes and claims jobs. It is repeated under its number until it is answered.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{
    claim::{Claimed, Interrupt, Lease},
    client::QueueClient,
    error::QueueError,
    id::JobId,
    policy::Policies,
    record::JobRecord,
    script, wire,
    worker::WorkerConfig,
};

#[cfg(test)]
mod charged;
#[cfg(test)]
mod clock_set_back;
mod close;
mod driver;
mod early_cancels;
mod heartbeat;
#[cfg(test)]
mod in_slices;
#[cfg(test)]
mod large_jobs;
mod orphans;
mod settling;
mod suspects;
mod turn;
mod unknown_kind;
#[cfg(test)]
mod waking_in_slices;

pub use close::SessionHandle;
pub(crate) use settling::{Run, Settling};
#[cfg(test)]
pub(crate) use turn::{Answer, Turn, Verdict, args as turn_args, read as read_turn};

/// Most lines of a log in one call.
const MAX_LINES: usize = 64;

/// A turn without an answer for so long keeps no other waiting: its part of a cluster may be away.
const OVERDUE: Duration = Duration::from_millis(100);
/// Nor does one to a server that has always been slow.
const MOST_PATIENCE: Duration = Duration::from_millis(500);

/// Name of a session in one shard.
pub(crate) type Token = [u8; 8];

/// What the driver is asked to do.
pub(crate) enum Command {
    /// Deliver this outcome.
    Settle(Box<Settling>),
    /// A shard can be claimed from.
    Opened(u16),
    /// A turn that is overdue or was refused gave its room to others.
    GaveUp,
    /// Claim no more.
    StopClaiming,
    /// Answer when every outcome so far has been delivered.
    Flush(oneshot::Sender<()>),
    /// Hand out a suspect.
    Suspect(Box<suspects::Suspect>),
    /// Return a job that was not handed out.
    GiveBack(Box<Settling>),
    /// End by itself once nothing is held.
    Finish,
}

/// Shared by the backend, its leases and its tasks.
pub(crate) struct Session {
    pub(crate) client: QueueClient,
    pub(crate) config: WorkerConfig,
    pub(crate) policies: Arc<dyn Policies>,
    pub(crate) commands: mpsc::UnboundedSender<Command>,
    /// Ends all tasks of the session.
    pub(crate) stop: CancellationToken,
    /// Asks for a heartbeat at once.
    pub(crate) beat: Notify,
    pub(crate) running: AtomicUsize,
    /// Under which idle workers are told of work: 16 characters.
    pub(crate) worker: String,
    claiming: AtomicBool,
    /// Suspects were seen waiting.
    suspects_wait: Notify,
    suspects_in_hand: AtomicUsize,
    /// Jobs wanted by turns that are overdue or were refused: others may claim in their place.
    given_up: AtomicUsize,
    shards: Vec<ShardSession>,
    holds: Mutex<HashMap<JobId, Weak<Hold>>>,
    started: Instant,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("config", &self.config).finish_non_exhaustive()
    }
}

struct ShardSession {
    token: Mutex<Token>,
    opened: AtomicBool,
    /// Nanoseconds since `Session::started`.
    expires: AtomicU64,
    /// How long the last answer to a turn took, in nanoseconds.
    turn_took: AtomicU64,
    /// Calls for suspects, begun and ended: odd while one is under way.
    suspect_calls: AtomicU64,
}

impl Session {
    /// Opens a session and starts its tasks; claims arrive in batches.
    pub(crate) fn start(
        client: &QueueClient,
        config: WorkerConfig,
        policies: Arc<dyn Policies>,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Vec<Claimed>>) {
        let (commands, receiver) = mpsc::unbounded_channel();
        let (claims, claimed) = mpsc::unbounded_channel();
        let shard = |_| ShardSession {
            token: Mutex::new(rand::random()),
            opened: AtomicBool::new(false),
            expires: AtomicU64::new(0),
            turn_took: AtomicU64::new(0),
            suspect_calls: AtomicU64::new(0),
        };
        let session = Arc::new(Self {
            client: client.clone(),
            config,
            policies,
            commands,
            stop: CancellationToken::new(),
            beat: Notify::new(),
            running: AtomicUsize::new(0),
            worker: format!("{:016x}", rand::random::<u64>()),
            claiming: AtomicBool::new(true),
            suspects_wait: Notify::new(),
            suspects_in_hand: AtomicUsize::new(0),
            given_up: AtomicUsize::new(0),
            shards: (0..client.shards()).map(shard).collect(),
            holds: Mutex::default(),
            started: Instant::now(),
        });
        let tasks = client.tasks();
        for server in 0..client.link().servers() {
            tasks.spawn(until(session.stop.clone(), heartbeat::beat(Arc::clone(&session), server)));
            tasks.spawn(until(session.stop.clone(), heartbeat::maintain(Arc::clone(&session), server)));
        }
        tasks.spawn(until(session.stop.clone(), driver::drive(Arc::clone(&session), receiver, claims)));
        if session.config.suspects {
            tasks.spawn(until(session.stop.clone(), suspects::take(Arc::clone(&session))));
        }
        (session, claimed)
    }

    fn holds(&self) -> MutexGuard<'_, HashMap<JobId, Weak<Hold>>> {
        self.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shard(&self, shard: u16) -> &ShardSession {
        &self.shards[usize::from(shard)]
    }

    pub(crate) fn token(&self, shard: u16) -> Token {
        *self.shard(shard).token.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_open(&self, shard: u16) -> bool {
        self.shard(shard).opened.load(Ordering::Acquire)
    }

    fn expires_at(&self, shard: u16) -> Instant {
        self.started + Duration::from_nanos(self.shard(shard).expires.load(Ordering::Acquire))
    }

    fn suspect_calls(&self, shard: u16) -> &AtomicU64 {
        &self.shard(shard).suspect_calls
    }

    fn turn_took(&self, shard: u16, time: Duration) {
        self.shard(shard).turn_took.store(nanos(time), Ordering::Release);
    }

    /// How long a turn keeps the room for the jobs it asks for. Where answers take long as a rule, they are waited for longer:
    /// room that is given up too soon is claimed for twice, and what there is no room for has to be given back.
    fn patience(&self, shard: u16) -> Duration {
        let usual = Duration::from_nanos(self.shard(shard).turn_took.load(Ordering::Acquire));
        (2 * usual).clamp(OVERDUE, MOST_PATIENCE)
    }

    /// The shard confirmed the session by a call sent at this time.
    fn confirmed(&self, shard: u16, sent: Instant) {
        let expires = (sent + self.config.session_ttl).duration_since(self.started);
        self.shard(shard).expires.fetch_max(nanos(expires), Ordering::AcqRel);
        if !self.shard(shard).opened.swap(true, Ordering::AcqRel) {
            let _ = self.commands.send(Command::Opened(shard));
        }
    }

    /// The shard does not know this token any more: every lease under it is lost, and a new session begins.
    fn gone(&self, shard: u16, token: Token) {
        let of_shard = self.shard(shard);
        {
            let mut current = of_shard.token.lock().unwrap_or_else(PoisonError::into_inner);
            if *current != token {
                return;
            }
            *current = rand::random();
        }
        of_shard.opened.store(false, Ordering::Release);
        let mut lost: usize = 0;
        let holds: Vec<_> = self.holds().values().filter_map(Weak::upgrade).collect();
        for hold in holds.iter().filter(|hold| hold.id.shard() == shard && hold.token == token) {
            hold.lose();
            lost += 1;
        }
        metrics::counter!("postrider_queue_leases_lost_total").increment(lost as u64);
        tracing::warn!(shard, leases = lost, "the session was taken for dead; a new one begins");
        self.beat.notify_waiters();
    }

    fn hold(self: &Arc<Self>, record: &JobRecord, token: Token) -> Lease {
        let id = record.id;
        let hold = Arc::new(Hold {
            session: Arc::clone(self),
            id,
            epoch: record.epoch,
            token,
            suspect: record.crashes >= Claimed::SUSPECT_FROM,
            // The shard may have given the session up while the answer travelled.
            lost: AtomicBool::new(token != self.token(id.shard())),
            cancelled: AtomicBool::new(record.cancel_requested),
            settled: AtomicBool::new(false),
            told: Notify::new(),
        });
        self.holds().insert(id, Arc::downgrade(&hold));
        Lease(hold)
    }

    fn suspect_ended(&self) {
        self.suspects_in_hand.store(0, Ordering::Release);
        self.suspects_wait.notify_one();
    }

    fn cancel(&self, id: JobId) {
        let hold = self.holds().get(&id).and_then(Weak::upgrade);
        if let Some(hold) = hold {
            hold.cancelled.store(true, Ordering::Release);
            hold.told.notify_waiters();
        }
    }
}

/// What a lease points to.
pub(crate) struct Hold {
    session: Arc<Session>,
    id: JobId,
    epoch: u32,
    token: Token,
    suspect: bool,
    lost: AtomicBool,
    cancelled: AtomicBool,
    settled: AtomicBool,
    told: Notify,
}

impl std::fmt::Debug for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hold").field("id", &self.id).field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl Hold {
    pub(crate) fn lost(&self) -> bool {
        self.lost.load(Ordering::Acquire) || Instant::now() >= self.expires_at()
    }

    pub(crate) fn cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    pub(crate) fn expires_at(&self) -> Instant {
        self.session.expires_at(self.id.shard())
    }

    fn lose(&self) {
        self.lost.store(true, Ordering::Release);
        self.told.notify_waiters();
    }

    pub(crate) async fn interrupted(&self) -> Interrupt {
        loop {
            let told = self.told.notified();
            tokio::pin!(told);
            told.as_mut().enable(); // before looking, so that nothing said in between is missed
            if self.lost() {
                return Interrupt::Lost;
            }
            if self.cancelled() {
                return Interrupt::Cancelled;
            }
            tokio::select! {
                () = told => {}
                () = tokio::time::sleep_until(self.expires_at().into()) => {}
            }
        }
    }

    pub(crate) async fn progress(&self, progress: serde_json::Value) -> Result<(), QueueError> {
        let text = progress.to_string().into_bytes();
        if text.len() > Lease::MAX_PROGRESS_BYTES {
            return Err(QueueError::invalid("progress", format!("{} bytes, at most 8 KiB are allowed", text.len())));
        }
        let args = vec![self.token.to_vec(), self.id.tail().to_vec(), self.epoch.to_string().into_bytes(), text];
        let answer = self.session.client.link().call(&script::PROGRESS, self.id.shard(), &args).await?;
        if wire::integer(&answer)? == 0 {
            self.lose();
            return Err(QueueError::LeaseLost);
        }
        Ok(())
    }

    pub(crate) async fn log(&self, lines: Vec<String>) -> Result<(), QueueError> {
        if lines.is_empty() {
            return Ok(());
        }
        if lines.len() > MAX_LINES {
            return Err(QueueError::invalid("log", format!("{} lines, at most {MAX_LINES} a call", lines.len())));
        }
        let mut args = vec![self.token.to_vec(), self.id.tail().to_vec(), self.epoch.to_string().into_bytes()];
        args.extend(lines.into_iter().map(|line| settling::cut_to(Lease::MAX_LINE_BYTES, line).into_bytes()));
        let answer = self.session.client.link().call(&script::LOG, self.id.shard(), &args).await?;
        if wire::integer(&answer)? == 0 {
            self.lose();
            return Err(QueueError::LeaseLost);
        }
        Ok(())
    }

    /// Notes that the handler begins.
    pub(crate) async fn begin(&self) -> Result<(), QueueError> {
        let args = vec![self.token.to_vec(), self.id.tail().to_vec()];
        self.session.client.link().call(&script::STARTED, self.id.shard(), &args).await.map(drop)
    }

    /// Hands an outcome to the driver, once: only the first counts.
    pub(crate) fn settle(&self, make: impl FnOnce(JobId, u32, Token) -> Settling) {
        if !self.settled.swap(true, Ordering::AcqRel) {
            if self.suspect {
                self.session.suspect_ended();
            }
            let settling = make(self.id, self.epoch, self.token);
            let _ = self.session.commands.send(Command::Settle(Box::new(settling)));
            // After that, so that the driver always knows of the job; it may be here again already, for another run.
            let mut holds = self.session.holds();
            if holds.get(&self.id).is_some_and(|hold| std::ptr::eq(hold.as_ptr(), self)) {
                holds.remove(&self.id);
            }
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // Nobody will settle it any more: it goes back without an attempt.
        self.settle(Settling::release);
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Runs a task of the session until the session stops. It stops with the first that ends, however that comes: one with a heart but
/// nobody who works would keep its jobs from everybody else.
async fn until(stop: CancellationToken, task: impl Future<Output = ()> + Send) {
    let _ends_all = stop.clone().drop_guard();
    stop.run_until_cancelled(task).await;
}
