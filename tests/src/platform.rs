//! The whole product, started for one test.

mod builder;
pub mod faked_time;
mod gmail;
mod google;
mod ledger;
mod leftovers;
mod office;
mod told;

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

pub use builder::Builder;
pub use faked_time::FakedTime;
pub use google::{google_settings, issuer_settings, owner_answers};
pub use ledger::LedgerRow;
pub use office::{Office, Reply};

use crate::client::Api;
use crate::database::{DatabaseKind, TestDatabase};
use crate::disk::FullDisk;
use crate::network::Networks;
use crate::process::Process;
use crate::redis_server::RedisServer;
use crate::sandbox::Sandbox;
use crate::settings;

/// How long a program may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(30);

/// Redis, database, sandbox, and any number of the product's processes.
#[derive(Debug)]
pub struct Platform {
    // In the order in which they must go: who uses something ends before it.
    workers: Vec<Process>,
    schedulers: Vec<Process>,
    apis: Vec<Process>,
    api_addresses: Vec<String>,
    api: Api,
    sandbox: Sandbox,
    networks: Option<Networks>,
    redis: RedisServer,
    database: TestDatabase,
    disk: Option<FullDisk>,
    time: Option<FakedTime>,
    folder: Option<TempDir>,
    finished: bool,
}

impl Platform {
    /// One process of each sort on SQLite.
    pub async fn start() -> Self {
        Self::with(DatabaseKind::Sqlite).start().await
    }

    /// To say how many processes, which settings, which clock.
    pub fn with(database: DatabaseKind) -> Builder {
        Builder::new(database)
    }

    /// A caller with the platform's key.
    pub const fn api(&self) -> &Api {
        &self.api
    }

    /// The base URLs of all API replicas.
    pub fn api_addresses(&self) -> &[String] {
        &self.api_addresses
    }

    pub fn api_process(&self, index: usize) -> &Process {
        &self.apis[index]
    }

    pub fn worker(&self, index: usize) -> &Process {
        &self.workers[index]
    }

    pub fn workers(&self) -> &[Process] {
        &self.workers
    }

    pub fn scheduler(&self, index: usize) -> &Process {
        &self.schedulers[index]
    }

    pub const fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// The ways to Redis.
    ///
    /// # Panics
    /// When the platform was started without [`Builder::bad_network`].
    pub const fn networks(&self) -> &Networks {
        self.networks.as_ref().expect("started with bad_network")
    }

    pub const fn redis(&self) -> &RedisServer {
        &self.redis
    }

    pub const fn database(&self) -> &TestDatabase {
        &self.database
    }

    /// What the product's processes write to.
    ///
    /// # Panics
    /// When the platform was started without [`Builder::full_disk`].
    pub const fn disk(&self) -> &FullDisk {
        self.disk.as_ref().expect("started with full_disk")
    }

    /// The clock the product sees, if it was given one of its own.
    pub const fn time(&self) -> Option<&FakedTime> {
        self.time.as_ref()
    }

    /// Logs and data; kept when the test fails.
    ///
    /// # Panics
    /// Never: the folder is there as long as the platform.
    pub fn folder(&self) -> &Path {
        self.folder.as_ref().expect("the folder lives as long as the platform").path()
    }

    /// All of the product's processes: api, workers, schedulers.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        self.apis.iter().chain(&self.workers).chain(&self.schedulers)
    }

    /// Ends the test: waits until no job is left that could still run, ends every process gracefully, and checks that each
    /// ended well and that no secret was told.
    ///
    /// # Panics
    /// When jobs are left over or stuck, a planted secret stands somewhere, or a process did not end with status 0 after SIGTERM.
    pub async fn finish(mut self) {
        self.no_jobs_left().await;
        for process in self.schedulers.iter().chain(&self.workers).chain(&self.apis) {
            if process.is_running() {
                let status = process.stop(GRACE).await;
                assert!(status.success(), "{} ended with {status}:\n{}", process.name(), process.log_tail(40));
            }
        }
        self.no_secret_is_told().await;
        self.finished = true;
    }

    /// Ends a test that leaves jobs behind on purpose; say why.
    ///
    /// # Panics
    /// When a planted secret stands in a file.
    pub fn abandon(mut self, _reason: &str) {
        let told = self.told_in_files(&crate::canaries::forms());
        assert!(told.is_empty(), "secrets were told:\n{}", told.join("\n"));
        self.finished = true;
    }

    /// Ends what went wrong without a panic: logs and data are kept, and it says where.
    pub fn keep(mut self) {
        self.finished = true;
        if let Some(folder) = self.folder.take() {
            eprintln_lines(&format!("logs and data are kept in {}", folder.keep().display()));
        }
    }

    fn show_logs(&self) {
        let servers = [self.redis.process(), self.sandbox.process()];
        for process in self.processes().chain(servers) {
            let running = if process.is_running() { "running" } else { "not running" };
            eprintln_lines(&format!("── {} ({running}) {}", process.name(), process.log_path().display()));
            eprintln_lines(&process.log_tail(25));
        }
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        let failing = std::thread::panicking();
        if failing {
            self.show_logs();
        }
        if (failing || settings::keep_folder())
            && let Some(folder) = self.folder.take()
        {
            let kept = folder.keep();
            eprintln_lines(&format!("logs and data are kept in {}", kept.display()));
        }
        assert!(failing || self.finished, "a test ends with `platform.finish().await`, which looks for leftover jobs");
    }
}

/// The one place where the harness prints: a failing test's own output.
fn eprintln_lines(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
