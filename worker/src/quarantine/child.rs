//! A child process as its parent sees it.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as Socket;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child as Started, Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::oneshot;

use super::line::{Order, Report};
use super::service::ARGUMENT;

const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long a child that said everything may take to end by itself.
const FAREWELL: Duration = Duration::from_secs(5);

/// Killed when dropped.
pub(super) struct Child {
    reports: Lines<BufReader<OwnedReadHalf>>,
    orders: OwnedWriteHalf,
    killed: Arc<AtomicBool>,
    ended: oneshot::Receiver<io::Result<ExitStatus>>,
}

impl Child {
    /// Starts this program once more. A thread of its own starts it and stays: Linux ends a child with the *thread* that
    /// made it, and threads of the runtime may come and go.
    pub(super) fn start() -> io::Result<Self> {
        let (ours, theirs) = Socket::pair()?;
        ours.set_nonblocking(true)?;
        let (reader, orders) = UnixStream::from_std(ours)?.into_split();
        let (tell, ended) = oneshot::channel();
        let killed = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&killed);
        std::thread::Builder::new().name("quarantine".to_owned()).spawn(move || {
            let _ = tell.send(start_here(theirs).and_then(|child| attend(child, &asked)));
        })?;
        Ok(Self { reports: BufReader::new(reader).lines(), orders, killed, ended })
    }

    /// A failure shows in the reports, which end.
    pub(super) async fn order(&mut self, order: &Order) {
        let Ok(mut line) = serde_json::to_vec(order) else { return };
        line.push(b'\n');
        let _ = self.orders.write_all(&line).await;
    }

    /// The next report; none when the child is gone or talks nonsense. Safe to be dropped while it waits.
    pub(super) async fn report(&mut self) -> Option<Report> {
        let line = self.reports.next_line().await.ok()??;
        serde_json::from_str(&line).ok()
    }

    /// Waits for its end, and kills it if that takes long.
    pub(super) async fn ended(mut self) -> io::Result<ExitStatus> {
        match tokio::time::timeout(FAREWELL, &mut self.ended).await {
            Ok(ended) => ended.map_err(io::Error::other)?,
            Err(_elapsed) => self.kill().await,
        }
    }

    /// SIGKILL, and waits until it is gone.
    pub(super) async fn kill(mut self) -> io::Result<ExitStatus> {
        self.killed.store(true, Ordering::Release);
        (&mut self.ended).await.map_err(io::Error::other)?
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.killed.store(true, Ordering::Release);
    }
}

/// Closes its copy of the child's end of the socket, so that the parent sees when the child's is closed.
fn start_here(socket: Socket) -> io::Result<Started> {
    Command::new(program()?)
        .arg0("postrider-worker")
        .arg(ARGUMENT)
        .arg(std::process::id().to_string())
        .stdin(OwnedFd::from(socket))
        .process_group(0) // a Ctrl-C in the terminal is for the parent
        .spawn()
}

fn attend(mut child: Started, killed: &AtomicBool) -> io::Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if killed.load(Ordering::Acquire) {
            child.kill()?;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// On Linux the very program that runs, even if its file was replaced meanwhile.
pub(crate) fn program() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") { Ok(PathBuf::from("/proc/self/exe")) } else { std::env::current_exe() }
}
