//! A private PostgreSQL server on loopback, without fsync unless it is measured: its data need not outlive the test.

use std::path::{Path, PathBuf};
use std::process::Command;

use sea_orm::{ConnectionTrait, Database};
use tempfile::TempDir;
use uuid::Uuid;

use crate::ports::Port;
use crate::process::{Process, Recipe};
use crate::settings;

/// Ends when dropped.
#[derive(Debug)]
pub struct Server {
    // In the order in which they must go.
    process: Process,
    port: Port,
    _data: TempDir,
}

/// A new, empty database: on the server the settings name, or on a private one, which is returned to be kept.
pub async fn database(log_folder: &Path, durable: bool) -> (String, Option<Server>) {
    let server = match settings::postgres_server() {
        Some(_) => None,
        None => Some(Server::start(log_folder, durable).await),
    };
    let base = server.as_ref().map_or_else(|| settings::postgres_server().unwrap_or_default(), Server::base_url);
    let name = format!("postrider_{}", Uuid::new_v4().simple());
    let admin = Database::connect(format!("{base}/postgres")).await.expect("connect to PostgreSQL");
    admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.expect("create a database");
    admin.close().await.expect("close the connection");
    (format!("{base}/{name}"), server)
}

impl Server {
    pub async fn start(log_folder: &Path, durable: bool) -> Self {
        let programs = programs();
        // PostgreSQL refuses root, so as root it runs as its own user, in a folder that user owns.
        let privileges = if rustix::process::getuid().is_root() {
            vec!["--reuid=postgres".to_owned(), "--regid=postgres".to_owned(), "--init-groups".to_owned()]
        } else {
            Vec::new()
        };
        let data = tempfile::Builder::new().prefix("postrider-postgres-").tempdir().expect("make PostgreSQL's folder");
        if !privileges.is_empty() {
            run(Command::new("chown").arg("postgres").arg(data.path()));
        }
        run(Command::new("setpriv")
            .args(&privileges)
            .arg("--")
            .arg(programs.join("initdb"))
            .args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8"])
            .args((!durable).then_some("--wal-segsize=1"))
            .arg("-D")
            .arg(data.path().join("data")));
        let port = Port::reserve();
        let process = Process::spawn(Recipe {
            name: "postgres".to_owned(),
            program: programs.join("postgres"),
            arguments: [
                "-D",
                &data.path().join("data").display().to_string(),
                "-p",
                &port.number().to_string(),
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "unix_socket_directories=",
                "-c",
                if durable { "fsync=on" } else { "fsync=off" },
                "-c",
                "max_connections=200",
            ]
            .map(ToOwned::to_owned)
            .into_iter()
            .chain(if durable { Vec::new() } else { small_log() })
            .collect(),
            environment: Vec::new(),
            privileges,
            log: log_folder.join("postgres.log"),
            ready: "database system is ready to accept connections".to_owned(),
        });
        process.ready().await;
        Self { process, port, _data: data }
    }

    /// A URL without a database name.
    pub fn base_url(&self) -> String {
        format!("postgres://postgres@{}", self.port.address())
    }

    pub const fn process(&self) -> &Process {
        &self.process
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGQUIT takes the server's children along at once; SIGKILL would leave them to find out.
        self.process.signal(rustix::process::Signal::QUIT);
        for _ in 0..500 {
            if !self.process.is_running() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

/// What a crash of the machine would need is not kept, and little of the log: many servers share the disk with a build.
fn small_log() -> Vec<String> {
    ["-c", "full_page_writes=off", "-c", "min_wal_size=2MB", "-c", "max_wal_size=32MB"].map(ToOwned::to_owned).to_vec()
}

/// The newest installed version's programs, where Debian keeps them, else what is on the path.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.map(|entry| entry.path()).max_by_key(|path| {
        path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u32>().ok()).unwrap_or(0)
    });
    newest.map_or_else(PathBuf::new, |path| path.join("bin"))
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
