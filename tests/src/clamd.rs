//! A private clamd, the malware scanner. Its databases come over the network from elsewhere; here it knows a single signature,
//! that of EICAR's harmless test file.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::ports::Port;
use crate::process::{Process, Recipe};
use crate::wait::eventually;

/// Where Debian puts it.
const PROGRAM: &str = "/usr/sbin/clamd";

/// The file that scanners are tried with; it does nothing. See <https://www.eicar.org>.
pub fn eicar() -> Vec<u8> {
    // In two pieces, so that this source is not taken for it.
    [r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR", "-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"].concat().into_bytes()
}

/// Ends when dropped.
#[derive(Debug)]
pub struct Clamd {
    // In the order in which they must go.
    process: Process,
    port: Port,
    data: TempDir,
}

impl Clamd {
    /// Takes files up to `most_bytes`. Its log is in `log_folder`.
    pub async fn start(log_folder: &Path, most_bytes: u64) -> Self {
        let data = tempfile::Builder::new().prefix("postrider-clamd-").tempdir().expect("make clamd's folder");
        let (port, path) = (Port::reserve(), data.path());
        std::fs::create_dir(path.join("database")).expect("make clamd's folders");
        let mut content = String::new();
        for byte in eicar() {
            let _ = write!(content, "{byte:02x}");
        }
        let signature = format!("Postrider.Eicar:0:0:{content}\n");
        std::fs::write(path.join("database/eicar.ndb"), signature).expect("write clamd's database");
        let configuration = format!(
            "Foreground yes\nLogTime yes\nDatabaseDirectory {database}\nLocalSocket {socket}\nTCPSocket {port}\n\
             TCPAddr 127.0.0.1\nTemporaryDirectory {temporary}\nStreamMaxLength {most_bytes}\nSelfCheck 0\n\
             ConcurrentDatabaseReload no\n",
            database = path.join("database").display(),
            socket = path.join("clamd.socket").display(),
            port = port.number(),
            temporary = path.display(),
        );
        std::fs::write(path.join("clamd.conf"), configuration).expect("write clamd's settings");
        let process = Process::spawn(Recipe {
            name: "clamd".to_owned(),
            program: PROGRAM.into(),
            arguments: vec![format!("--config-file={}", path.join("clamd.conf").display())],
            environment: Vec::new(),
            privileges: Vec::new(),
            log: log_folder.join("clamd.log"),
            ready: "Listening daemon".to_owned(),
        });
        let clamd = Self { process, port, data };
        clamd.ready().await;
        clamd
    }

    async fn ready(&self) {
        eventually("clamd to answer", || async {
            let mut socket = TcpStream::connect(self.address()).await.ok()?;
            socket.write_all(b"zPING\0").await.ok()?;
            let mut answer = Vec::new();
            socket.read_to_end(&mut answer).await.ok()?;
            (answer == b"PONG\0").then_some(())
        })
        .await;
    }

    /// Host and port.
    pub fn address(&self) -> String {
        self.port.address()
    }

    /// Its Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.data.path().join("clamd.socket")
    }

    /// Ends it; what asks then finds nobody.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Starts it again at the same place, and waits until it answers.
    pub async fn restart(&self) {
        self.process.start();
        self.ready().await;
    }
}
