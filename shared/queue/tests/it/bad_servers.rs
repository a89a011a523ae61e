//! Servers that cannot keep a promise, or are none: each is named in an error, and nothing is lost.

use std::{
    io,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures::future::join_all;
use postrider_queue::{JobState, NewJob, QueueClient, QueueConfig, QueueError, Stop};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::{
    server::{PATIENCE, Server, config, done, job, until, until_state, work},
    servers::replica_of,
};

async fn refusal(url: &str) -> QueueError {
    QueueClient::connect(QueueConfig::new(url).shards(1)).await.map(drop).unwrap_err()
}

/// Something that answers whatever it reads by this.
async fn answering(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
    tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.spawn(async move {
                let mut asked = vec![0; 4096];
                while let Ok(1..) = stream.read(&mut asked).await {
                    let _ = stream.write_all(answer).await;
                }
            });
        }
    });
    format!("redis://127.0.0.1:{port}")
}

/// Something that says this to whoever speaks, and hangs up.
async fn closing_with(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer).await;
        }
    });
    address
}

#[tokio::test]
async fn what_is_not_redis_is_called_so() {
    let url = answering(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
    let refused = refusal(&url).await;
    assert!(refused.to_string().starts_with("REDIS_URL: what answers at 127.0.0.1:"), "{refused}");
    assert!(refused.to_string().ends_with("is not Redis") && !refused.is_transient(), "{refused}");
}

#[tokio::test]
async fn who_does_not_answer_is_named_with_the_setting() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    // Accepts connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_at = silent.local_addr().unwrap();
    let server = Server::start().await;
    let plain = format!("127.0.0.1:{}", server.port);
    // Answers the beginning of a TLS connection by an alert, and closes.
    let tls = closing_with(b"\x15\x03\x03\x00\x02\x02\x28").await;
    let hung_up = closing_with(b"").await;
    let cases = [
        (format!("redis://:hush@{closed}"), closed.to_string(), "is it running there"),
        (format!("redis://:hush@{silent_at}"), silent_at.to_string(), "rediss://"),
        (format!("rediss://:hush@{plain}"), plain.clone(), "rediss://"),
        (format!("redis+sentinel://{plain}/main"), plain.clone(), "is no Sentinel"),
        (format!("redis://{plain}/99"), plain, "DB index is out of range"),
        (format!("redis://:hush@{tls}"), tls, "is not Redis"),
        (format!("redis://:hush@{hung_up}"), hung_up, "rediss://"),
        (format!("redis+cluster://:hush@{silent_at}"), silent_at.to_string(), "rediss://"),
        (format!("redis+sentinel://:hush@{silent_at}/main"), silent_at.to_string(), "rediss://"),
        ("redis://:hush@no-such-host.invalid:6379".to_owned(), "no-such-host.invalid:6379".to_owned(), "address"),
    ];
    join_all(cases.iter().map(|(url, address, words)| async move {
        let refused = tokio::time::timeout(PATIENCE, refusal(url)).await.unwrap().to_string();
        for wanted in ["REDIS_URL", address, words] {
            assert!(refused.contains(wanted), "{url}: {refused}");
        }
        assert!(!refused.contains("hush"), "{refused}");
    }))
    .await;
}

#[tokio::test]
async fn a_wrong_password_is_called_so_and_not_shown() {
    let server = Server::start_with(&["--requirepass", "right"]).await;
    for url in [server.url(), server.url().replace("redis://", "redis://:hush@")] {
        let refused = refusal(&url).await.to_string();
        assert!(refused.contains("REDIS_URL: its user or password is not accepted"), "{refused}");
        assert!(!refused.contains("hush"), "{refused}");
    }
    let url = server.url().replace("redis://", "redis://:right@");
    QueueClient::connect(QueueConfig::new(url).shards(1)).await.unwrap();
}

/// Redis gives a new user no channels, and a script that may not tell a worker of a job would end in the middle.
#[tokio::test]
async fn a_user_who_may_not_use_the_channels_is_refused_at_the_start() {
    let server = Server::start().await;
    let mut redis = server.redis().await;
    let set = async |rule: &str, redis: &mut redis::aio::MultiplexedConnection| {
        let user = ["SETUSER", "postrider", "on", ">hush", "~{pr:*", "+@all", rule];
        let _: () = redis::cmd("ACL").arg(&user).query_async(redis).await.unwrap();
    };
    set("resetchannels", &mut redis).await;
    let url = server.url().replace("redis://", "redis://postrider:hush@");
    let refused = refusal(&url).await.to_string();
    for wanted in ["REDIS_URL", "&pr:*", &format!("127.0.0.1:{}", server.port)] {
        assert!(refused.contains(wanted), "{refused}");
    }
    assert!(!refused.contains("hush"), "{refused}");
    set("&pr:*", &mut redis).await;
    let client = QueueClient::connect(QueueConfig::new(url).shards(1)).await.unwrap();
    let worker = work(&client, config(1), |_| async { done() });
    let id = client.enqueue(job("acme")).await.unwrap().id();
    until_state(&client, id, JobState::Completed).await;
    worker.stop().await;
}

/// Who comes back after a restart together with all others may find no place, for a moment.
#[tokio::test]
async fn a_server_that_takes_no_more_connections_is_asked_again() {
    let server = Server::start_with(&["--maxclients", "1"]).await;
    let _only = until("it lets the test in", || async {
        let client = redis::Client::open(server.url()).unwrap();
        client.get_multiplexed_async_connection().await.ok()
    })
    .await;
    let refused = refusal(&server.url()).await;
    assert!(refused.is_transient() && refused.to_string().contains("`maxclients`"), "{refused}");
}

/// What a client is told, by a server that refuses all scripts, is no fault of the job in hand.
#[tokio::test]
async fn a_job_outlives_a_server_that_refuses_its_handler() {
    let server = Server::start().await;
    let client = server.client().await;
    let mut redis = server.redis().await;
    let _: () = redis::cmd("ACL").arg(&["SETUSER", "default", "-evalsha"]).query_async(&mut redis).await.unwrap();
    let refused = client.enqueue(job("acme")).await.unwrap_err();
    assert!(matches!(refused, QueueError::Refused(_)), "{refused}");
    assert!(matches!(Stop::from(refused), Stop::Retry { .. }));
    let malformed = client.enqueue(NewJob { payload: vec![0xff], ..job("acme") }).await.unwrap_err();
    assert!(matches!(Stop::from(malformed), Stop::Fail { .. }));
}

/// How often it refused a script.
async fn refused_scripts(redis: &mut redis::aio::MultiplexedConnection) -> u64 {
    let info: String = redis::cmd("INFO").arg("commandstats").query_async(redis).await.unwrap();
    let calls = info.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:"));
    let rejected = calls.and_then(|calls| calls.split(',').find_map(|word| word.strip_prefix("rejected_calls=")));
    rejected.map_or(0, |many| many.parse().unwrap())
}

#[tokio::test]
async fn a_server_that_refuses_all_calls_is_not_asked_all_the_time() {
    let server = Server::start().await;
    let client = server.client_with(16).await;
    let worker = work(&client, config(1), |_| async { done() });
    let id = client.enqueue(job("acme")).await.unwrap().id();
    until_state(&client, id, JobState::Completed).await;
    let mut redis = server.redis().await;
    let _: () = redis::cmd("ACL").arg(&["SETUSER", "default", "-evalsha"]).query_async(&mut redis).await.unwrap();
    let began = Instant::now();
    until("it refused 16 shards' calls some times", || async {
        (refused_scripts(&mut redis.clone()).await > 320).then_some(())
    })
    .await;
    let took = began.elapsed();
    assert!(took > Duration::from_secs(4), "320 calls within {took:?}");
    let _: () = redis::cmd("ACL").arg(&["SETUSER", "default", "+evalsha"]).query_async(&mut redis).await.unwrap();
    let id = client.enqueue(job("acme")).await.unwrap().id();
    until_state(&client, id, JobState::Completed).await;
    worker.stop().await;
}

/// What was logged.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Logged {
    fn lines_with(&self, words: &str) -> usize {
        let text = self.0.lock().unwrap();
        String::from_utf8_lossy(&text).lines().filter(|line| line.contains(words)).count()
    }
}

/// Connections that are there go on after a password was changed; a new subscription is refused, and nothing else would tell.
#[tokio::test]
async fn a_worker_that_may_not_listen_any_more_says_so_once() {
    let logged = Logged::default();
    let to = logged.clone();
    let log = tracing_subscriber::fmt().with_ansi(false).with_writer(move || to.clone()).finish();
    let _log = tracing::subscriber::set_default(log);
    let server = Server::start().await;
    let client = server.client().await;
    let worker = work(&client, config(1), |_| async { done() });
    let id = client.enqueue(job("acme")).await.unwrap().id();
    until_state(&client, id, JobState::Completed).await;
    let mut redis = server.redis().await;
    let mut tell = async |words: &[&str]| {
        redis::cmd(words[0]).arg(&words[1..]).exec_async(&mut redis).await.unwrap();
    };
    tell(&["CONFIG", "SET", "requirepass", "hush"]).await;
    tell(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    let words = "REDIS_URL: its user or password is not accepted";
    until("it is said", || async { (logged.lines_with(words) > 0).then_some(()) }).await;
    let id = client.enqueue(job("acme")).await.unwrap().id();
    until_state(&client, id, JobState::Completed).await; // it asks by itself, seconds later
    tell(&["CONFIG", "SET", "requirepass", ""]).await;
    until("it listens again", || async { (logged.lines_with("takes the subscription again") > 0).then_some(()) }).await;
    assert_eq!(logged.lines_with(words), 1);
    worker.stop().await;
}

#[tokio::test]
async fn an_old_version_is_refused_by_name() {
    let server = Server::start().await;
    // Redis 7 itself, which says that it is older.
    let proxy = crate::proxy::Proxy::rewriting(&server, b"redis_version:7", b"redis_version:6").await;
    match refusal(&proxy.url).await {
        QueueError::Setting { setting: "redis_version", found, .. } => assert!(found.starts_with("6."), "{found}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_replica_is_refused_at_the_start() {
    let master = Server::start().await;
    let replica = replica_of(&master).await;
    let refused = refusal(&replica.url()).await;
    assert!(matches!(refused, QueueError::Setting { setting: "replicaof", .. }), "{refused}");
    for wanted in [&format!("127.0.0.1:{}", master.port), &format!("127.0.0.1:{}", replica.port), "REDIS_URL"] {
        assert!(refused.to_string().contains(wanted), "{refused}");
    }
}

#[tokio::test]
async fn a_server_that_becomes_read_only_loses_nothing() {
    let server = Server::start().await;
    let client = server.client().await;
    let id = client.enqueue(job("acme")).await.unwrap().id();
    let mut redis = server.redis().await;
    let _: () = redis::cmd("REPLICAOF").arg("127.0.0.1").arg(1).query_async(&mut redis).await.unwrap();
    let refused = client.enqueue(job("acme")).await.unwrap_err();
    assert!(refused.is_transient() && refused.to_string().contains("`replicaof`"), "{refused}");
    let worker = work(&client, config(1), |_| async { done() });
    let _: () = redis::cmd("REPLICAOF").arg("NO").arg("ONE").query_async(&mut redis).await.unwrap();
    until_state(&client, id, JobState::Completed).await;
    worker.stop().await;
}

#[tokio::test]
async fn scripts_that_are_flushed_all_the_time_are_sent_again() {
    let server = Server::start().await;
    let client = server.client().await;
    let worker = work(&client, config(4), |_| async { done() });
    let mut redis = server.redis().await;
    for _ in 0..20 {
        let _: () = redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut redis).await.unwrap();
        let id = client.enqueue(job("acme")).await.unwrap().id();
        let _: () = redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut redis).await.unwrap();
        until_state(&client, id, JobState::Completed).await;
    }
    worker.stop().await;
}

#[tokio::test]
async fn a_server_that_loads_its_data_is_waited_for() {
    let mut server = Server::start().await;
    let client = server.client().await;
    let mut redis = server.redis().await;
    // Enough that loading takes a while.
    let mut many = redis::pipe();
    for n in 0..20_000 {
        many.set(format!("filling:{n}"), "x").ignore();
    }
    let _: () = many.query_async(&mut redis).await.unwrap();
    let id = client.enqueue(job("acme")).await.unwrap().id();
    let synced = || async {
        let info: String = redis::cmd("INFO").arg("persistence").query_async(&mut server.redis().await).await.unwrap();
        info.contains("aof_pending_bio_fsync:0").then_some(())
    };
    until("the log is on disk", synced).await;
    server.kill();
    server.slow_loading(Duration::from_micros(30));
    server.begin();
    let refused = until("it says that it loads", || async {
        QueueClient::connect(QueueConfig::new(server.url()).shards(1))
            .await
            .err()
            .filter(|error| error.to_string().to_lowercase().contains("loading"))
    })
    .await;
    assert!(refused.is_transient(), "{refused}");
    // Who starts now waits, and who was there goes on.
    let waiting = QueueClient::connect_when_loaded(QueueConfig::new(server.url()).shards(1));
    let late = tokio::time::timeout(PATIENCE, waiting).await.unwrap().unwrap();
    let worker = work(&client, config(1), |_| async { done() });
    until_state_when_it_answers(&late, id).await;
    worker.stop().await;
}

async fn until_state_when_it_answers(client: &QueueClient, id: postrider_queue::JobId) {
    until("it is done", || async {
        client.get(id).await.ok().flatten().filter(|record| record.state == JobState::Completed)
    })
    .await;
}

#[tokio::test]
async fn a_redis_that_would_lose_jobs_is_refused_by_name() {
    let server = Server::start().await;
    let mut redis = server.redis().await;
    for (setting, bad, good) in [
        ("maxmemory-policy", "allkeys-lru", "noeviction"),
        ("maxmemory", "0", "1000000000"),
        ("appendonly", "no", "yes"),
    ] {
        let set = |value: &str| redis::cmd("CONFIG").arg("SET").arg(setting).arg(value).to_owned();
        let _: () = set(bad).query_async(&mut redis).await.unwrap();
        match QueueClient::connect(QueueConfig::new(server.url())).await.map(drop) {
            Err(error @ QueueError::Setting { setting: named, .. }) => {
                assert_eq!(named, setting);
                let words = error.to_string();
                assert!(words.contains(&server.port.to_string()) && words.contains("REDIS_URL"), "{words}");
            }
            other => panic!("{other:?}"),
        }
        let _: () = set(good).query_async(&mut redis).await.unwrap();
    }
    server.client_with(8).await;
    let other = QueueClient::connect(QueueConfig::new(server.url()).shards(4)).await.map(drop);
    assert!(matches!(other, Err(QueueError::Shards { recorded: 8, configured: 4 })), "{other:?}");
    assert!(other.unwrap_err().to_string().contains("QUEUE_SHARDS"));
    let _: () = redis::cmd("HSET").arg("{pr:0}:1:meta").arg("protocol").arg(9).query_async(&mut redis).await.unwrap();
    let other = QueueClient::connect(QueueConfig::new(server.url()).shards(8)).await.map(drop);
    assert!(matches!(other, Err(QueueError::Protocol { .. })), "{other:?}");
    // A newer version has keys of its own and leaves this sign.
    let _: () = redis::cmd("HSET").arg("{pr:0}:1:meta").arg("protocol").arg(1).query_async(&mut redis).await.unwrap();
    let _: () = redis::cmd("SET").arg("{pr:0}:protocol").arg(3).query_async(&mut redis).await.unwrap();
    let other = QueueClient::connect(QueueConfig::new(server.url()).shards(8)).await.map(drop).unwrap_err();
    assert!(other.to_string().contains("protocol version 3, but this program speaks 2"), "{other}");
    let nobody = QueueClient::connect(QueueConfig::new("redis://127.0.0.1:1")).await.map(drop);
    assert!(nobody.unwrap_err().is_transient());
    assert!(QueueClient::connect(QueueConfig::new("http://example.com")).await.is_err());
}
