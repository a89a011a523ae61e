//! Limits that all processes share: exact in what they allow together, cheap in what they ask of Redis.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::join_all;
use postrider_queue::{QueueClient, QueueConfig, RateLimit, RateSubject};

use crate::server::{PATIENCE, Server, until};

const HOURLY: RateLimit = RateLimit { units: 1, per: Duration::from_hours(1), burst: 5 };

async fn takes(client: &QueueClient, subject: &RateSubject, limit: RateLimit) -> bool {
    client.allow(subject, &[subject.draw("test", limit, 1)]).await.unwrap().allowed
}

/// How often the script ran.
async fn calls(redis: &mut redis::aio::MultiplexedConnection) -> u64 {
    let info: String = redis::cmd("INFO").arg("commandstats").query_async(redis).await.unwrap();
    let of = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{name}:calls=")));
        line.map_or(0, |rest| rest.split(',').next().unwrap().parse::<u64>().unwrap())
    };
    of("evalsha") + of("eval")
}

async fn reset_statistics(redis: &mut redis::aio::MultiplexedConnection) {
    redis::cmd("CONFIG").arg("RESETSTAT").exec_async(redis).await.unwrap();
}

#[tokio::test]
async fn a_limit_gives_its_burst_and_says_when_there_is_more() {
    let server = Server::start().await;
    let client = server.client_with(4).await;
    let (one, other) = (RateSubject::new("one"), RateSubject::new("other"));
    for left in [4, 3, 2, 1, 0] {
        let allowance = client.allow(&one, &[one.draw("test", HOURLY, 1)]).await.unwrap();
        assert!(allowance.allowed && allowance.retry_after().is_none());
        assert_eq!((allowance.limits[0].burst, allowance.limits[0].remaining), (5, left));
    }
    // Known at first hand, and to another process, which asks.
    for client in [&client, &server.client_with(4).await] {
        let refused = client.allow(&one, &[one.draw("test", HOURLY, 1)]).await.unwrap();
        assert!(!refused.allowed);
        let wait = refused.retry_after().unwrap();
        assert!(wait > Duration::from_mins(59) && wait <= Duration::from_hours(1), "{wait:?}");
        assert!(refused.limits[0].full_in > Duration::from_mins(4 * 60 + 58), "{refused:?}");
    }
    assert!(takes(&client, &other, HOURLY).await, "another subject has a limit of its own");
    assert!(client.allow(&one, &[one.draw("other name", HOURLY, 1)]).await.unwrap().allowed);
}

#[tokio::test]
async fn a_check_takes_from_all_its_limits_or_from_none() {
    let server = Server::start().await;
    let client = server.client().await;
    let subject = RateSubject::new("tenant");
    let narrow = RateLimit { burst: 2, ..HOURLY };
    let both = [subject.draw("wide", HOURLY, 1), subject.draw("narrow", narrow, 1)];
    for _ in 0..2 {
        assert!(client.allow(&subject, &both).await.unwrap().allowed);
    }
    // A second process refuses by what Redis says, the first by what it remembers.
    for client in [&server.client().await, &client] {
        let refused = client.allow(&subject, &both).await.unwrap();
        assert!(!refused.allowed);
        assert_eq!((refused.limits[0].remaining, refused.limits[1].remaining), (3, 0));
        assert!(refused.limits[0].short_for.is_zero() && !refused.limits[1].short_for.is_zero());
    }
    let wide = client.allow(&subject, &[subject.draw("wide", HOURLY, 3)]).await.unwrap();
    assert!(wide.allowed, "what was refused took nothing: {wide:?}");
    assert!(!takes_wide(&client, &subject).await);
    for wrong in [vec![], vec![both[0], both[0]], vec![subject.draw("wide", HOURLY, 6)], vec![both[0]; 5]] {
        client.allow(&subject, &wrong).await.unwrap_err();
    }
}

async fn takes_wide(client: &QueueClient, subject: &RateSubject) -> bool {
    client.allow(subject, &[subject.draw("wide", HOURLY, 1)]).await.unwrap().allowed
}

/// Asks as often as it can, in 16 tasks of each client, and returns how much was allowed.
async fn hammer(clients: &[QueueClient], subject: &RateSubject, limit: RateLimit, time: Duration) -> u32 {
    let allowed = Arc::new(AtomicU32::new(0));
    let ends = Instant::now() + time;
    let one = async |client: QueueClient| {
        while Instant::now() < ends {
            if takes(&client, subject, limit).await {
                allowed.fetch_add(1, Ordering::Relaxed);
            } else {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    };
    join_all(clients.iter().flat_map(|client| (0..16).map(|_| one(client.clone())))).await;
    allowed.load(Ordering::Relaxed)
}

#[tokio::test]
async fn many_processes_never_allow_more_together_than_the_limit_says() {
    let server = Server::start().await;
    let clients = join_all((0..4).map(|_| server.client())).await;
    for (number, limit) in [
        RateLimit { units: 500, per: Duration::from_secs(1), burst: 300 },
        RateLimit { units: 5_000, per: Duration::from_secs(1), burst: 1_000 },
        RateLimit { units: 40, per: Duration::from_secs(1), burst: 10 },
    ]
    .into_iter()
    .enumerate()
    {
        let (one, other) = (RateSubject::new(&format!("a{number}")), RateSubject::new(&format!("b{number}")));
        let began = Instant::now();
        let time = Duration::from_millis(1_500);
        let found = tokio::join!(hammer(&clients, &one, limit, time), hammer(&clients, &other, limit, time));
        let most = f64::from(limit.burst) + f64::from(limit.units) * began.elapsed().as_secs_f64();
        eprintln!("{limit:?}: {found:?} of {most:.0}");
        for allowed in [found.0, found.1] {
            assert!(f64::from(allowed) <= most + 1.0, "{allowed} of {most}: {limit:?}");
            // A busy machine may not so much as ask for more.
            assert!(allowed >= limit.burst.min(300), "{allowed} of {most}: {limit:?}");
        }
    }
}

#[tokio::test]
async fn checks_of_one_moment_share_calls_and_a_flood_makes_none() {
    let server = Server::start().await;
    let client = server.client().await;
    let mut redis = server.redis().await;
    assert!(takes(&client, &RateSubject::new("first"), HOURLY).await);

    reset_statistics(&mut redis).await;
    let subjects: Vec<RateSubject> = (0..1_000).map(|number| RateSubject::new(&number.to_string())).collect();
    let answers = join_all(subjects.iter().map(|subject| takes(&client, subject, HOURLY))).await;
    assert!(answers.into_iter().all(|allowed| allowed));
    let many = calls(&mut redis).await;
    assert!(many <= 12, "{many} calls for 1,000 checks");

    let flooded = RateSubject::new("flooded");
    while takes(&client, &flooded, HOURLY).await {}
    reset_statistics(&mut redis).await;
    for _ in 0..10_000 {
        assert!(!takes(&client, &flooded, HOURLY).await);
    }
    let many = calls(&mut redis).await; // none, unless the machine is so slow that a refusal is asked for again
    assert!(many <= 20, "{many} calls for 10,000 checks in vain");
    reset_statistics(&mut redis).await;

    // One that is used much is fetched ahead.
    let wide = RateLimit { units: 1_000_000, per: Duration::from_secs(1), burst: 1_000_000 };
    let busy = RateSubject::new("busy");
    for _ in 0..20_000 {
        assert!(takes(&client, &busy, wide).await);
    }
    let many = calls(&mut redis).await;
    assert!(many <= 5_000, "{many} calls for 20,000 checks");
}

#[tokio::test]
async fn what_was_taken_ahead_and_not_used_comes_back() {
    let server = Server::start().await;
    let client = server.client().await;
    let subject = RateSubject::new("ahead");
    let limit = RateLimit { units: 1, per: Duration::from_hours(1), burst: 8_000 };
    let mut used = 0;
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(150) {
        assert!(takes(&client, &subject, limit).await);
        used += 1;
    }
    let stranger = server.client().await;
    let draw = [subject.draw("test", limit, 1)];
    let left = until("all came back", || async {
        // Whoever asks again gives back what it did not use in time.
        assert!(takes(&client, &subject, limit).await);
        let left = stranger.allow(&subject, &draw).await.unwrap().limits[0].remaining;
        tokio::time::sleep(Duration::from_millis(50)).await;
        (left > 8_000 - used - 200).then_some(left)
    })
    .await;
    eprintln!("{used} used, {left} left");
}

#[tokio::test]
async fn keys_go_by_themselves_and_a_full_memory_lets_nobody_in() {
    let server = Server::start().await;
    let client = server.client().await;
    let mut redis = server.redis().await;
    let quick = RateLimit { units: 50, per: Duration::from_secs(1), burst: 5 };
    for number in 0..20 {
        assert!(takes(&client, &RateSubject::new(&format!("quick{number}")), quick).await);
    }
    until("their keys are gone", || async {
        let mut redis = server.redis().await;
        let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*:rate:*").query_async(&mut redis).await.unwrap();
        keys.is_empty().then_some(())
    })
    .await;

    redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg("1mb").exec_async(&mut redis).await.unwrap();
    let subject = RateSubject::new("full");
    for number in 0..6 {
        assert_eq!(takes(&client, &subject, HOURLY).await, number < 5);
    }
}

#[tokio::test]
async fn without_redis_a_check_fails_soon_and_afterwards_it_works_again() {
    let mut server = Server::start().await;
    let client = server.client().await;
    let subject = RateSubject::new("away");
    assert!(takes(&client, &subject, HOURLY).await);
    server.kill();
    let draw = [subject.draw("test", HOURLY, 1)];
    let began = Instant::now();
    let answers = join_all((0..2_000).map(|_| client.allow(&subject, &draw))).await;
    assert!(answers.iter().all(Result::is_err));
    assert!(began.elapsed() < PATIENCE / 3, "{:?}", began.elapsed());
    let began = Instant::now();
    for _ in 0..100 {
        client.allow(&subject, &draw).await.unwrap_err();
    }
    assert!(began.elapsed() < PATIENCE / 3, "nobody waits for what is known to be away: {:?}", began.elapsed());
    server.up().await;
    let left =
        until("it answers", || async { Some(client.allow(&subject, &draw).await.ok()?.limits[0].remaining) }).await;
    // The last second of the log may be gone: `appendfsync everysec`.
    assert!((3..=4).contains(&left), "{left}");
}

#[tokio::test]
async fn limits_are_spread_over_several_servers() {
    let (one, other) = (Server::start().await, Server::start().await);
    let url = format!("{},{}", one.url(), other.url());
    let connect = || QueueClient::connect(QueueConfig::new(url.clone()).shards(8));
    let (first, second) = (connect().await.unwrap(), connect().await.unwrap());
    for number in 0..32 {
        let subject = RateSubject::new(&number.to_string());
        for turn in 0..6 {
            let client = if turn % 2 == 0 { &first } else { &second };
            assert_eq!(takes(client, &subject, HOURLY).await, turn < 5);
        }
    }
    for server in [&one, &other] {
        let mut redis = server.redis().await;
        let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*:rate:*").query_async(&mut redis).await.unwrap();
        assert!(keys.len() > 4, "{} limits on one server", keys.len());
    }
}
