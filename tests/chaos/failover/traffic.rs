//! Callers that enqueue all the time, and remember what they were promised.

use std::collections::HashSet;
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};
use std::time::Duration;

use postrider_queue::{NewJob, QueueClient, Tenant};
use postrider_shared::jobs::diagnostic::DiagnosticSleep;
use tokio::{task::JoinSet, time::Instant};

/// Each enqueues for tenants of its own, so that a shard without a server holds up only its own callers.
const CALLERS: usize = 16;
const JOBS_A_CALL: usize = 8;
/// A pause between calls, so that the workers follow.
const PAUSE: Duration = Duration::from_millis(40);

/// A call that was answered.
#[derive(Debug, Clone)]
pub struct Promise {
    pub caller: usize,
    /// Ids of its jobs.
    pub jobs: Vec<String>,
    /// When its successful try was sent, and when it was answered.
    pub sent: Instant,
    pub answered: Instant,
}

pub struct Traffic {
    promises: Arc<Mutex<Vec<Promise>>>,
    unanswered: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    callers: JoinSet<()>,
}

impl Traffic {
    /// Callers that repeat a call under the same ids until it is answered, or until they are told to stop.
    pub fn start(client: &QueueClient, name: &str) -> Self {
        let (promises, unanswered) = (Arc::<Mutex<Vec<Promise>>>::default(), Arc::<AtomicUsize>::default());
        let stop = Arc::new(AtomicBool::new(false));
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let (client, promises, unanswered) = (client.clone(), Arc::clone(&promises), Arc::clone(&unanswered));
            let (stop, tenant) = (Arc::clone(&stop), Tenant::parse(format!("{name}-{caller}")).expect("a tenant"));
            callers.spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    let jobs: Vec<NewJob> = (0..JOBS_A_CALL).map(|_| sleep(&client, &tenant)).collect();
                    let sent = loop {
                        let sent = Instant::now();
                        if client.enqueue_many(jobs.clone()).await.is_ok() {
                            break Some(sent);
                        }
                        unanswered.fetch_add(1, Ordering::SeqCst);
                        if stop.load(Ordering::SeqCst) {
                            break None;
                        }
                        tokio::time::sleep(PAUSE).await;
                    };
                    if let Some(sent) = sent {
                        let jobs = jobs.iter().filter_map(|job| job.id).map(|id| id.to_string()).collect();
                        let promise = Promise { caller, jobs, sent, answered: Instant::now() };
                        promises.lock().unwrap_or_else(PoisonError::into_inner).push(promise);
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            });
        }
        Self { promises, unanswered, stop, callers }
    }

    pub fn promises(&self) -> Vec<Promise> {
        self.promises.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Calls that were not answered, or refused.
    pub fn unanswered(&self) -> usize {
        self.unanswered.load(Ordering::SeqCst)
    }

    /// Of each caller, the first promise for a call sent after this time, once all have one.
    pub fn all_taken_since(&self, since: Instant) -> Option<Vec<Promise>> {
        let mut first: Vec<Option<Promise>> = vec![None; CALLERS];
        for promise in self.promises() {
            if promise.sent >= since && first[promise.caller].is_none() {
                let caller = promise.caller;
                first[caller] = Some(promise);
            }
        }
        first.into_iter().collect()
    }

    /// Ends the callers, and returns what they were promised.
    pub async fn stop(mut self) -> Vec<Promise> {
        self.stop.store(true, Ordering::SeqCst);
        while self.callers.join_next().await.is_some() {}
        self.promises()
    }
}

pub fn ids(promises: &[Promise]) -> HashSet<String> {
    promises.iter().flat_map(|promise| promise.jobs.iter().cloned()).collect()
}

fn sleep(client: &QueueClient, tenant: &Tenant) -> NewJob {
    let job = NewJob::of(tenant.clone(), &DiagnosticSleep { ms: 20, lane: None }).expect("a job");
    job.with_id(client.job_id(tenant))
}
