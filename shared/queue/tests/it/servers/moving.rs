//! A shard moves to another server while everything runs.

mod interrupted;

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::future::{join, join_all};
use postrider_queue::{
    IdempotencyKey, JobId, JobState, MAX_PAYLOAD_BYTES, NewJob, QueueClient, QueueConfig, QueueError,
};

use crate::server::{PATIENCE, Server, WORK, config, done, job, until, until_state, work};

const SHARDS: u16 = 2;

async fn connect(servers: [&Server; 2]) -> QueueClient {
    let urls = servers.map(Server::url).join(",");
    QueueClient::connect(QueueConfig::new(urls).shards(SHARDS)).await.unwrap()
}

/// A tenant of the shard.
fn tenant_of(client: &QueueClient, shard: u16) -> String {
    let names = (0..).map(|n| format!("t{n}"));
    names.into_iter().find(|name| client.shard_of(&crate::server::tenant(name)) == shard).unwrap()
}

async fn keys_of(server: &Server, shard: u16) -> HashSet<String> {
    let keys: Vec<String> =
        redis::cmd("KEYS").arg(format!("{{pr:{shard}}}:*")).query_async(&mut server.redis().await).await.unwrap();
    keys.into_iter().collect()
}

/// Two servers, and a client that knows them in this order.
struct Pair {
    /// Where shard 0 is, the [`SOURCE`] of its moves.
    source: Server,
    /// Where it goes, their [`TARGET`].
    target: Server,
    client: QueueClient,
    /// Whose jobs are in shard 0.
    tenant: String,
}

const SOURCE: usize = 0;
const TARGET: usize = 1;

impl Pair {
    async fn start() -> Self {
        let (one, two) = (Server::start().await, Server::start().await);
        let home = connect([&one, &two]).await.home_of(0);
        let (source, target) = if home == 0 { (one, two) } else { (two, one) };
        let client = connect([&source, &target]).await;
        let tenant = tenant_of(&client, 0);
        Self { source, target, client, tenant }
    }

    /// A job in shard 0.
    fn job(&self) -> NewJob {
        job(&self.tenant)
    }
}

async fn command(server: &Server, words: &[&str]) -> redis::Value {
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    command.query_async(&mut server.redis().await).await.unwrap()
}

type Runs = Arc<Mutex<HashMap<JobId, usize>>>;

#[tokio::test]
async fn under_load_nothing_is_lost_and_nothing_repeated() {
    let (one, two) = (Server::start().await, Server::start().await);
    let client = connect([&one, &two]).await;
    let runs: Runs = Arc::default();
    // Workers and callers are processes of their own, one of which names the servers in another order.
    let others = [connect([&one, &two]).await, connect([&two, &one]).await];
    let workers: Vec<_> = others
        .iter()
        .map(|other| {
            let runs = Arc::clone(&runs);
            work(other, config(8), move |claimed| {
                *runs.lock().unwrap().entry(claimed.id).or_default() += 1;
                async move {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    done()
                }
            })
        })
        .collect();
    let over = AtomicBool::new(false);
    // One for each shard, so that the other goes on while one is closed.
    let callers = join_all((0..SHARDS).zip(&others).map(|(shard, other)| {
        let over = &over;
        async move {
            let mut accepted = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let n = accepted.len();
                let job = job(&tenant_of(other, shard)).with_id_of(other, shard, n);
                until("it is accepted", || async { other.enqueue(job.clone()).await.ok() }).await;
                accepted.push(job.id.unwrap());
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            accepted
        }
    }));
    let moving = async {
        let mut count = 0;
        for _ in 0..2 {
            for shard in 0..SHARDS {
                let to = 1 - client.home_of(shard);
                let from = [&one, &two][client.home_of(shard)];
                let moved = client.move_shard(shard, to, PATIENCE).await.unwrap();
                assert!(moved.keys > 0);
                assert_eq!(client.home_of(shard), to);
                let left = keys_of(from, shard).await;
                assert_eq!(left, HashSet::from([format!("{{pr:{shard}}}:1:gate")]), "nothing stays but the sign");
                count += 1;
            }
        }
        over.store(true, Ordering::Relaxed);
        count
    };
    let (accepted, moves) = join(callers, moving).await;
    let accepted: Vec<JobId> = accepted.into_iter().flatten().collect();
    for id in &accepted {
        until_state(&client, *id, JobState::Completed).await;
    }
    for worker in workers {
        worker.stop().await;
    }
    let runs = runs.lock().unwrap();
    let repeated = runs.values().filter(|runs| **runs > 1).count();
    assert_eq!((moves, runs.len(), repeated), (4, accepted.len(), 0));
    assert!(accepted.len() > 50, "{}", accepted.len());
}

trait Named {
    fn with_id_of(self, client: &QueueClient, caller: u16, n: usize) -> Self;
}

impl Named for NewJob {
    /// An id of its own, so that a call that was answered "come back" is repeated under it.
    fn with_id_of(self, client: &QueueClient, caller: u16, n: usize) -> Self {
        let id = client.derived_job_id(&self.tenant, &[&caller.to_string(), &n.to_string()]);
        self.with_id(id)
    }
}

#[tokio::test]
async fn everything_of_a_shard_goes_along() {
    let pair = Pair::start().await;
    let client = &pair.client;
    // More than fits one step: a large hash, list and sorted set.
    let later = "2099-01-01T00:00:00Z".parse().unwrap();
    let one_job = client.enqueue(pair.job()).await.unwrap().id();
    let soon = client.get(one_job).await.unwrap().unwrap().enqueued_at + chrono::TimeDelta::hours(1);
    let mut jobs: Vec<NewJob> = (0..600).map(|_| pair.job()).collect();
    jobs.extend((0..600).map(|_| NewJob { run_at: Some(soon), ..pair.job() }));
    jobs.extend((0..600).map(|_| NewJob { run_at: Some(later), ..pair.job() }));
    client.enqueue_many(jobs).await.unwrap();
    let key = IdempotencyKey { key: "order 7".to_owned(), fingerprint: "f".to_owned() };
    let with_key = NewJob { idempotency_key: Some(key), ..pair.job() }.unique_key("the only one");
    let first = client.enqueue(with_key.clone()).await.unwrap();
    let before = client.queue(&WORK).await.unwrap();

    let moved = client.move_shard(0, TARGET, PATIENCE).await.unwrap();
    assert!(moved.keys >= 10 && moved.closed_for < Duration::from_secs(10), "{moved:?}");
    let after = client.queue(&WORK).await.unwrap();
    assert_eq!((before.available, before.scheduled, before.lanes), (after.available, after.scheduled, after.lanes));
    assert_eq!(client.enqueue(with_key).await.unwrap().id(), first.id());
    // Another process that starts now finds it.
    let worker = work(&connect([&pair.target, &pair.source]).await, config(64), |_| async { done() });
    until("all that may run has run", || async { (client.queue(&WORK).await.unwrap().completed == 602).then_some(()) })
        .await;
    worker.stop().await;
    // Moving it where it is changes nothing.
    assert_eq!(client.move_shard(0, TARGET, PATIENCE).await.unwrap().keys, 0);
}

/// Whoever shares a server with a shard that moves waits while it reads or writes one step.
#[tokio::test]
async fn large_jobs_go_along_in_small_steps() {
    let pair = Pair::start().await;
    // Nothing that a copy could say in fewer words.
    let noise = (0..MAX_PAYLOAD_BYTES - 2).scan(1_u32, |seed, _| {
        *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some(char::from(b'a' + (*seed >> 24) as u8 % 26))
    });
    let payload = format!("\"{}\"", noise.collect::<String>()).into_bytes();
    let large = NewJob { payload: payload.clone(), ..pair.job() };
    for many in [100, 100] {
        let ids = pair.client.enqueue_many(vec![large.clone(); many]).await.unwrap();
        let (from, to) = (pair.client.home_of(0), 1 - pair.client.home_of(0));
        let source = if from == SOURCE { &pair.source } else { &pair.target };
        command(source, &["CONFIG", "RESETSTAT"]).await;
        pair.client.move_shard(0, to, PATIENCE).await.unwrap();
        let mut info = redis::cmd("INFO");
        info.arg("commandstats").arg("stats");
        let stats: String = info.query_async(&mut source.redis().await).await.unwrap();
        let figure = |name: &str| {
            let line = stats.lines().find_map(|line| line.strip_prefix(name))?;
            line.split(',').next()?.trim().parse::<usize>().ok()
        };
        let reads = figure("cmdstat_hscan:calls=").unwrap_or(0) + figure("cmdstat_dump:calls=").unwrap_or(0);
        let told = figure("total_net_output_bytes:").unwrap();
        assert!(told > many * MAX_PAYLOAD_BYTES && told / reads < 2 << 20, "{told} bytes in {reads} reads");
        assert_eq!(pair.client.get(ids[0].id()).await.unwrap().unwrap().payload, payload);
    }
}

#[tokio::test]
async fn jobs_that_run_on_keep_it_where_it_is() {
    let pair = Pair::start().await;
    let client = &pair.client;
    let (end, ended) = tokio::sync::watch::channel(false);
    let worker = work(client, config(1), move |_| {
        let mut ended = ended.clone();
        async move {
            let _ = ended.wait_for(|ended| *ended).await;
            done()
        }
    });
    let first = client.enqueue(pair.job()).await.unwrap().id();
    until_state(client, first, JobState::Running).await;
    let refused = client.move_shard(0, TARGET, Duration::from_millis(300)).await.unwrap_err();
    assert!(refused.to_string().contains("running jobs did not end"), "{refused}");
    assert_eq!(client.home_of(0), SOURCE);
    let second = client.enqueue(pair.job()).await.unwrap().id();
    end.send(true).unwrap();
    until_state(client, first, JobState::Completed).await;
    until_state(client, second, JobState::Completed).await;
    worker.stop().await;
    for (shard, to) in [(9, 0), (0, 7)] {
        let refused = client.move_shard(shard, to, PATIENCE).await.unwrap_err();
        assert!(matches!(refused, QueueError::Invalid { .. }), "{refused}");
    }
}
