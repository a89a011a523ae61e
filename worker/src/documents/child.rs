//! The parent's part: one child, one document.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use postrider_documents::{Document, ReadError};

use super::service::ARGUMENT;
use crate::quarantine::program;

/// From its start to its last byte. More than its time on a processor, which the child limits itself.
const WALL_LIMIT: Duration = Duration::from_secs(60);
/// The most a document can be in JSON, with room.
const ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// How often is looked whether anybody still waits.
const LOOK_EVERY: Duration = Duration::from_millis(100);

const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;
const SIGXCPU: i32 = 24;

/// Errors are the system's: no process, no socket.
pub(super) fn read(name: &str, content: &[u8], cut: &AtomicBool) -> io::Result<Result<Document, ReadError>> {
    let (ours, theirs) = UnixStream::pair()?;
    let mut child = Killed(start(theirs)?);
    ours.set_read_timeout(Some(LOOK_EVERY))?;
    ours.set_write_timeout(Some(LOOK_EVERY))?;
    let mut talk = Talk { socket: ours, until: Instant::now() + WALL_LIMIT, cut };
    let answer = talk.ask(name, content);
    let status = child.end()?;
    Ok(match answer {
        Err(error) if error.kind() == ErrorKind::TimedOut => Err(ReadError::TooLong),
        Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
        Ok(answer) if status.success() => serde_json::from_slice(&answer).unwrap_or(Err(ReadError::Crashed)),
        Ok(_) | Err(_) => Err(why(status)),
    })
}

/// Why a child ended that did not answer.
fn why(status: ExitStatus) -> ReadError {
    match status.signal() {
        Some(SIGXCPU | SIGKILL) => ReadError::TooLong,
        // What Rust does when there is no memory.
        Some(SIGABRT) => ReadError::TooLarge("reading it needs too much memory".to_owned()),
        Some(_) | None => ReadError::Crashed,
    }
}

fn start(socket: UnixStream) -> io::Result<Child> {
    let answers = socket.try_clone()?;
    Command::new(program()?)
        .arg0("postrider-worker")
        .arg(ARGUMENT)
        .arg(std::process::id().to_string())
        .env_clear()
        .current_dir("/")
        .stdin(OwnedFd::from(socket))
        .stdout(OwnedFd::from(answers))
        .stderr(Stdio::null()) // what a parser says of a stranger's file belongs in no log
        .process_group(0) // a Ctrl-C in the terminal is for the parent
        .spawn()
}

struct Talk<'a> {
    socket: UnixStream,
    until: Instant,
    cut: &'a AtomicBool,
}

impl Talk<'_> {
    fn ask(&mut self, name: &str, content: &[u8]) -> io::Result<Vec<u8>> {
        let length = u32::try_from(name.len()).map_err(io::Error::other)?;
        for part in [&length.to_le_bytes(), name.as_bytes(), content] {
            // A child that is gone shows in its answer.
            if let Err(error) = self.write(part)
                && matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Interrupted)
            {
                return Err(error);
            }
        }
        let _ = self.socket.shutdown(Shutdown::Write);
        self.answer()
    }

    fn write(&mut self, mut part: &[u8]) -> io::Result<()> {
        while !part.is_empty() {
            match self.socket.write(part) {
                Ok(written) => part = &part[written..],
                Err(error) => self.go_on(error)?,
            }
        }
        Ok(())
    }

    fn answer(&mut self) -> io::Result<Vec<u8>> {
        let (mut answer, mut chunk) = (Vec::new(), vec![0; 64 * 1024]);
        loop {
            match self.socket.read(&mut chunk) {
                Ok(0) => return Ok(answer),
                Ok(read) => answer.extend_from_slice(&chunk[..read]),
                Err(error) => self.go_on(error)?,
            }
            if answer.len() > ANSWER_BYTES {
                return Err(io::Error::other("the answer is too long"));
            }
        }
    }

    /// After a wait without news.
    fn go_on(&self, error: io::Error) -> io::Result<()> {
        if self.cut.load(Ordering::Acquire) {
            return Err(io::Error::new(ErrorKind::Interrupted, "nobody waits for it any more"));
        }
        if Instant::now() > self.until {
            return Err(ErrorKind::TimedOut.into());
        }
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => Ok(()),
            _ => Err(error),
        }
    }
}

/// A child that outlives nobody.
struct Killed(Child);

impl Killed {
    /// Waits for one that said all it had to say; kills any other.
    fn end(&mut self) -> io::Result<ExitStatus> {
        let until = Instant::now() + Duration::from_secs(2);
        while Instant::now() < until {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        self.0.kill()?;
        self.0.wait()
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
