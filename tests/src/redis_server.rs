//! A private redis-server with `deploy/redis.conf`, in a folder of its own, that can be killed and started again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::binaries::repository;
use crate::disk::Disk;
use crate::platform::faked_time::FakedTime;
use crate::ports::Port;
use crate::process::{Process, Recipe};
use crate::wait::DEADLINE;

#[derive(Debug)]
pub struct RedisServer {
    port: Port,
    process: Process,
    data: PathBuf,
    disk: Option<Disk>,
}

impl RedisServer {
    /// Starts it with its data in `folder`; under libfaketime if a faked time is given.
    pub async fn start(folder: &Path, time: Option<&FakedTime>) -> Self {
        Self::start_with(folder, time, &[]).await
    }

    /// With further settings, such as `["--appendfsync", "everysec"]`, that win over `deploy/redis.conf`.
    pub async fn start_with(folder: &Path, time: Option<&FakedTime>, settings: &[&str]) -> Self {
        Self::start_on(folder, time, None, settings).await
    }

    /// The same on a disk that needs so long for each sync, if that is given; see [`Self::lose_unsynced`].
    pub async fn start_on(folder: &Path, time: Option<&FakedTime>, sync: Option<Duration>, settings: &[&str]) -> Self {
        let data = folder.join("redis");
        std::fs::create_dir_all(&data).expect("create Redis's folder");
        let port = Port::reserve();
        // A copy, because Sentinel has a server write down whose replica it is.
        let configuration = folder.join("redis.conf");
        std::fs::copy(repository().join("deploy/redis.conf"), &configuration).expect("copy Redis's settings");
        let mut arguments = vec![
            configuration.display().to_string(),
            "--port".to_owned(),
            port.number().to_string(),
            "--dir".to_owned(),
            data.display().to_string(),
        ];
        arguments.extend(settings.iter().map(ToString::to_string));
        let disk = sync.map(|sync| Disk::slow(folder, sync));
        let mut environment = time.map(FakedTime::environment).unwrap_or_default();
        environment.extend(disk.iter().flat_map(Disk::environment));
        let process = Process::spawn(Recipe {
            name: "redis".to_owned(),
            program: "redis-server".into(),
            arguments,
            environment,
            privileges: Vec::new(),
            log: folder.join("redis.log"),
            ready: "Ready to accept connections".to_owned(),
        });
        process.ready().await;
        Self { port, process, data, disk }
    }

    pub fn url(&self) -> String {
        format!("redis://{}/", self.port.address())
    }

    /// Host and port.
    pub fn address(&self) -> String {
        self.port.address()
    }

    /// Its port of 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.port.number()
    }

    pub const fn process(&self) -> &Process {
        &self.process
    }

    /// SIGKILL. What was written stays, also what was not synced, because the machine lives on.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// After [`Self::kill`]: takes away what Redis wrote and had not synced, as if the machine had lost its power. Returns
    /// how many bytes that were.
    ///
    /// # Panics
    /// When it was started without a disk of its own.
    pub fn lose_unsynced(&self) -> u64 {
        self.disk.as_ref().expect("started on a disk of its own").lose_unsynced(&self.data.join("appendonlydir"))
    }

    /// Starts it again on the same port and data, and waits until it has loaded them.
    pub async fn restart(&self) {
        self.process.start();
        self.process.ready().await;
    }

    /// A connection of the test's own, to look inside. It is patient: the client library would give up an answer after half a
    /// second, which is little on a busy machine.
    pub async fn connection(&self) -> redis::aio::MultiplexedConnection {
        let patient = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(DEADLINE))
            .set_response_timeout(Some(DEADLINE));
        let client = redis::Client::open(self.url()).expect("a Redis URL");
        client.get_multiplexed_async_connection_with_config(&patient).await.expect("connect to Redis")
    }
}
