//! A private PostgreSQL server on a socket in its own folder; it ends with the test.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use sea_orm::{ConnectionTrait, Database};
use tempfile::TempDir;
use uuid::Uuid;

pub struct Server {
    process: Child,
    folder: TempDir,
}

impl Server {
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("postrider-stores-").tempdir().unwrap();
        let programs = programs();
        let data = folder.path().join("data");
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(folder.path()));
        }
        run(as_postgres(&programs.join("initdb"))
            .args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8"])
            // A small log: many servers share the disk with a build.
            .args(["--wal-segsize=1", "-D"])
            .arg(&data));
        let process = as_postgres(&programs.join("postgres"))
            .arg("-D")
            .arg(&data)
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "full_page_writes=off"])
            .args(["-c", "min_wal_size=2MB", "-c", "max_wal_size=32MB", "-c", "max_connections=300", "-c"])
            .arg(format!("unix_socket_directories={}", folder.path().display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut server = Self { process, folder };
        server.wait_until_ready(&programs);
        server
    }

    /// The URL of a new, empty database.
    pub async fn new_database(&self) -> String {
        let name = format!("test_{}", Uuid::new_v4().simple());
        let admin = Database::connect(self.url("postgres")).await.unwrap();
        admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
        admin.close().await.unwrap();
        self.url(&name)
    }

    fn url(&self, database: &str) -> String {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://postgres@localhost/{database}?host={folder}")
    }

    fn wait_until_ready(&mut self, programs: &Path) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            let ready = Command::new(programs.join("pg_isready"))
                .args(["--quiet", "--timeout=1", "--host"])
                .arg(self.folder.path())
                .status()
                .unwrap();
            if ready.success() {
                return;
            }
            assert!(self.process.try_wait().unwrap().is_none(), "PostgreSQL ended");
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("PostgreSQL did not start");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // QUIT ends it and its children at once; its data goes with the folder.
        let _ = Command::new("kill").args(["-QUIT", &self.process.id().to_string()]).status();
        let _ = self.process.wait();
    }
}

/// PostgreSQL refuses root, so as root it runs as its own user. It ends with us, even if we are killed.
fn as_postgres(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
    }
    command.args(["--pdeathsig=QUIT", "--"]).arg(program).current_dir("/");
    command
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|us| us.uid() == 0)
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Debian keeps them off the PATH, in a folder per version.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed");
    let mut found: Vec<PathBuf> = versions.map(|version| version.unwrap().path().join("bin")).collect();
    found.sort();
    found.pop().expect("PostgreSQL is installed")
}
