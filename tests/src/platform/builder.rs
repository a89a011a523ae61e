//! What to start, and the starting.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{FakedTime, Platform, google_settings, issuer_settings};
use crate::binaries;
use crate::canaries;
use crate::client::Api;
use crate::database::{DatabaseKind, TestDatabase};
use crate::disk::FullDisk;
use crate::network::Networks;
use crate::ports::Port;
use crate::process::{Process, Recipe};
use crate::redis_server::RedisServer;
use crate::sandbox::Sandbox;
use crate::settings;
use crate::wait::eventually;

/// A platform to be started.
#[derive(Debug)]
pub struct Builder {
    database: DatabaseKind,
    apis: usize,
    workers: usize,
    schedulers: usize,
    environment: Vec<(String, String)>,
    redis_settings: Vec<String>,
    time: Option<chrono::DateTime<chrono::Utc>>,
    bad_network: Option<u64>,
    slow_disk: Option<Duration>,
    full_disk: bool,
    programs: Option<PathBuf>,
    durable: bool,
    issuers: bool,
}

impl Builder {
    pub(super) const fn new(database: DatabaseKind) -> Self {
        Self {
            database,
            apis: 1,
            workers: 1,
            schedulers: 1,
            environment: Vec::new(),
            redis_settings: Vec::new(),
            time: None,
            bad_network: None,
            slow_disk: None,
            full_disk: false,
            programs: None,
            durable: false,
            issuers: false,
        }
    }

    /// API replicas, at least one.
    #[must_use]
    pub fn apis(mut self, count: usize) -> Self {
        self.apis = count.max(1);
        self
    }

    #[must_use]
    pub const fn workers(mut self, count: usize) -> Self {
        self.workers = count;
        self
    }

    #[must_use]
    pub const fn schedulers(mut self, count: usize) -> Self {
        self.schedulers = count;
        self
    }

    /// A setting for all of the product's processes.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &impl ToString) -> Self {
        self.environment.push((name.to_owned(), value.to_string()));
        self
    }

    /// A setting for Redis that wins over `deploy/redis.conf`, such as `("appendfsync", "everysec")`.
    #[must_use]
    pub fn redis_setting(mut self, name: &str, value: &str) -> Self {
        self.redis_settings.extend([format!("--{name}"), value.to_owned()]);
        self
    }

    /// Redis, the sandbox and all of the product's processes see this time, and it runs on from there.
    #[must_use]
    pub const fn at_time(mut self, now: chrono::DateTime<chrono::Utc>) -> Self {
        self.time = Some(now);
        self
    }

    /// API, workers and schedulers reach Redis over a [`Network`] each sort of their own, see [`Platform::networks`].
    #[must_use]
    pub const fn bad_network(mut self, seed: u64) -> Self {
        self.bad_network = Some(seed);
        self
    }

    /// Redis's disk takes so long to sync, and what it was not told to sync can be taken away: see [`RedisServer::lose_unsynced`].
    #[must_use]
    pub const fn slow_disk(mut self, sync: Duration) -> Self {
        self.slow_disk = Some(sync);
        self
    }

    /// The disk of the product's processes, but not of Redis, can be full: see [`Platform::disk`].
    #[must_use]
    pub const fn full_disk(mut self) -> Self {
        self.full_disk = true;
        self
    }

    /// The product's programs are those of another build, which stand in this folder.
    #[must_use]
    pub fn programs(mut self, folder: &Path) -> Self {
        self.programs = Some(folder.to_owned());
        self
    }

    /// People may sign in with tokens of the sandbox's issuers `google`, as Google's, and `main`, both meant for `shop`.
    #[must_use]
    pub const fn with_issuers(mut self) -> Self {
        self.issuers = true;
        self
    }

    /// Every commit of the database is on disk, as in production: for measurements.
    #[must_use]
    pub const fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// Starts everything and waits until it is ready.
    pub async fn start(self) -> Platform {
        let folder = tempfile::Builder::new().prefix("postrider-test-").tempdir().expect("make the test's folder");
        let path = folder.path();
        let time = self.time.map(|now| FakedTime::starting_at(path, now));
        let redis_settings: Vec<&str> = self.redis_settings.iter().map(String::as_str).collect();
        let (redis, sandbox, database) = tokio::join!(
            RedisServer::start_on(path, time.as_ref(), self.slow_disk, &redis_settings),
            Sandbox::start(path, time.as_ref()),
            async {
                if self.durable {
                    TestDatabase::durable(self.database, path).await
                } else {
                    TestDatabase::create(self.database, path).await
                }
            },
        );
        let mut environment = self.environment(path, &redis, &sandbox, &database, time.as_ref());
        let disk = self.full_disk.then(|| FullDisk::with_room(path));
        environment.extend(disk.iter().flat_map(FullDisk::environment));
        let networks = match self.bad_network {
            Some(seed) => Some(Networks::before(&redis, seed).await),
            None => None,
        };
        let environment_of = |sort: &str| {
            let way = networks.as_ref().map(|networks| ("REDIS_URL".to_owned(), networks.of(sort).url()));
            environment.iter().cloned().chain(way).collect::<Vec<_>>()
        };

        let programs = self.programs.as_deref().unwrap_or_else(|| binaries::folder());
        let spawn = |sort: &str, index, environment, port| spawn(programs, sort, index, environment, path, port);
        let mut apis = Vec::new();
        let mut api_addresses = Vec::new();
        for index in 0..self.apis {
            let port = Port::reserve();
            let mut environment = environment_of("api");
            environment.push(("BIND".to_owned(), port.address()));
            api_addresses.push(format!("http://{}", port.address()));
            environment.push(("PLATFORM_KEY_FILE".to_owned(), key_file(path)));
            apis.push(spawn("api", index, environment, Some(port)));
        }
        let mut workers = Vec::new();
        for index in 0..self.workers {
            workers.push(spawn("worker", index, environment_of("worker"), None));
        }
        let mut schedulers = Vec::new();
        for index in 0..self.schedulers {
            schedulers.push(spawn("scheduler", index, environment_of("scheduler"), None));
        }
        for process in apis.iter().chain(&workers).chain(&schedulers) {
            process.ready().await;
        }
        let api = Api::new(api_addresses[0].clone()).with_key(platform_key(path).await);
        Platform {
            workers,
            schedulers,
            apis,
            api_addresses,
            api,
            sandbox,
            networks,
            redis,
            database,
            disk,
            time,
            folder: Some(folder),
            finished: false,
        }
    }

    fn environment(
        &self,
        folder: &Path,
        redis: &RedisServer,
        sandbox: &Sandbox,
        database: &TestDatabase,
        time: Option<&FakedTime>,
    ) -> Vec<(String, String)> {
        let mut environment: Vec<(String, String)> = [
            ("DATABASE_URL", database.url().to_owned()),
            ("REDIS_URL", redis.url()),
            ("OBJECT_STORE_URL", format!("file://{}", folder.join("objects").display())),
            ("SECRET_KEYS", format!("test:{}", canaries::SEAL_KEY)),
            ("OPENAI_BASE_URL", sandbox.addresses().openai_base_url.clone()),
            ("OPENAI_API_KEY", canaries::MODEL_KEY.to_owned()),
            ("RUST_LOG", settings::log_filter()),
            ("LOG_FORMAT", "json".to_owned()),
            ("WORKER_GRACE_SECONDS", "10".to_owned()),
            ("RUST_BACKTRACE", "1".to_owned()),
            // All mail servers of the tests are on this machine.
            ("ALLOWED_PRIVATE_NETWORKS", "127.0.0.0/8,::1".to_owned()),
            // Mailboxes are read when a test says so; those about watching them turn it on.
            ("MAILBOX_IDLE_CONNECTIONS", "0".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec();
        let at = sandbox.addresses();
        environment.extend(google_settings(at.http, at.imap, at.smtp));
        environment.extend([
            ("SYSTEM_SMTP_SERVER".to_owned(), format!("plain://{}", at.smtp)),
            ("SYSTEM_MAIL_FROM".to_owned(), "postrider@sandbox.example".to_owned()),
        ]);
        if self.issuers {
            environment.extend(issuer_settings(at.http));
        }
        environment.extend(time.map(FakedTime::environment).unwrap_or_default());
        // Later settings win, so a test's own come last.
        environment.extend(self.environment.iter().cloned());
        environment
    }
}

/// The port, if any, must stay reserved as long as the process may be restarted: it is leaked with the test's process.
fn spawn(
    programs: &Path,
    sort: &str,
    index: usize,
    environment: Vec<(String, String)>,
    folder: &Path,
    port: Option<Port>,
) -> Process {
    std::mem::forget(port);
    let name = format!("{sort}-{index}");
    Process::spawn(Recipe {
        log: folder.join(format!("{name}.log")),
        program: programs.join(format!("postrider-{sort}")),
        arguments: Vec::new(),
        environment,
        privileges: Vec::new(),
        ready: "ready".to_owned(),
        name,
    })
}

fn key_file(folder: &Path) -> String {
    folder.join("platform_key").display().to_string()
}

/// The key the first start wrote, whichever replica that was.
async fn platform_key(folder: &Path) -> String {
    eventually("the platform key's file", || async {
        let text = std::fs::read_to_string(key_file(folder)).ok()?;
        let key = text.trim().to_owned();
        key.starts_with("pr_").then_some(key)
    })
    .await
}
