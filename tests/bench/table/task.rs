//! The measurements of the table, and in which order they are made.

use crate::contestant::Contestant;
use crate::enqueue::{self, Way};
use crate::latency;
use crate::lifecycle::{Life, Plan};
use crate::table::figures::{Found, Sync};
use crate::{backlog, bed, lanes, limit, pipeline, product, shards};

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    pub one: usize,
    pub concurrent: usize,
    pub life: usize,
    pub peer_life: usize,
    pub backlog: usize,
    pub lanes: usize,
    pub latency: usize,
    pub product: usize,
    pub mails: usize,
}

impl Sizes {
    pub const FULL: Self = Self {
        one: 10_000,
        concurrent: 50_000,
        life: 200_000,
        peer_life: 60_000,
        backlog: 1_000_000,
        lanes: 10_000,
        latency: 500,
        product: 100_000,
        mails: 50,
    };
    pub const QUICK: Self = Self {
        one: 4_000,
        concurrent: 30_000,
        life: 100_000,
        peer_life: 20_000,
        latency: 200,
        product: 50_000,
        mails: 20,
        ..Self::FULL
    };
    pub const TINY: Self = Self {
        one: 50,
        concurrent: 200,
        life: 1_000,
        peer_life: 200,
        backlog: 2_000,
        lanes: 20,
        latency: 5,
        product: 0,
        mails: 0,
    };

    const fn life_of(self, contestant: Contestant) -> usize {
        if matches!(contestant, Contestant::Engine | Contestant::Limit) { self.life } else { self.peer_life }
    }
}

/// Each peer at its best.
#[derive(Debug, Clone)]
pub struct Tuned {
    pub in_flight: usize,
    pub bullmq: usize,
    pub stock: usize,
}

impl Default for Tuned {
    fn default() -> Self {
        Self { in_flight: 64, bullmq: 64, stock: 256 }
    }
}

impl Tuned {
    fn plan(&self, contestant: Contestant, jobs: usize) -> Plan {
        let mut plan = Plan::new(contestant, jobs);
        match contestant {
            Contestant::Bullmq => plan.concurrency = self.bullmq,
            Contestant::Stock => plan.concurrency = self.stock,
            Contestant::Engine | Contestant::Limit => {}
        }
        plan
    }
}

/// Tries each peer at several settings, with fewer jobs, and keeps the fastest.
pub async fn tune(contestants: &[Contestant], sizes: Sizes) -> Tuned {
    let mut tuned = Tuned::default();
    let sync = Some(Sync::Everysec.name());
    for contestant in contestants.iter().copied() {
        let tried: &[usize] = match contestant {
            Contestant::Bullmq => &[1, 16, 64, 256],
            Contestant::Stock => &[10, 64, 256, 512],
            Contestant::Limit | Contestant::Engine => continue,
        };
        let (mut drains, mut enqueues) = (Vec::new(), Vec::new());
        for setting in tried.iter().copied() {
            let plan = Plan { concurrency: setting, ..Plan::new(contestant, sizes.peer_life / 4) };
            drains.push((Life::live(plan, sync).await.drain_per_s, setting));
            if contestant == Contestant::Bullmq {
                let way = Way::Concurrent { in_flight: setting };
                enqueues.push((enqueue::measure(contestant, way, sizes.concurrent / 5, sync).await, setting));
            }
        }
        let best = |all: &[(f64, usize)]| all.iter().max_by(|a, b| a.0.total_cmp(&b.0)).map(|found| found.1);
        if contestant == Contestant::Bullmq {
            tuned.bullmq = best(&drains).unwrap_or(tuned.bullmq);
            tuned.in_flight = best(&enqueues).unwrap_or(tuned.in_flight);
        } else {
            tuned.stock = best(&drains).unwrap_or(tuned.stock);
        }
    }
    tuned
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    One(Contestant),
    Concurrent(Contestant),
    Life(Contestant, usize),
    Backlog { many: bool },
    Lanes { many: bool },
    Shards { servers: usize },
    Latency(Contestant),
    Product,
    Pipeline,
}

/// All tasks, by scenario and setting of the log. Within a scenario they rotate.
pub fn plan(contestants: &[Contestant], short: bool, servers: bool) -> Vec<(&'static str, Sync, Vec<Task>)> {
    let mut plan = Vec::new();
    for sync in [Sync::Everysec, Sync::Always] {
        let few = short && sync == Sync::Always;
        let own = |contestant: &Contestant| matches!(contestant, Contestant::Engine | Contestant::Limit);
        let here: Vec<Contestant> = contestants.iter().copied().filter(|who| !few || own(who)).collect();
        let mut lives: Vec<Task> = here.iter().map(|who| Task::Life(*who, 1)).collect();
        if !few {
            lives.extend([Task::Life(Contestant::Engine, 2), Task::Life(Contestant::Engine, 4)]);
        }
        plan.push(("enqueue-one", sync, here.iter().map(|who| Task::One(*who)).collect()));
        plan.push(("enqueue-concurrent", sync, here.iter().map(|who| Task::Concurrent(*who)).collect()));
        plan.push(("bulk, drain, memory", sync, lives));
        if !few {
            plan.push(("backlog", sync, vec![Task::Backlog { many: false }, Task::Backlog { many: true }]));
            plan.push(("lanes", sync, vec![Task::Lanes { many: false }, Task::Lanes { many: true }]));
        }
        if servers && !few {
            plan.push(("shards", sync, vec![Task::Shards { servers: 1 }, Task::Shards { servers: 2 }]));
        }
        // Stock looks for work now and then only: its idle latency is many seconds by design.
        let latencies = here.iter().filter(|who| **who != Contestant::Stock);
        plan.push(("latency", sync, latencies.map(|who| Task::Latency(*who)).collect()));
        if !few {
            plan.push(("the product", sync, vec![Task::Product]));
        }
    }
    plan.push(("the product", Sync::Always, vec![Task::Pipeline]));
    plan
}

impl Task {
    /// Measured in the first run only, because it takes long and is compared with nothing.
    pub fn once(self) -> bool {
        self == Self::Pipeline
    }

    pub async fn measure(self, sync: Sync, sizes: Sizes, tuned: &Tuned) -> Found {
        let name = Some(sync.name());
        match self {
            Self::One(who) => {
                // Every call waits for the disk here.
                let jobs = if sync == Sync::Always { sizes.one / 4 } else { sizes.one };
                Found::one("enqueue-one", who.name(), enqueue::measure(who, Way::One, jobs, name).await)
            }
            Self::Concurrent(who) => {
                let in_flight = if who == Contestant::Bullmq { tuned.in_flight } else { 64 };
                let per_s = enqueue::measure(who, Way::Concurrent { in_flight }, sizes.concurrent, name).await;
                Found::one("enqueue-concurrent", who.name(), per_s)
            }
            Self::Life(Contestant::Limit, _) => {
                let bed = bed::Bed::start(name).await;
                let (push, pop) = limit::bulk_and_drain(&bed, sizes.life).await;
                let with_status = limit::drain_with_status(&bed, sizes.life).await;
                let who = || Contestant::Limit.name().to_owned();
                let figures = vec![
                    ("enqueue-bulk", who(), push),
                    ("drain", who(), pop),
                    ("drain", format!("{} with status", who()), with_status),
                ];
                Found { figures, ..Found::default() }
            }
            Self::Life(who, processes) => {
                let plan = Plan { processes, ..tuned.plan(who, sizes.life_of(who)) };
                life(&Life::live(plan, name).await, who, processes)
            }
            Self::Backlog { many } => {
                let (who, waiting) = if many { ("many", sizes.backlog) } else { ("10,000", sizes.backlog.min(10_000)) };
                let least = limit::backlog_with_status(&bed::Bed::start(name).await, waiting).await;
                let figures = vec![
                    ("backlog", who.to_owned(), backlog::measure(waiting, name).await),
                    ("backlog", format!("limit with status, {who}"), least),
                ];
                Found { figures, ..Found::default() }
            }
            Self::Lanes { many } => {
                let (who, count) = if many { ("many, limited", sizes.lanes) } else { ("one, free", 0) };
                let (life, _) = lanes::measure(count, sizes.lanes * lanes::DEPTH, name).await;
                let found = Found::one("lanes", who, life.drain_per_s);
                Found { lost: life.lost, repeated: life.repeated, ..found }
            }
            Self::Shards { servers } => {
                let who = || format!("on {servers} Redis");
                let (life, _) = shards::measure(servers, sizes.life, name).await;
                let figures =
                    vec![("shards, bulk", who(), life.bulk_per_s), ("shards, drain", who(), life.drain_per_s)];
                Found { figures, lost: life.lost, repeated: life.repeated, ..Found::default() }
            }
            Self::Latency(who) => {
                let (latency, lost, repeated) = latency::measure(who, sizes.latency, name).await;
                let who = || who.name().to_owned();
                let figures = vec![("latency p50", who(), latency.p50), ("latency p99", who(), latency.p99)];
                Found { figures, lost, repeated, ..Found::default() }
            }
            Self::Product if sizes.product == 0 => Found::default(),
            Self::Product => product(
                &product::run(sizes.product, 512, name).await.json(),
                "drain, product",
                &[("drained_jobs_per_s", "worker process")],
            ),
            Self::Pipeline if sizes.mails == 0 => Found::default(),
            Self::Pipeline => product(
                &pipeline::run(sizes.mails).await.json(),
                "pipeline, product",
                &[("one_by_one_p95_s", "one by one, p95 s"), ("at_once_p95_s", "all at once, p95 s")],
            ),
        }
    }
}

fn life(life: &Life, who: Contestant, processes: usize) -> Found {
    let name = || who.name().to_owned();
    let figures = if processes == 1 {
        vec![
            ("enqueue-bulk", name(), life.bulk_per_s),
            ("drain", name(), life.drain_per_s),
            ("memory, pending", name(), life.pending_bytes),
            ("memory, finished", name(), life.finished_bytes),
        ]
    } else {
        vec![("drain", format!("{} × {processes}", name()), life.drain_per_s)]
    };
    Found { figures, lost: life.lost, repeated: life.repeated, ..Found::default() }
}

/// Figures of a scenario that has a report of its own.
fn product(report: &serde_json::Value, scenario: &'static str, wanted: &[(&str, &str)]) -> Found {
    let figure =
        |(field, who): &(&str, &str)| (scenario, (*who).to_owned(), report[field].as_f64().unwrap_or(f64::NAN));
    let broken = report["broken"].as_array().into_iter().flatten().map(|what| format!("{scenario}: {what}"));
    Found { figures: wanted.iter().map(figure).collect(), broken: broken.collect(), ..Found::default() }
}
