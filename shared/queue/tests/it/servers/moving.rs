//! A shard moves to another server while everything runs.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use futures::future::{join, join_all};
use postrider_queue::{
    IdempotencyKey, JobId, JobState, Moved, NewJob, QueueClient, QueueConfig, QueueError, Unfinished,
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
    let (one, two) = (Server::start().await, Server::start().await);
    let client = connect([&one, &two]).await;
    let of = tenant_of(&client, 0);
    let from = client.home_of(0);
    // More than fits one step: a large hash, list and sorted set.
    let later = "2099-01-01T00:00:00Z".parse().unwrap();
    let one_job = client.enqueue(job(&of)).await.unwrap().id();
    let soon = client.get(one_job).await.unwrap().unwrap().enqueued_at + chrono::TimeDelta::hours(1);
    let mut jobs: Vec<NewJob> = (0..600).map(|_| job(&of)).collect();
    jobs.extend((0..600).map(|_| NewJob { run_at: Some(soon), ..job(&of) }));
    jobs.extend((0..600).map(|_| NewJob { run_at: Some(later), ..job(&of) }));
    client.enqueue_many(jobs).await.unwrap();
    let key = IdempotencyKey { key: "order 7".to_owned(), fingerprint: "f".to_owned() };
    let with_key = NewJob { idempotency_key: Some(key), ..job(&of) }.unique_key("the only one");
    let first = client.enqueue(with_key.clone()).await.unwrap();
    let before = client.queue(&WORK).await.unwrap();

    let moved = client.move_shard(0, 1 - from, PATIENCE).await.unwrap();
    assert!(moved.keys >= 10 && moved.closed_for < Duration::from_secs(10), "{moved:?}");
    let after = client.queue(&WORK).await.unwrap();
    assert_eq!((before.available, before.scheduled, before.lanes), (after.available, after.scheduled, after.lanes));
    assert_eq!(client.enqueue(with_key).await.unwrap().id(), first.id());
    // Another process that starts now finds it.
    let worker = work(&connect([&two, &one]).await, config(64), |_| async { done() });
    until("all that may run has run", || async { (client.queue(&WORK).await.unwrap().completed == 602).then_some(()) })
        .await;
    worker.stop().await;
    // Moving it where it is changes nothing.
    assert_eq!(client.move_shard(0, 1 - from, PATIENCE).await.unwrap().keys, 0);
}

#[tokio::test]
async fn jobs_that_run_on_keep_it_where_it_is() {
    let (one, two) = (Server::start().await, Server::start().await);
    let client = connect([&one, &two]).await;
    let of = tenant_of(&client, 0);
    let from = client.home_of(0);
    let (end, ended) = tokio::sync::watch::channel(false);
    let worker = work(&client, config(1), move |_| {
        let mut ended = ended.clone();
        async move {
            let _ = ended.wait_for(|ended| *ended).await;
            done()
        }
    });
    let first = client.enqueue(job(&of)).await.unwrap().id();
    until_state(&client, first, JobState::Running).await;
    let refused = client.move_shard(0, 1 - from, Duration::from_millis(300)).await.unwrap_err();
    assert!(refused.to_string().contains("running jobs did not end"), "{refused}");
    assert_eq!(client.home_of(0), from);
    let second = client.enqueue(job(&of)).await.unwrap().id();
    end.send(true).unwrap();
    until_state(&client, first, JobState::Completed).await;
    until_state(&client, second, JobState::Completed).await;
    worker.stop().await;
    for (shard, to) in [(9, 0), (0, 7)] {
        let refused = client.move_shard(shard, to, PATIENCE).await.unwrap_err();
        assert!(matches!(refused, QueueError::Invalid { .. }), "{refused}");
    }
}

/// The gate as a command leaves it that was killed after this step, with what it held.
async fn killed_after(step: &str, source: &Server, target: &Server, name: &str) {
    let gate = "{pr:0}:1:gate";
    command(source, &["HSET", gate, "to", name, "move", if step == "left" { "moved" } else { step }]).await;
    if step != "draining" {
        command(target, &["HSET", gate, "move", "arriving"]).await;
        command(target, &["RPUSH", "{pr:0}:1:half", "a", "copy"]).await;
        // `moving` holds only as long as somebody is at it.
        command(source, &["SET", "{pr:0}:1:mover", "somebody", "PX", if step == "left" { "1" } else { "1500" }]).await;
    }
}

#[tokio::test]
async fn a_command_that_was_killed_is_taken_on_from_there() {
    for step in ["draining", "moving"] {
        let (one, two) = (Server::start().await, Server::start().await);
        let client = connect([&one, &two]).await;
        let of = tenant_of(&client, 0);
        let from = client.home_of(0);
        let (source, target) = if from == 0 { (&one, &two) } else { (&two, &one) };
        let before = client.enqueue(job(&of)).await.unwrap().id();
        killed_after(step, source, target, "whoever").await;
        if step == "moving" {
            // Nothing is written while it holds; another command keeps off; reading goes on.
            assert!(client.enqueue(job(&of)).await.unwrap_err().is_transient());
            assert!(client.get(before).await.unwrap().is_some());
            let refused = client.move_shard(0, 1 - from, PATIENCE).await.unwrap_err();
            assert!(refused.to_string().contains("another command"), "{refused}");
        }
        // Then it goes on where it is, by itself.
        let meanwhile = until("it opens again", || async { client.enqueue(job(&of)).await.ok() }).await.id();
        client.move_shard(0, 1 - from, PATIENCE).await.unwrap();
        assert!(!keys_of(target, 0).await.contains("{pr:0}:1:half"), "a half copy was begun anew");
        let worker = work(&client, config(2), |_| async { done() });
        for id in [before, meanwhile] {
            until_state(&client, id, JobState::Completed).await;
        }
        worker.stop().await;
    }
}

#[tokio::test]
async fn what_a_killed_command_left_behind_is_seen_and_removed() {
    let (one, two) = (Server::start().await, Server::start().await);
    let client = connect([&one, &two]).await;
    let of = tenant_of(&client, 0);
    let from = client.home_of(0);
    let (source, target) = if from == 0 { (&one, &two) } else { (&two, &one) };
    let id = client.enqueue(job(&of)).await.unwrap().id();
    assert_eq!(client.unfinished_move(0).await.unwrap(), None);
    killed_after("moving", source, target, "whoever").await;
    assert_eq!(client.unfinished_move(0).await.unwrap(), Some(Unfinished::UnderWay));
    let refused = client.move_shard(0, from, PATIENCE).await.unwrap_err();
    assert!(refused.to_string().contains("another command"), "{refused}");
    command(source, &["DEL", "{pr:0}:1:mover"]).await;

    // The words that keep short ways closed go by themselves.
    let worker = work(&client, config(2), |_| async { done() });
    until("nothing is closed", || async {
        (command(source, &["EXISTS", "{pr:0}:1:gate"]).await == redis::Value::Int(0)).then_some(())
    })
    .await;
    assert_eq!(client.unfinished_move(0).await.unwrap(), Some(Unfinished::HalfCopy { at: 1 - from }));
    client.move_shard(0, from, PATIENCE).await.unwrap();
    assert_eq!(keys_of(target, 0).await, HashSet::new());
    assert_eq!(client.unfinished_move(0).await.unwrap(), None);
    until_state(&client, id, JobState::Completed).await;
    let next = client.enqueue(job(&of)).await.unwrap().id();
    until_state(&client, next, JobState::Completed).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_command_that_was_killed_after_the_shard_left_is_finished_by_the_next() {
    let (one, two) = (Server::start().await, Server::start().await);
    let client = connect([&one, &two]).await;
    let of = tenant_of(&client, 0);
    let from = client.home_of(0);
    let (source, target) = if from == 0 { (&one, &two) } else { (&two, &one) };
    let id = client.enqueue(job(&of)).await.unwrap().id();
    // The copy is whole, but nobody was told.
    for key in keys_of(source, 0).await {
        let dump: Vec<u8> = redis::cmd("DUMP").arg(&key).query_async(&mut source.redis().await).await.unwrap();
        let mut restore = redis::cmd("RESTORE");
        restore.arg(&key).arg(0).arg(dump);
        let _: () = restore.query_async(&mut target.redis().await).await.unwrap();
    }
    let redis::Value::BulkString(name) = command(target, &["HGET", "{pr:homes}:1", "name"]).await else { panic!() };
    command(source, &["HSET", "{pr:0}:1:gate", "to", std::str::from_utf8(&name).unwrap(), "move", "moved"]).await;
    command(target, &["HSET", "{pr:0}:1:gate", "move", "arriving"]).await;
    // Neither of the two takes anything.
    assert!(client.enqueue(job(&of)).await.unwrap_err().is_transient());
    assert_eq!(client.unfinished_move(0).await.unwrap(), Some(Unfinished::Left { to: Some(1 - from) }));
    // Killed once more, before it opened.
    let list = command(source, &["HGET", "{pr:homes}:1", "0"]).await;
    assert!(matches!(list, redis::Value::BulkString(entry) if entry.starts_with(b"1 ")));
    let refused = client.move_shard(0, from, PATIENCE).await.unwrap_err();
    assert!(refused.to_string().contains("it has left for another server"), "{refused}");
    client.move_shard(0, 1 - from, PATIENCE).await.unwrap();
    assert_eq!(keys_of(source, 0).await, HashSet::from(["{pr:0}:1:gate".to_owned()]));
    let other = connect([&two, &one]).await;
    let worker = work(&other, config(1), |_| async { done() });
    until_state(&client, id, JobState::Completed).await;
    worker.stop().await;
    // And back, onto a server that had left it.
    client.move_shard(0, from, PATIENCE).await.unwrap();
    assert_eq!(other.get(id).await.unwrap().unwrap().state, JobState::Completed);
}

/// What the log of a stopped server had not on disk when its machine crashed: everything since the shard left.
fn lose_the_word_of_leaving(server: &Server) {
    let log = server.dir.path().join("appendonlydir/appendonly.aof.1.incr.aof");
    let text = std::fs::read(&log).unwrap();
    let word = b"\r\nmoved\r\n";
    let at = text.windows(word.len()).rposition(|found| found == word).unwrap();
    std::fs::File::options().write(true).open(log).unwrap().set_len(at as u64).unwrap();
}

#[tokio::test]
async fn a_source_that_forgets_that_the_shard_left_is_not_one_of_two() {
    let (mut one, mut two) = (Server::start().await, Server::start().await);
    let client = connect([&one, &two]).await;
    let of = tenant_of(&client, 0);
    let from = client.home_of(0);
    let id = client.enqueue(job(&of)).await.unwrap().id();
    let victim = connect([&one, &two]).await;
    let (source, target) = if from == 0 { (&mut one, &two) } else { (&mut two, &one) };
    let gate = ["HGET", "{pr:0}:1:gate", "move"];
    let says = |state: &str| redis::Value::BulkString(state.into());
    let crash = async {
        until("it has left", || async { (command(source, &gate).await == says("moved")).then_some(()) }).await;
        source.kill();
        lose_the_word_of_leaving(source);
    };
    let (answer, ()) = join(victim.move_shard(0, 1 - from, PATIENCE), crash).await;
    source.up().await;
    assert_eq!(command(source, &gate).await, says("moving"), "it forgot that");
    assert_eq!(command(target, &gate).await, says("arriving"), "{answer:?}: the shard is open in both places");
    assert!(answer.is_err());
    // Its hold would end 15 s later. Then it goes on where it was, and can be moved.
    command(source, &["DEL", "{pr:0}:1:mover"]).await;
    let next = until("it opens again", || async { client.enqueue(job(&of)).await.ok() }).await.id();
    until("it is moved", || async { client.move_shard(0, 1 - from, PATIENCE).await.ok() }).await;
    let worker = work(&client, config(2), |_| async { done() });
    for id in [id, next] {
        until_state(&client, id, JobState::Completed).await;
    }
    worker.stop().await;
}

/// Gives a command so many turns on the processor and drops it, wherever it is then. Answers whether it had finished.
async fn killed_after_turns(moving: impl Future<Output = Result<Moved, QueueError>>, turns: usize) -> bool {
    let (mut moving, mut left) = (std::pin::pin!(moving), turns);
    std::future::poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        moving.as_mut().poll(cx).map(|moved| moved.is_ok())
    })
    .await
}

#[tokio::test]
async fn wherever_a_command_is_killed_the_next_one_finishes_and_nothing_is_lost() {
    const TURNS: [usize; 16] = [1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 17, 20, 24, 28, 34, 40];
    let (one, two) = (Server::start().await, Server::start().await);
    let urls = [&one, &two].map(Server::url).join(",");
    let config_of = || QueueConfig::new(urls.clone()).shards(u16::try_from(TURNS.len()).unwrap());
    let client = QueueClient::connect(config_of()).await.unwrap();
    let mut ids = Vec::new();
    for shard in 0..client.shards() {
        let of = tenant_of(&client, shard);
        let answers = client.enqueue_many((0..50).map(|_| job(&of)).collect()).await.unwrap();
        ids.extend(answers.iter().map(postrider_queue::Enqueued::id));
    }
    let (mut finished, mut left_home) = (0, 0);
    for (shard, turns) in (0..).zip(TURNS) {
        let to = 1 - client.home_of(shard);
        let victim = QueueClient::connect(config_of()).await.unwrap();
        finished += usize::from(killed_after_turns(victim.move_shard(shard, to, PATIENCE), turns).await);
        drop(victim);
        let source = if to == 0 { &two } else { &one };
        let gate = command(source, &["HGET", &format!("{{pr:{shard}}}:1:gate"), "move"]).await;
        left_home += usize::from(matches!(gate, redis::Value::BulkString(state) if state == b"moved"));
        // Its hold would end 15 s later.
        command(source, &["DEL", &format!("{{pr:{shard}}}:1:mover")]).await;
    }
    println!("{finished} finished, {left_home} had left, of {}", TURNS.len());
    assert!(finished < TURNS.len() && left_home < TURNS.len());
    let again = QueueClient::connect(config_of()).await.unwrap();
    let moves = (0..again.shards()).map(|shard| {
        let to = usize::from(shard % 2);
        let again = &again;
        async move {
            // One that had left for the other server is finished there first.
            if again.move_shard(shard, to, PATIENCE).await.is_err() {
                again.move_shard(shard, 1 - to, PATIENCE).await.unwrap();
                again.move_shard(shard, to, PATIENCE).await.unwrap();
            }
        }
    });
    join_all(moves).await;
    // What one move has read of the homes may be older than what another has just written, so a new process is asked.
    let again = QueueClient::connect(config_of()).await.unwrap();
    for shard in 0..again.shards() {
        assert_eq!(again.home_of(shard), usize::from(shard % 2));
    }
    let runs: Runs = Arc::default();
    let record = Arc::clone(&runs);
    let worker = work(&again, config(64), move |claimed| {
        *record.lock().unwrap().entry(claimed.id).or_default() += 1;
        async { done() }
    });
    for id in &ids {
        until_state(&client, *id, JobState::Completed).await;
    }
    worker.stop().await;
    let runs = runs.lock().unwrap();
    assert_eq!((runs.len(), runs.values().sum::<usize>()), (ids.len(), ids.len()), "each once");
}
