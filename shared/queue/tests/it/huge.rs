//! Everything is huge: however much is due, held by a dead session, dead, finished, cancelled or parked, one call of a script
//! issues a bounded number of commands about a bounded number of things. Time is measured by `examples/huge`; here it is
//! counted, so that the answer is the same on every machine.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::StreamExt;
use postrider_queue::{
    BatchId, CapSpec, Lane, LaneName, Links, NewJob, QueueClient, ScopeKey, ScopeLimits, Stop, Window, script_name,
};

use crate::server::{Server, WORK, config, done, job, tenant, until, work};

/// So many of everything.
const MANY: u32 = 10_000;
/// A call may issue so many commands, with so many arguments together, although there are more things of each kind.
const MOST_COMMANDS: usize = 4_000;
const MOST_ARGUMENTS: usize = 9_000;

/// What the largest call of a script did.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Call {
    pub(crate) commands: usize,
    pub(crate) arguments: usize,
}

/// Watches what scripts do, by Redis's `MONITOR`.
#[derive(Clone, Default)]
pub(crate) struct Watch {
    largest: Arc<Mutex<BTreeMap<&'static str, Call>>>,
}

impl Watch {
    pub(crate) async fn over(server: &Server) -> Self {
        let watch = Self::default();
        let client = redis::Client::open(server.url()).unwrap();
        let monitor = client.get_async_monitor().await.unwrap();
        let seen = watch.clone();
        #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
        tokio::spawn(async move {
            let mut lines = monitor.into_on_message::<String>();
            let (mut script, mut call) = ("", Call::default());
            while let Some(line) = lines.next().await {
                // A script is told before what it does.
                if !line.contains(" lua] ") {
                    script = line.split('"').nth(3).and_then(script_name).unwrap_or_default();
                    call = Call::default();
                } else if !script.is_empty() {
                    call.commands += 1;
                    call.arguments += line.matches("\" \"").count();
                    let mut largest = seen.largest.lock().unwrap();
                    let most = largest.entry(script).or_default();
                    most.commands = most.commands.max(call.commands);
                    most.arguments = most.arguments.max(call.arguments);
                }
            }
        });
        watch
    }

    /// The largest calls so far.
    pub(crate) fn seen(&self) -> BTreeMap<&'static str, Call> {
        self.largest.lock().unwrap().clone()
    }

    /// No call since the last look was too large.
    fn all_bounded(&self, phase: &str) {
        for (script, Call { commands, arguments }) in std::mem::take(&mut *self.largest.lock().unwrap()) {
            eprintln!("{phase:<32} {script:<14} at most {commands:>5} commands, {arguments:>6} arguments");
            let bounded = commands <= MOST_COMMANDS && arguments <= MOST_ARGUMENTS;
            assert!(bounded, "{phase}: a call of {script} issued {commands} commands with {arguments} arguments");
        }
    }
}

/// Takes what waits out of the only lane as if a session had claimed it that died.
const DIE: &str = include_str!("../die.lua");

fn short(n: u32) -> NewJob {
    NewJob { keep: Duration::from_secs(1), payload: format!("{{\"n\":{n}}}").into_bytes(), ..job("acme") }
}

/// Takes steps of maintenance until this is so.
async fn maintain(client: &QueueClient, what: &str, finished: impl AsyncFn() -> bool) {
    until(what, || async { (!client.tick().await.unwrap().more && finished().await).then_some(()) }).await;
}

/// Runs everything that is available; jobs with an odd payload die.
async fn drain(client: &QueueClient) {
    let worker = work(client, config(512), |claimed| async move {
        let odd = claimed.payload.iter().rev().nth(1).is_some_and(|digit| digit % 2 == 1);
        if odd { Err(Stop::fail("odd")) } else { done() }
    });
    until("all are run", || async {
        let stats = client.queue(&WORK).await.unwrap();
        (stats.available + stats.running == 0).then_some(())
    })
    .await;
    worker.stop().await;
}

async fn has_records(server: &Server) -> bool {
    let homes = ["{pr:0}:1:jobs", "{pr:0}:1:blocks"];
    redis::cmd("EXISTS").arg(&homes).query_async::<u32>(&mut server.redis().await).await.unwrap() > 0
}

async fn pruned(server: &Server, client: &QueueClient, watch: &Watch, phase: &str) {
    maintain(client, "all is pruned", async || !has_records(server).await).await;
    watch.all_bounded(phase);
}

#[tokio::test]
async fn a_mountain_of_due_held_dead_and_finished_jobs() {
    let server = Server::start().await;
    let client = server.client().await;
    let watch = Watch::over(&server).await;
    let mut redis = server.redis().await;
    let (seconds, _): (i64, i64) = redis::cmd("TIME").query_async(&mut redis).await.unwrap();
    let due = chrono::DateTime::from_timestamp(seconds + 3_600, 0).unwrap();
    client.enqueue_many((0..MANY).map(|n| short(n).run_at(due)).collect()).await.unwrap();
    watch.all_bounded("scheduled");
    // Their time comes at once for all of them.
    let key = "{pr:0}:1:due";
    let mut sooner = redis::cmd("ZUNIONSTORE");
    let _: () = sooner.arg(key).arg(1).arg(key).arg("WEIGHTS").arg("0.001").query_async(&mut redis).await.unwrap();
    watch.largest.lock().unwrap().clear();
    maintain(&client, "all are due", async || client.queue(&WORK).await.unwrap().scheduled == 0).await;
    watch.all_bounded("promoted");

    let mut die = redis::cmd("EVAL");
    die.arg(DIE).arg(1).arg("{pr:0}:1:jobs").arg("work");
    while die.query_async::<u32>(&mut redis).await.unwrap() > 0 {}
    watch.largest.lock().unwrap().clear();
    maintain(&client, "all are rescued", async || client.queue(&WORK).await.unwrap().running == 0).await;
    assert_eq!(client.queue(&WORK).await.unwrap().available, u64::from(MANY));
    watch.all_bounded("rescued");

    drain(&client).await;
    watch.all_bounded("drained, half dead");
    loop {
        let letters = client.dead(0, 256).await.unwrap();
        if letters.is_empty() {
            break;
        }
        let ids: Vec<_> = letters.iter().map(|letter| (letter.record.id, letter.death_number)).collect();
        client.dead_archived(&ids).await.unwrap();
    }
    assert_eq!(client.queue(&WORK).await.unwrap().dead, 0);
    watch.all_bounded("archived");
    pruned(&server, &client, &watch, "pruned").await;
}

#[tokio::test]
async fn a_mountain_of_cancelled_jobs_in_many_lanes() {
    let server = Server::start().await;
    let client = server.client().await;
    let mut ids = Vec::new();
    let jobs = (0..MANY / 2).map(|n| {
        let lane = Lane { name: LaneName::parse(format!("lane-{}", n % 250)).unwrap(), ..Lane::default() };
        NewJob { lane, ..short(2 * n) }
    });
    ids.extend(client.enqueue_many(jobs.collect()).await.unwrap().iter().map(postrider_queue::Enqueued::id));
    for part in ids.chunks(100) {
        futures::future::try_join_all(part.iter().map(|id| client.cancel(*id))).await.unwrap();
    }
    // Their ids still stand in the lanes.
    let watch = Watch::over(&server).await;
    let last = client.enqueue(short(0)).await.unwrap().id();
    let worker = work(&client, config(512), |_| async { done() });
    crate::server::until_state(&client, last, postrider_queue::JobState::Completed).await;
    worker.stop().await;
    watch.all_bounded("passed over");
    pruned(&server, &client, &watch, "pruned").await;
}

#[tokio::test]
async fn a_lane_with_a_mountain_of_jobs_is_cancelled() {
    let server = Server::start().await;
    let client = server.client().await;
    client.enqueue_many((0..MANY).map(short).collect()).await.unwrap();
    let watch = Watch::over(&server).await;
    client.cancel_lane(&tenant("acme"), &WORK, &Lane::default()).await.unwrap();
    maintain(&client, "all are cancelled", async || client.queue(&WORK).await.unwrap().available == 0).await;
    watch.all_bounded("cancelled with their lane");
    pruned(&server, &client, &watch, "pruned").await;
}

#[tokio::test]
async fn a_batch_with_a_mountain_of_jobs_ends_once() {
    let server = Server::start().await;
    let client = server.client().await;
    let watch = Watch::over(&server).await;
    let batch: BatchId = client.batch_id(&tenant("acme"));
    client.open_batch(&tenant("acme"), batch, Some(short(0))).await.unwrap();
    let links = Links { batch: Some(batch), ..Links::default() };
    client.enqueue_many((0..MANY).map(|n| NewJob { links, ..short(2 * n) }).collect()).await.unwrap();
    client.seal_batch(&tenant("acme"), batch).await.unwrap();
    drain(&client).await;
    let ended = client.batch(batch).await.unwrap().unwrap();
    assert_eq!((ended.total, ended.completed), (u64::from(MANY), u64::from(MANY)));
    watch.all_bounded("a batch");
}

#[tokio::test]
async fn a_mountain_of_lanes_that_wait_for_one_scope() {
    let server = Server::start().await;
    let client = server.client().await;
    let watch = Watch::over(&server).await;
    let scope = ScopeKey::parse("closed").unwrap();
    let limits = |limit| {
        let starts_at = chrono::DateTime::UNIX_EPOCH;
        let window = Window { starts_at, ends_at: starts_at + chrono::TimeDelta::days(40_000), used_before: 0 };
        ScopeLimits::caps(vec![CapSpec::calendar(limit, vec![window])])
    };
    client.define_scope(&tenant("acme"), &scope, &limits(0)).await.unwrap();
    let lanes = MANY / 4;
    let jobs = (0..lanes).map(|n| {
        let name = LaneName::parse(format!("lane-{n}")).unwrap();
        NewJob { lane: Lane::with_scopes(name, vec![scope.clone()]), ..short(2 * n) }
    });
    client.enqueue_many(jobs.collect()).await.unwrap();
    let worker = work(&client, config(512), |_| async { done() });
    until("all are parked", || async {
        (client.queue(&WORK).await.unwrap().parked_lanes == u64::from(lanes)).then_some(())
    })
    .await;
    watch.all_bounded("parked");
    client.define_scope(&tenant("acme"), &scope, &limits(1_000_000)).await.unwrap();
    until("all are run", || async { (client.queue(&WORK).await.unwrap().available == 0).then_some(()) }).await;
    worker.stop().await;
    watch.all_bounded("opened");
    pruned(&server, &client, &watch, "lanes forgotten").await;
}
