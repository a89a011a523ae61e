//! Who takes the steps of maintenance, and when.
//!
//! Any number of processes look after the same shards, and one step a shard and interval is enough. So they look before
//! they step, which costs next to nothing, and whoever finds that another took the last step looks more rarely: it stands
//! by. Nothing is agreed between them and nothing kept, so that the end of any process delays a step, but prevents none.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    panic::resume_unwind,
    time::Duration,
};

use futures::future::join_all;
use tokio::{
    task::JoinSet,
    time::{Instant, timeout_at},
};

use super::{QueueClient, upkeep::Ticked};
use crate::{error::QueueError, script, wire};

/// Looks are this far apart when nothing is due sooner.
const LOOK_EVERY: Duration = Duration::from_millis(200);
const LOOK_AT_ONCE: Duration = Duration::from_millis(2);
/// A pause is longer or shorter by up to this part, so that the shards of a server come one by one: each call holds up a job that
/// is enqueued or claimed in that moment, and all together would do so for as long as all of them take.
const SPREAD: f64 = 0.15;
/// Looks that take longer are waited for in the rounds that follow: the shards of a part of a cluster that hangs are no reason to
/// let others wait.
const PATIENCE: Duration = Duration::from_millis(100);
/// A step is due at least so often, whatever the lists of times say: for dead sessions, expired records, lost messages.
const STEP_EVERY: Duration = Duration::from_millis(500);
/// How often a process looks that stands by, how old it lets the last step become, and how long it leaves what is due to
/// the others. The first two together stay below the gap from which on `tick.lua` believes that Redis was away.
const STANDING_BY: Duration = Duration::from_millis(600);
const STEP_IN_AFTER: Duration = Duration::from_millis(1_000);
const LEFT_TO_OTHERS: Duration = Duration::from_millis(300);

/// How a process cares for a shard.
#[derive(Debug, Clone, Copy)]
struct Care {
    next: Instant,
    /// Another took a step since this process did.
    stands_by: bool,
    step: Step,
    /// When the last step seen was taken, by Redis's clock.
    last: i64,
    /// Suspects wait.
    suspects: bool,
    /// It has not been cared for yet.
    new: bool,
}

impl Care {
    /// How long nothing is done if nothing is due sooner. The first pauses differ from shard to shard most of all.
    fn pause(&self, about: Duration) -> Duration {
        let least = if self.new { 0.0 } else { 1.0 - SPREAD };
        about.mul_f64(rand::random_range(least..1.0 + SPREAD))
    }
}

/// What this process did when it last cared for a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Looked only.
    None,
    Finished,
    /// There is more to do: the next step follows without a look.
    Unfinished,
}

/// One process's share of the maintenance at one server.
#[derive(Debug)]
pub(crate) struct Maintenance {
    client: QueueClient,
    server: usize,
    /// Stands by whatever it sees: it is not there in time for what is due.
    reserve: bool,
    cares: HashMap<u16, Care>,
    /// Looks that are not answered yet, and their shards. They go on between two rounds, since they may hold what others wait for, such as
    /// the search for a master.
    looks: JoinSet<(u16, Looked)>,
    looked_at: HashSet<u16>,
    /// Shards that erred when their time came last.
    failed: BTreeMap<u16, QueueError>,
}

type Looked = Result<(Care, Ticked), QueueError>;

impl Maintenance {
    pub(crate) fn of(client: &QueueClient, server: usize) -> Self {
        Self {
            client: client.clone(),
            server,
            reserve: false,
            cares: HashMap::new(),
            looks: JoinSet::new(),
            looked_at: HashSet::new(),
            failed: BTreeMap::new(),
        }
    }

    /// Looks at the shards whose time has come, and takes the steps that are due. Returns what was found, and how long this
    /// process has nothing to do; and an error, as long as a shard errs. That one is tried again after a while of its own, and the
    /// others come when it is their time. One that does not answer is found in a later round.
    pub(crate) async fn round(&mut self) -> (Ticked, Duration, Option<QueueError>) {
        let now = Instant::now();
        let shards = self.client.link().shards_of(self.server);
        self.cares.retain(|shard, _| shards.contains(shard));
        self.failed.retain(|shard, _| shards.contains(shard));
        let new = Care { next: now, stands_by: self.reserve, step: Step::None, last: 0, suspects: false, new: true };
        let mut awaited = HashSet::new();
        for shard in shards {
            let care = *self.cares.entry(shard).or_insert(new);
            if care.next <= now + LOOK_AT_ONCE && self.looked_at.insert(shard) {
                awaited.insert(shard);
                let client = self.client.clone();
                self.looks.spawn(async move { (shard, look(&client, shard, care).await) });
            }
        }
        let mut ticked = Ticked::default();
        loop {
            let answer = if awaited.is_empty() {
                self.looks.try_join_next()
            } else {
                timeout_at(now + PATIENCE, self.looks.join_next()).await.ok().flatten()
            };
            match answer {
                None => break,
                Some(Ok((shard, looked))) => {
                    awaited.remove(&shard);
                    self.note(shard, looked, &mut ticked);
                }
                Some(Err(ended)) => {
                    if let Ok(panic) = ended.try_into_panic() {
                        resume_unwind(panic); // a defect, which is not to be taken for a shard that does not answer
                    }
                }
            }
        }
        if ticked.rescued > 0 {
            tracing::warn!(jobs = ticked.rescued, "took back the jobs of a dead session");
        }
        ticked.suspects = self.cares.values().any(|care| care.suspects);
        let cares = self.cares.iter().filter(|(shard, _)| !self.looked_at.contains(shard));
        let next = cares.map(|(_, care)| care.next).min();
        let pause = next.map_or(LOOK_EVERY, |next| next.saturating_duration_since(Instant::now()));
        let failed = self.failed.values().next().map(QueueError::copy);
        (ticked, if self.looks.is_empty() { pause } else { pause.min(PATIENCE) }, failed)
    }

    /// What became of a look. A shard that errs must not keep the others from their maintenance.
    fn note(&mut self, shard: u16, looked: Looked, ticked: &mut Ticked) {
        self.looked_at.remove(&shard);
        let Some(known) = self.cares.get_mut(&shard) else { return };
        match looked {
            Ok((care, found)) => {
                ticked.add(&found);
                self.failed.remove(&shard);
                *known = Care { stands_by: care.stands_by || self.reserve, ..care };
            }
            Err(error) => {
                known.next = Instant::now() + error.repeat_after();
                self.failed.insert(shard, error);
            }
        }
    }
}

async fn look(client: &QueueClient, shard: u16, mut care: Care) -> Result<(Care, Ticked), QueueError> {
    if care.step == Step::Unfinished {
        return step(client, shard, care).await;
    }
    let patience = if care.stands_by { [STEP_IN_AFTER, LEFT_TO_OTHERS] } else { [STEP_EVERY, Duration::ZERO] };
    let args = patience.map(|patience| patience.as_millis().to_string().into_bytes()).to_vec();
    let [due, last, wait, suspects] = wire::fields(client.link().call(&script::LOOK, shard, &args).await?)?;
    let last = wire::integer(&last)?;
    let by_others = last != care.last && care.step == Step::None;
    care = Care { last, suspects: wire::integer(&suspects)? == 1, ..care };
    if wire::integer(&due)? == 1 {
        return step(client, shard, care).await;
    }
    care.step = Step::None;
    let mut pause = care.pause(LOOK_EVERY);
    if by_others || care.stands_by {
        care.stands_by = true;
        pause = care.pause(STANDING_BY);
    } else if let Ok(wait) = u64::try_from(wire::integer(&wait)?) {
        pause = pause.min(Duration::from_millis(wait));
    }
    care.next = Instant::now() + pause.max(LOOK_AT_ONCE);
    Ok((Care { new: false, ..care }, Ticked::default()))
}

/// Takes a step. While there is more to do, the next one follows after as long as this one took: whatever is to be done,
/// maintenance leaves the server half of its time.
async fn step(client: &QueueClient, shard: u16, care: Care) -> Result<(Care, Ticked), QueueError> {
    let began = Instant::now();
    let ticked = client.tick_shard(shard).await?;
    let pause = if ticked.more { began.elapsed() } else { ticked.next_due.unwrap_or(LOOK_EVERY) };
    let next = Instant::now() + pause.min(care.pause(LOOK_EVERY)).max(LOOK_AT_ONCE);
    let step = if ticked.more { Step::Unfinished } else { Step::Finished };
    let care = Care { next, stands_by: false, step, suspects: ticked.suspects, new: false, ..care };
    Ok((care, ticked))
}

/// A share of the maintenance of the whole queue for a process that is no worker: it steps in where no worker does, within
/// two seconds. Workers take theirs by themselves. Any number of processes may hold one.
#[derive(Debug)]
pub struct Upkeep(Vec<Maintenance>);

impl QueueClient {
    /// A share of the maintenance, to be taken step by step.
    pub fn upkeep(&self) -> Upkeep {
        let of = |server| Maintenance { reserve: true, ..Maintenance::of(self, server) };
        Upkeep((0..self.link().servers()).map(of).collect())
    }
}

impl Upkeep {
    /// Takes the steps of maintenance that are due by now and that no other process has taken; to be called about five
    /// times a second, at once if there is [more](Ticked::more). An error is the first one; all other shards had their step.
    pub async fn step(&mut self) -> Result<Ticked, QueueError> {
        let mut ticked = Ticked::default();
        let mut failed = None;
        for (found, _, error) in join_all(self.0.iter_mut().map(Maintenance::round)).await {
            ticked.add(&found);
            failed = failed.or(error);
        }
        failed.map_or(Ok(ticked), Err)
    }
}
