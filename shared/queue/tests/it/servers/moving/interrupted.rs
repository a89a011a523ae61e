//! Commands that move a shard are killed on the way: the next one finishes what they began, and the shard is never open in two places.

use std::{collections::HashSet, sync::Arc, task::Poll};

use futures::future::{join, join_all};
use postrider_queue::{JobState, Moved, QueueClient, QueueConfig, QueueError, Unfinished};

use super::{Pair, Runs, SOURCE, TARGET, command, connect, keys_of, tenant_of};
use crate::server::{PATIENCE, Server, config, done, job, until, until_state, work};

/// The gate as a command leaves it that was killed after this step, with what it held.
async fn killed_after(step: &str, source: &Server, target: &Server) {
    let gate = "{pr:0}:1:gate";
    command(source, &["HSET", gate, "to", "whoever", "move", step]).await;
    if step != "draining" {
        command(target, &["HSET", gate, "move", "arriving"]).await;
        command(target, &["RPUSH", "{pr:0}:1:half", "a", "copy"]).await;
        // `moving` holds only as long as somebody is at it.
        command(source, &["SET", "{pr:0}:1:mover", "somebody", "PX", "1500"]).await;
    }
}

#[tokio::test]
async fn a_command_that_was_killed_is_taken_on_from_there() {
    for step in ["draining", "moving"] {
        let pair = Pair::start().await;
        let (client, source, target) = (&pair.client, &pair.source, &pair.target);
        let before = client.enqueue(pair.job()).await.unwrap().id();
        killed_after(step, source, target).await;
        if step == "moving" {
            // Nothing is written while it holds; another command keeps off; reading goes on.
            assert!(client.enqueue(pair.job()).await.unwrap_err().is_transient());
            assert!(client.get(before).await.unwrap().is_some());
            let refused = client.move_shard(0, TARGET, PATIENCE).await.unwrap_err();
            assert!(refused.to_string().contains("another command"), "{refused}");
        }
        // Then it goes on where it is, by itself.
        let meanwhile = until("it opens again", || async { client.enqueue(pair.job()).await.ok() }).await.id();
        client.move_shard(0, TARGET, PATIENCE).await.unwrap();
        assert!(!keys_of(target, 0).await.contains("{pr:0}:1:half"), "a half copy was begun anew");
        let worker = work(client, config(2), |_| async { done() });
        for id in [before, meanwhile] {
            until_state(client, id, JobState::Completed).await;
        }
        worker.stop().await;
    }
}

#[tokio::test]
async fn what_a_killed_command_left_behind_is_seen_and_removed() {
    let pair = Pair::start().await;
    let (client, source, target) = (&pair.client, &pair.source, &pair.target);
    let id = client.enqueue(pair.job()).await.unwrap().id();
    assert_eq!(client.unfinished_move(0).await.unwrap(), None);
    killed_after("moving", source, target).await;
    assert_eq!(client.unfinished_move(0).await.unwrap(), Some(Unfinished::UnderWay));
    let refused = client.move_shard(0, SOURCE, PATIENCE).await.unwrap_err();
    assert!(refused.to_string().contains("another command"), "{refused}");
    command(source, &["DEL", "{pr:0}:1:mover"]).await;

    // The words that keep short ways closed go by themselves.
    let worker = work(client, config(2), |_| async { done() });
    until("nothing is closed", || async {
        (command(source, &["EXISTS", "{pr:0}:1:gate"]).await == redis::Value::Int(0)).then_some(())
    })
    .await;
    assert_eq!(client.unfinished_move(0).await.unwrap(), Some(Unfinished::HalfCopy { at: TARGET }));
    client.move_shard(0, SOURCE, PATIENCE).await.unwrap();
    assert_eq!(keys_of(target, 0).await, HashSet::new());
    assert_eq!(client.unfinished_move(0).await.unwrap(), None);
    until_state(client, id, JobState::Completed).await;
    let next = client.enqueue(pair.job()).await.unwrap().id();
    until_state(client, next, JobState::Completed).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_command_that_was_killed_after_the_shard_left_is_finished_by_the_next() {
    let pair = Pair::start().await;
    let (client, source, target) = (&pair.client, &pair.source, &pair.target);
    let id = client.enqueue(pair.job()).await.unwrap().id();
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
    assert!(client.enqueue(pair.job()).await.unwrap_err().is_transient());
    assert_eq!(client.unfinished_move(0).await.unwrap(), Some(Unfinished::Left { to: Some(TARGET) }));
    // Killed once more, before it opened.
    let list = command(source, &["HGET", "{pr:homes}:1", "0"]).await;
    assert!(matches!(list, redis::Value::BulkString(entry) if entry.starts_with(b"1 ")));
    let refused = client.move_shard(0, SOURCE, PATIENCE).await.unwrap_err();
    assert!(refused.to_string().contains("it has left for another server"), "{refused}");
    client.move_shard(0, TARGET, PATIENCE).await.unwrap();
    assert_eq!(keys_of(source, 0).await, HashSet::from(["{pr:0}:1:gate".to_owned()]));
    let other = connect([target, source]).await;
    let worker = work(&other, config(1), |_| async { done() });
    until_state(client, id, JobState::Completed).await;
    worker.stop().await;
    // And back, onto a server that had left it.
    client.move_shard(0, SOURCE, PATIENCE).await.unwrap();
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
    let mut pair = Pair::start().await;
    let id = pair.client.enqueue(pair.job()).await.unwrap().id();
    let victim = connect([&pair.source, &pair.target]).await;
    let again = pair.job();
    let (client, source, target) = (&pair.client, &mut pair.source, &pair.target);
    let gate = ["HGET", "{pr:0}:1:gate", "move"];
    let says = |state: &str| redis::Value::BulkString(state.into());
    let crash = async {
        until("it has left", || async { (command(source, &gate).await == says("moved")).then_some(()) }).await;
        source.kill();
        lose_the_word_of_leaving(source);
    };
    let (answer, ()) = join(victim.move_shard(0, TARGET, PATIENCE), crash).await;
    source.up().await;
    assert_eq!(command(source, &gate).await, says("moving"), "it forgot that");
    assert_eq!(command(target, &gate).await, says("arriving"), "{answer:?}: the shard is open in both places");
    assert!(answer.is_err());
    // Its hold would end 15 s later. Then it goes on where it was, and can be moved.
    command(source, &["DEL", "{pr:0}:1:mover"]).await;
    let next = until("it opens again", || async { client.enqueue(again.clone()).await.ok() }).await.id();
    until("it is moved", || async { client.move_shard(0, TARGET, PATIENCE).await.ok() }).await;
    let worker = work(client, config(2), |_| async { done() });
    for id in [id, next] {
        until_state(client, id, JobState::Completed).await;
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
