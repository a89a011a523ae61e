//! Shards spread over several servers.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use postrider_queue::{Enqueued, JobState, QueueClient, QueueConfig, QueueError, Tenant};

use crate::server::{PATIENCE, Server, WORK, config, done, job, tenant, until, until_state, work};

const SHARDS: u16 = 4;

async fn connect(urls: &[String]) -> Result<QueueClient, QueueError> {
    QueueClient::connect(QueueConfig::new(urls.join(",")).shards(SHARDS)).await
}

/// A tenant for every shard.
fn tenants(client: &QueueClient) -> Vec<Tenant> {
    let all: Vec<Tenant> = (0..1_000).map(|n| tenant(&format!("t{n}"))).collect();
    let of = |shard| all.iter().find(|tenant| client.shard_of(tenant) == shard).unwrap().clone();
    (0..client.shards()).map(of).collect()
}

/// The shards whose jobs stand in this server.
async fn shards_in(server: &Server) -> HashSet<u16> {
    let keys: Vec<String> = redis::cmd("KEYS").arg("*:jobs*").query_async(&mut server.redis().await).await.unwrap();
    keys.iter().map(|key| key[4..key.find('}').unwrap()].parse().unwrap()).collect()
}

#[tokio::test]
async fn jobs_of_all_shards_run_wherever_their_server_is() {
    let (one, two) = (Server::start().await, Server::start().await);
    let client = connect(&[one.url(), two.url()]).await.unwrap();
    let tenants = tenants(&client);
    let jobs = tenants.iter().map(|tenant| job(tenant.as_str())).collect();
    let ids: Vec<_> = client.enqueue_many(jobs).await.unwrap().iter().map(Enqueued::id).collect();
    let (in_one, in_two) = (shards_in(&one).await, shards_in(&two).await);
    assert_eq!((in_one.len(), in_two.len()), (2, 2), "{in_one:?} {in_two:?}");
    assert!(in_one.is_disjoint(&in_two));

    // Another process that names them in another order finds the same.
    let other = connect(&[two.url(), one.url()]).await.unwrap();
    let waiting = {
        let (other, id) = (other.clone(), ids[0]);
        async move { other.wait(id, PATIENCE).await.unwrap().unwrap() }
    };
    let worker = work(&client, config(8), |_| async { done() });
    assert_eq!(waiting.await.state, JobState::Completed);
    for id in ids {
        until_state(&other, id, JobState::Completed).await;
    }
    worker.stop().await;
}

#[tokio::test]
async fn servers_that_do_not_hold_the_whole_queue_are_refused() {
    let (one, two, three) = (Server::start().await, Server::start().await, Server::start().await);
    connect(&[one.url(), two.url()]).await.unwrap();
    for urls in [vec![one.url()], vec![two.url(), three.url()], vec![one.url(), one.url(), two.url()]] {
        let refused = connect(&urls).await.map(drop).unwrap_err();
        assert!(matches!(&refused, QueueError::Servers(text) if text.contains("REDIS_URL")), "{urls:?}: {refused}");
        assert!(!refused.is_transient());
    }
    // A server more is no harm; it holds nothing until a shard is moved there.
    connect(&[one.url(), two.url(), three.url()]).await.unwrap();

    // One that lost its data is not silently begun anew.
    let _: () = redis::cmd("FLUSHALL").query_async(&mut two.redis().await).await.unwrap();
    let refused = connect(&[one.url(), two.url()]).await.map(drop).unwrap_err();
    assert!(matches!(refused, QueueError::Servers(_)), "{refused}");
}

#[tokio::test]
async fn a_queue_on_one_server_stays_there_when_another_is_named() {
    let (one, two) = (Server::start().await, Server::start().await);
    let client = connect(&[one.url()]).await.unwrap();
    let id = client.enqueue(job("acme")).await.unwrap().id();
    // As a queue from before there were lists of servers.
    let _: () = redis::cmd("DEL").arg("{pr:homes}:1").query_async(&mut one.redis().await).await.unwrap();
    let both = connect(&[two.url(), one.url()]).await.unwrap();
    assert!(both.get(id).await.unwrap().is_some());
    assert!(shards_in(&two).await.is_empty());
}

#[tokio::test]
async fn processes_that_start_together_agree() {
    let (one, two) = (Server::start().await, Server::start().await);
    let (forth, back) = ([one.url(), two.url()], [two.url(), one.url()]);
    let clients = futures::future::join_all((0..8).map(|n| connect(if n % 2 == 0 { &forth } else { &back }))).await;
    let clients: Vec<_> = clients.into_iter().map(Result::unwrap).collect();
    let tenants = tenants(&clients[0]);
    for (n, tenant) in tenants.iter().enumerate() {
        let id = clients[n].enqueue(job(tenant.as_str())).await.unwrap().id();
        for client in &clients {
            assert!(client.get(id).await.unwrap().is_some());
        }
    }
}

#[tokio::test]
async fn a_server_that_is_away_holds_up_its_own_shards_only() {
    let (one, mut two) = (Server::start().await, Server::start().await);
    let client = connect(&[one.url(), two.url()]).await.unwrap();
    let tenants = tenants(&client);
    let held = shards_in_order(&one, &client).await;
    let worker = work(&client, config(2), |_| async { done() });
    for tenant in &tenants {
        let id = client.enqueue(job(tenant.as_str())).await.unwrap().id();
        until_state(&client, id, JobState::Completed).await;
    }
    two.kill();
    // Longer than a session lives, so a heartbeat that waits for the other server would be noticed.
    let till = Instant::now() + Duration::from_secs(8);
    let mut longest = Duration::ZERO;
    while Instant::now() < till {
        for shard in &held {
            let started = Instant::now();
            let id = client.enqueue(job(tenants[usize::from(*shard)].as_str())).await.unwrap().id();
            until_state(&client, id, JobState::Completed).await;
            longest = longest.max(started.elapsed());
        }
    }
    assert!(longest < Duration::from_secs(2), "{longest:?}");
    two.up().await;
    let back = Instant::now();
    for tenant in &tenants {
        let id =
            until("the other server takes jobs", || async { client.enqueue(job(tenant.as_str())).await.ok() }).await;
        until_state(&client, id.id(), JobState::Completed).await;
    }
    assert!(back.elapsed() < Duration::from_secs(4), "{:?}", back.elapsed());
    worker.stop().await;
}

#[tokio::test]
async fn a_dropped_backend_ends_although_a_server_is_away() {
    let (one, mut two) = (Server::start().await, Server::start().await);
    let client = connect(&[one.url(), two.url()]).await.unwrap();
    let held = shards_in_order(&one, &client).await;
    let mut redis = one.redis().await;
    // Sessions that live, in the shards of the server that stays.
    let mut living = async || {
        let now: (u64, u64) = redis::cmd("TIME").query_async(&mut redis).await.unwrap();
        let mut living = 0;
        for shard in &held {
            let mut count = redis::cmd("ZCOUNT");
            count.arg(format!("{{pr:{shard}}}:1:sessions")).arg(now.0 * 1_000 + now.1 / 1_000).arg("+inf");
            living += count.query_async::<usize>(&mut redis).await.unwrap();
        }
        living
    };
    let worker = work(&client, config(4).session_ttl(Duration::from_secs(2)), |_| async { done() });
    for tenant in &tenants(&client) {
        let id = client.enqueue(job(tenant.as_str())).await.unwrap().id();
        until_state(&client, id, JobState::Completed).await;
    }
    assert_eq!(living().await, held.len());
    two.kill();
    worker.drop_it().await;
    let began = Instant::now();
    while living().await > 0 {
        assert!(began.elapsed() < Duration::from_secs(15), "its sessions are kept alive");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_process_starts_while_one_of_several_servers_is_away_and_takes_it_in_later() {
    let (one, mut two) = (Server::start().await, Server::start().await);
    let client = connect(&[one.url(), two.url()]).await.unwrap();
    let tenants = tenants(&client);
    let held = shards_in_order(&one, &client).await;
    two.kill();

    let late = connect(&[one.url(), two.url()]).await.unwrap();
    let worker = work(&late, config(2), |_| async { done() });
    let mut waiting = Vec::new();
    for tenant in &tenants {
        let answer = late.enqueue(job(tenant.as_str())).await;
        if held.contains(&late.shard_of(tenant)) {
            until_state(&late, answer.unwrap().id(), JobState::Completed).await;
        } else {
            let refused = answer.unwrap_err();
            assert!(refused.is_transient() && refused.to_string().contains("away"), "{refused}");
            waiting.push(tenant);
        }
    }
    assert_eq!(waiting.len(), 2);
    for client in [&client, &late] {
        let away: Vec<bool> = client.servers().await.iter().map(|server| server.error.is_some()).collect();
        assert_eq!(away, [false, true]);
        assert!(client.servers().await[1].address.ends_with(&two.port.to_string()));
        assert!(client.ping().await.unwrap_err().is_transient());
        // Reading says what is missing, and a pause is not done by half without a word.
        assert_eq!(client.queue(&WORK).await.unwrap().missing_shards, 2);
        assert!(client.queues().await.unwrap().iter().all(|queue| queue.missing_shards == 2));
        assert!(client.pause(&WORK).await.unwrap_err().is_transient());
        assert!(client.queue(&WORK).await.unwrap().paused);
        assert!(client.resume(&WORK).await.unwrap_err().is_transient());
    }

    two.up().await;
    let back = Instant::now();
    for tenant in waiting {
        let answer = until("its tenants are served", || async { late.enqueue(job(tenant.as_str())).await.ok() }).await;
        until_state(&late, answer.id(), JobState::Completed).await;
    }
    assert!(back.elapsed() < Duration::from_secs(5), "{:?}", back.elapsed());
    assert_eq!(late.queue(&WORK).await.unwrap().missing_shards, 0);
    late.ping().await.unwrap();
    worker.stop().await;
}

/// By itself, while a process serves the other's shards; when the server has been put right, it is taken in.
#[tokio::test]
async fn a_server_that_comes_back_with_newer_data_is_not_taken_in() {
    let mut servers = [Server::start().await, Server::start().await];
    let urls = [servers[0].url(), servers[1].url()];
    let client = connect(&urls).await.unwrap();
    let (of_first, home) = (tenants(&client).remove(0), client.home_of(0));
    drop(client);
    let protocol = async |server: &Server, of: u8| {
        // What it says is on disk before it is killed.
        redis::cmd("CONFIG")
            .arg("SET")
            .arg("appendfsync")
            .arg("always")
            .exec_async(&mut server.redis().await)
            .await
            .unwrap();
        redis::cmd("SET").arg("{pr:0}:protocol").arg(of).exec_async(&mut server.redis().await).await.unwrap();
    };
    protocol(&servers[home], 9).await;
    servers[home].kill();

    let late = connect(&urls).await.unwrap();
    servers[home].up().await;
    let looks = async |server: &Server| {
        let stats: String =
            redis::cmd("INFO").arg("commandstats").query_async(&mut server.redis().await).await.unwrap();
        let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_hsetnx:calls=")?.split_once(','));
        calls.map_or(0, |(calls, _)| calls.parse::<u32>().unwrap())
    };
    until("it is looked at", || async { (looks(&servers[home]).await > 0).then_some(()) }).await;
    let seen = looks(&servers[home]).await;
    until("it is looked at again", || async {
        let refused = late.enqueue(job(of_first.as_str())).await.unwrap_err();
        assert!(refused.is_transient() && refused.to_string().contains("away"), "{refused}");
        (looks(&servers[home]).await > seen).then_some(())
    })
    .await;
    protocol(&servers[home], 2).await;
    until("it is taken in", || async { late.enqueue(job(of_first.as_str())).await.ok() }).await;
}

#[tokio::test]
async fn who_has_never_seen_the_queue_waits_for_all_its_servers() {
    let (one, mut two) = (Server::start().await, Server::start().await);
    two.kill();
    // Nobody has spread the shards yet, and the other may have them all.
    for urls in [vec![one.url(), two.url()], vec![two.url()], vec![two.url(), two.url()]] {
        let refused = connect(&urls).await.map(drop).unwrap_err();
        assert!(refused.is_transient(), "{refused}");
    }
    two.up().await;
    connect(&[one.url(), two.url()]).await.unwrap();
    // One that comes back without its data is not taken in.
    two.kill();
    std::fs::remove_dir_all(two.dir.path().join("appendonlydir")).unwrap();
    let late = connect(&[one.url(), two.url()]).await.unwrap();
    two.up().await;
    let tenants = tenants(&late);
    let held = shards_in_order_of(&one, &late).await;
    let homeless = tenants.iter().find(|tenant| !held.contains(&late.shard_of(tenant))).unwrap();
    assert!(late.enqueue(job(homeless.as_str())).await.unwrap_err().is_transient());
    assert!(shards_in(&two).await.is_empty());
}

/// The same, where not all can be enqueued.
async fn shards_in_order_of(server: &Server, client: &QueueClient) -> Vec<u16> {
    for tenant in tenants(client) {
        let _ = client.enqueue(job(tenant.as_str())).await;
    }
    shards_in(server).await.into_iter().collect()
}

/// The shards of this server, found by enqueueing a job in each.
async fn shards_in_order(server: &Server, client: &QueueClient) -> Vec<u16> {
    for tenant in tenants(client) {
        client.enqueue(job(tenant.as_str())).await.unwrap();
    }
    let mut shards: Vec<u16> = shards_in(server).await.into_iter().collect();
    shards.sort_unstable();
    shards
}
