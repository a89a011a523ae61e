//! Processes that are given a Redis that is none, or one that would lose jobs, end at once and say which setting is wrong. One
//! that is not ready yet is waited for; one that is full, flushed of scripts or read-only for a while costs nothing.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use postrider_tests::ports::Port;
use postrider_tests::pretender::{Manner, Pretender};
use postrider_tests::process::Recipe;
use postrider_tests::{DatabaseKind, Platform, Process, RedisServer, TestDatabase, binaries, eventually};
use rustix::process::{Pid, Signal};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

const SORTS: [&str; 3] = ["api", "worker", "scheduler"];

/// A folder and a database, on which processes can be started with any `REDIS_URL`.
struct Ground {
    folder: tempfile::TempDir,
    database: TestDatabase,
}

impl Ground {
    async fn prepare() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::create(DatabaseKind::Sqlite, folder.path()).await;
        Self { folder, database }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn start(&self, sort: &str, redis_url: &str) -> Process {
        self.start_with(sort, redis_url, &[])
    }

    /// With further settings, which win.
    fn environment(&self, redis_url: &str) -> Vec<(String, String)> {
        [
            ("DATABASE_URL", self.database.url()),
            ("REDIS_URL", redis_url),
            ("OBJECT_STORE_URL", &format!("file://{}", self.path().join("objects").display())),
            ("SECRET_KEYS", "test:dGVzdHMgc2VhbCB3aXRoIHRoaXMga2V5LCBubyBvbmU="),
            ("OPENAI_API_KEY", "sk-none"),
            ("BIND", "127.0.0.1:0"),
            ("PLATFORM_KEY_FILE", &self.path().join("platform_key").display().to_string()),
            ("RUST_LOG", "info"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    fn start_with(&self, sort: &str, redis_url: &str, more: &[(&str, &str)]) -> Process {
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Process::spawn(Recipe {
            name: sort.to_owned(),
            program: binaries::program(&format!("postrider-{sort}")),
            arguments: Vec::new(),
            environment: self.environment(redis_url).into_iter().chain(more).collect(),
            privileges: Vec::new(),
            log: self.path().join(format!("{sort}.log")),
            ready: "ready".to_owned(),
        })
    }

    /// Each sort of process ends by itself, and says all of these words.
    async fn refuses(&self, redis_url: &str, words: &[&str]) {
        let started = SORTS.map(|sort| self.start(sort, redis_url));
        for process in &started {
            refused(process, words).await;
        }
    }
}

/// It ends by itself, and says all of these words.
async fn refused(process: &Process, words: &[&str]) {
    let status =
        eventually(&format!("{} to refuse {words:?}", process.name()), || async { process.exit_status() }).await;
    let log = process.log();
    assert_eq!(status.code(), Some(1), "{words:?}: {log}");
    for word in words {
        assert!(log.contains(word), "{} says nothing of {word:?}: {log}", process.name());
    }
    assert!(!log.contains("hush") && !log.contains("panicked"), "{log}");
    assert!(!log.contains('\u{1b}'), "colours, and no terminal: {log:?}");
}

/// Without any setting, and before anything is asked of a server.
#[test]
fn each_program_tells_how_it_is_called() {
    for sort in ["api", "worker", "scheduler", "migrate", "shards", "proof"] {
        let name = format!("postrider-{sort}");
        let said = |argument: &str| {
            let said = Command::new(binaries::program(&name)).arg(argument).env_clear().output().unwrap();
            (said.status.code(), String::from_utf8([said.stdout, said.stderr].concat()).unwrap())
        };
        for (argument, code, words) in [
            ("--help", 0, format!("Usage: {name}")),
            ("--version", 0, format!("{name} {}", env!("CARGO_PKG_VERSION"))),
            ("--nonsense", 2, "'--nonsense'".to_owned()),
        ] {
            let (found, text) = said(argument);
            assert!(found == Some(code) && text.contains(&words), "{name} {argument}: {found:?} {text}");
        }
    }
}

/// The migrator shares no code with the others, and yet whoever sets up reads the same from all of them, and never the password.
#[test]
fn a_database_url_that_cannot_be_used_is_refused_by_all_in_the_same_words() {
    for url in
        ["mysql://u:hush@h/db", "postgres://u:hush@h:99999/db", "postgres://u:hush/@h/db", "postgres://u:hush@[::1/db"]
    {
        let said = ["migrate", "api", "worker", "scheduler"].map(|sort| {
            let mut command = Command::new(binaries::program(&format!("postrider-{sort}")));
            command.args((sort == "migrate").then_some("up")).env_clear().env("DATABASE_URL", url);
            let said = String::from_utf8(command.output().unwrap().stderr).unwrap();
            assert!(!said.contains("hush"), "{sort}: {said}");
            let line = said.lines().find_map(|line| Some(line.split_once("DATABASE_URL: ")?.1.to_owned()));
            line.unwrap_or_else(|| panic!("{sort} says nothing of DATABASE_URL: {said}"))
        });
        assert!(said.iter().all(|words| *words == said[0]), "{said:#?}");
    }
}

#[tokio::test]
async fn places_that_cannot_be_had_are_named_with_the_setting() {
    let ground = Ground::prepare().await;
    let redis = RedisServer::start(ground.path(), None).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let no_database = ("DATABASE_URL", "postgres://postrider:hush@127.0.0.1:1/postrider");
    let on_a_file = format!("file://{}/redis.conf/objects", ground.path().display());
    for (sort, setting, words) in [
        ("api", ("BIND", taken.as_str()), ["BIND", "Address already in use"]),
        ("worker", ("METRICS_BIND", taken.as_str()), ["METRICS_BIND", "Address already in use"]),
        ("scheduler", ("METRICS_BIND", taken.as_str()), ["METRICS_BIND", "Address already in use"]),
        ("api", ("OBJECT_STORE_URL", &on_a_file), ["OBJECT_STORE_URL", "Not a directory"]),
        ("worker", ("OBJECT_STORE_URL", &on_a_file), ["OBJECT_STORE_URL", "Not a directory"]),
        ("scheduler", ("OBJECT_STORE_URL", &on_a_file), ["OBJECT_STORE_URL", "Not a directory"]),
    ] {
        refused(&ground.start_with(sort, &redis.url(), &[setting]), &words).await;
    }
    let started = SORTS.map(|sort| ground.start_with(sort, &redis.url(), &[no_database]));
    for process in &started {
        refused(process, &["DATABASE_URL: the database was not reached", "refused"]).await;
    }
}

/// Waiting mends neither a wrong password nor a database that nobody made.
#[tokio::test]
async fn a_database_that_lets_nobody_in_is_told_at_once() {
    let ground = Ground::prepare().await;
    let redis = RedisServer::start(ground.path(), None).await;
    let server = postrider_tests::postgres::Server::start(ground.path(), false).await;
    let address = server.base_url().split_once('@').unwrap().1.to_owned();
    let nowhere = ground.path().join("missing/postrider.db").display().to_string();
    for (url, words) in [
        (format!("postgres://stranger:hush@{address}/postgres"), ["does not let this user in", "pg_hba.conf"]),
        (format!("postgres://postgres:hush@{address}/nowhere"), ["no such database", "CREATE DATABASE"]),
        (format!("postgres://postgres:hush@{address}/postgres?sslmode=require"), ["cannot be opened", "TLS"]),
        (format!("sqlite://{nowhere}?mode=rwc"), ["no such file", "postrider-migrate up"]),
    ] {
        let since = std::time::Instant::now();
        let started = SORTS.map(|sort| ground.start_with(sort, &redis.url(), &[("DATABASE_URL", &url)]));
        for process in &started {
            refused(process, &[&["DATABASE_URL"], &words[..]].concat()).await;
        }
        assert!(since.elapsed() < Duration::from_secs(8), "{url} was waited for");
    }
}

/// Nobody could get in with a key that was made and shown nowhere.
#[tokio::test]
async fn a_platform_key_that_cannot_be_written_down_is_not_made() {
    let ground = Ground::prepare().await;
    let redis = RedisServer::start(ground.path(), None).await;
    let nowhere = ground.path().join("missing/key").display().to_string();
    let process = ground.start_with("api", &redis.url(), &[("PLATFORM_KEY_FILE", &nowhere)]);
    refused(&process, &["PLATFORM_KEY_FILE", "missing/key", "No such file"]).await;
    let process = ground.start("api", &redis.url());
    process.ready().await;
    assert!(std::fs::read_to_string(ground.path().join("platform_key")).unwrap().starts_with("pr_"));
}

#[tokio::test]
async fn what_is_no_redis_is_named_with_the_setting() {
    let ground = Ground::prepare().await;
    for (manner, words) in [
        (Manner::Silent, "rediss://"),
        (Manner::HangsUp, "rediss://"),
        (Manner::Web, "is not Redis"),
        (Manner::Version("5.0.14"), "`redis_version` is `5.0.14`, but the queue needs 7.0 or later"),
    ] {
        let pretender = Pretender::start(manner).await;
        let url = format!("redis://:hush@{}", pretender.address());
        ground.refuses(&url, &["REDIS_URL", pretender.address(), words]).await;
    }
    let closed = "127.0.0.1:1";
    ground.refuses(&format!("redis://:hush@{closed}"), &["REDIS_URL", closed, "refused"]).await;
}

#[tokio::test]
async fn a_redis_that_would_lose_jobs_is_named_with_the_setting() {
    let ground = Ground::prepare().await;
    let redis = RedisServer::start_with(ground.path(), None, &["--requirepass", "right"]).await;
    let address = redis.address();
    let words = ["REDIS_URL", &address, "user or password"];
    ground.refuses(&format!("redis://:hush@{address}"), &words).await;
    ground.refuses(&format!("redis://{address}"), &words).await;
    let url = format!("redis://:right@{address}");
    // With rediss:// a plain server hears nonsense.
    ground.refuses(&format!("rediss://:right@{address}"), &["REDIS_URL", &address, "rediss://"]).await;
    let tell = async |words: &str| {
        let client = redis::Client::open(url.as_str()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let words: Vec<&str> = words.split(' ').collect();
        redis::cmd(words[0]).arg(&words[1..]).exec_async(&mut connection).await.unwrap();
    };
    for (bad, setting, good) in [
        ("CONFIG SET maxmemory-policy allkeys-lru", "`maxmemory-policy`", "CONFIG SET maxmemory-policy noeviction"),
        ("CONFIG SET maxmemory-policy volatile-ttl", "`maxmemory-policy`", "CONFIG SET maxmemory-policy noeviction"),
        ("CONFIG SET maxmemory 0", "`maxmemory`", "CONFIG SET maxmemory 256mb"),
        ("CONFIG SET appendonly no", "`appendonly`", "CONFIG SET appendonly yes"),
        ("REPLICAOF 127.0.0.1 1", "`replicaof`", "REPLICAOF NO ONE"),
    ] {
        tell(bad).await;
        ground.refuses(&url, &["REDIS_URL", &address, setting]).await;
        tell(good).await;
    }
    // Nothing of this has left a trace.
    for process in SORTS.map(|sort| ground.start(sort, &url)) {
        process.ready().await;
    }
}

#[tokio::test]
async fn a_redis_that_loads_its_data_is_waited_for() {
    let ground = Ground::prepare().await;
    let redis = RedisServer::start(ground.path(), None).await;
    let pretender = Pretender::start(Manner::Loading(redis.address())).await;
    let started = SORTS.map(|sort| ground.start(sort, &format!("redis://{}", pretender.address())));
    for process in &started {
        process.logged("waiting for Redis").await;
        assert!(process.is_running() && process.log().contains("loading"), "{}", process.log());
    }
    pretender.loaded();
    for process in &started {
        process.ready().await;
    }
}

/// 100 jobs of 10 ms, accepted; waits for nothing.
async fn submit_many(api: &postrider_tests::Api) -> Vec<Value> {
    let jobs: Vec<Value> = (0..100).map(|_| json!({ "kind": "diagnostic.sleep", "payload": { "ms": 10 } })).collect();
    let batch = api.post("/v1/jobs/batch", &jobs).await.expect_status(202).body;
    batch["items"].as_array().unwrap().clone()
}

async fn all_done(api: &postrider_tests::Api, items: &[Value]) {
    for item in items {
        let job = api.finished(item["id"].as_str().unwrap()).await;
        assert_eq!((job.state.as_str(), job.attempt), ("completed", 1), "{job:?}");
    }
}

async fn tell(platform: &Platform, words: &[&str]) {
    let mut connection = platform.redis().connection().await;
    redis::cmd(words[0]).arg(&words[1..]).exec_async(&mut connection).await.unwrap();
}

#[tokio::test]
async fn processes_start_and_finish_jobs_while_memory_is_full() {
    let platform = Platform::with(DatabaseKind::Sqlite).start().await;
    let api = platform.tenant("Full").await;
    platform.worker(0).stop(Duration::from_secs(20)).await;
    let items = submit_many(&api).await;
    tell(&platform, &["CONFIG", "SET", "maxmemory", "1mb"]).await;
    for process in platform.processes() {
        process.kill_and_restart().await;
    }
    all_done(&api, &items).await;
    let echo = json!({ "kind": "diagnostic.echo" });
    let refused = api.post("/v1/jobs", &echo).await;
    assert!(refused.header("retry-after").is_some(), "{refused:#?}");
    let problem = refused.problem(503, "queue-full");
    assert!(problem["next"].as_str().unwrap().contains("maxmemory"), "{problem}");
    tell(&platform, &["CONFIG", "SET", "maxmemory", "256mb"]).await;
    eventually("jobs are taken again", || async { (api.post("/v1/jobs", &echo).await.status == 202).then_some(()) })
        .await;
    platform.no_jobs_left().await;
    platform.finish().await;
}

#[tokio::test]
async fn scripts_may_be_flushed_and_a_master_demoted_while_jobs_run() {
    let platform = Platform::with(DatabaseKind::Sqlite).start().await;
    let api = platform.tenant("Unmoved").await;
    let mut items = submit_many(&api).await;
    for _ in 0..5 {
        tell(&platform, &["SCRIPT", "FLUSH"]).await;
        items.extend(submit_many(&api).await);
    }
    tell(&platform, &["REPLICAOF", "127.0.0.1", "1"]).await;
    let refused = api.post("/v1/jobs", &json!({ "kind": "diagnostic.echo" })).await;
    assert!(refused.header("retry-after").is_some(), "{refused:#?}");
    let problem = refused.problem(503, "queue-unavailable");
    assert!(problem["next"].as_str().unwrap().contains("Idempotency-Key"), "{problem}");
    platform.api_process(0).logged("`replicaof`").await;
    tell(&platform, &["REPLICAOF", "NO", "ONE"]).await;
    all_done(&api, &items).await;
    platform.finish().await;
}

/// The first lets it end well, which takes as long as it takes: Redis does not answer.
#[tokio::test]
async fn a_second_signal_ends_a_process_that_is_stopping() {
    let ground = Ground::prepare().await;
    let redis = RedisServer::start(ground.path(), None).await;
    let worker = ground.start("worker", &redis.url());
    worker.ready().await;
    // From then on it has something to give back, and waits for Redis.
    let connection = redis.connection().await;
    eventually("a session to be open", || {
        let mut connection = connection.clone();
        async move {
            let sessions: Vec<String> =
                redis::cmd("KEYS").arg("*:sessions").query_async(&mut connection).await.unwrap();
            (!sessions.is_empty()).then_some(())
        }
    })
    .await;
    redis.process().pause();
    worker.signal(Signal::TERM);
    worker.logged("stopping").await;
    let status = eventually("the worker to end", || async {
        worker.signal(Signal::INT);
        worker.exit_status()
    })
    .await;
    assert_eq!(status.code(), Some(128 + 2), "{}", worker.log());
}

/// Whoever reads the log may stop: a terminal that is paused, a collector that is stuck. Nobody who is served waits for that.
#[tokio::test]
async fn a_process_goes_on_while_nobody_reads_its_log() {
    let ground = Ground::prepare().await;
    let redis = RedisServer::start(ground.path(), None).await;
    let port = Port::reserve();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut api = tokio::process::Command::new(binaries::program("postrider-api"))
        .envs(ground.environment(&redis.url()))
        .envs([("BIND", port.address().as_str()), ("RUST_LOG", "trace"), ("LOG_FORMAT", "json")])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build().unwrap();
    let ask = || async { client.get(format!("http://{}/readyz", port.address())).send().await };
    eventually("the API to answer", || async { ask().await.ok() }).await;
    for asked in 0..1_000 {
        assert!(ask().await.is_ok(), "no answer to request {asked}");
    }
    let id = Pid::from_raw(i32::try_from(api.id().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(id, Signal::TERM).unwrap();
    let mut log = String::new();
    api.stdout.take().unwrap().read_to_string(&mut log).await.unwrap();
    assert!(api.wait().await.unwrap().success());
    assert!(log.len() > 200_000, "more than a pipe holds: {} bytes", log.len());
    let events = log.lines().filter(|line| !line.starts_with("platform key"));
    let lines: Vec<Value> = events.map(|line| serde_json::from_str(line).expect(line)).collect();
    let is_stopped = |line: &Value| line["message"] == "stopped";
    assert!(lines.iter().rev().take(5).any(is_stopped), "the end is missing: {:?}", lines.last());
}
