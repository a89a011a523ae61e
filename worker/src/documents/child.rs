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
    let mut reader = Command::new(program()?);
    reader.arg0("postrider-worker").arg(ARGUMENT).arg(std::process::id().to_string());
    ask(reader, WALL_LIMIT, name, content, cut)
}

/// One question to a reader, which ends with the answer or is ended.
fn ask(
    reader: Command,
    wall_limit: Duration,
    name: &str,
    content: &[u8],
    cut: &AtomicBool,
) -> io::Result<Result<Document, ReadError>> {
    let (ours, theirs) = UnixStream::pair()?;
    let mut child = Killed(start(reader, theirs)?);
    ours.set_read_timeout(Some(LOOK_EVERY))?;
    ours.set_write_timeout(Some(LOOK_EVERY))?;
    let mut talk = Talk { socket: ours, until: Instant::now() + wall_limit, cut };
    let answer = talk.ask(name, content);
    let failure = answer.as_ref().err().map(io::Error::kind);
    // Any other failure is that it is gone, and its own end says why.
    if let Some(ErrorKind::TimedOut | ErrorKind::FileTooLarge | ErrorKind::Interrupted) = failure {
        child.kill()?;
    }
    let status = child.end()?;
    Ok(match (answer, failure) {
        (Err(error), Some(ErrorKind::Interrupted)) => return Err(error),
        (_, Some(ErrorKind::TimedOut)) => Err(ReadError::TooLong),
        (_, Some(ErrorKind::FileTooLarge)) => Err(ReadError::TooLarge("there is too much in it".to_owned())),
        (Ok(answer), _) if status.success() => serde_json::from_slice(&answer).unwrap_or(Err(ReadError::Crashed)),
        (Ok(_) | Err(_), _) => Err(why(status)),
    })
}

/// Why a child ended that did not answer.
fn why(status: ExitStatus) -> ReadError {
    match status.signal() {
        Some(SIGXCPU) => ReadError::TooLong,
        // What Rust does when there is no memory, and what the kernel does when the machine has none left.
        Some(SIGABRT | SIGKILL) => ReadError::TooLarge("reading it needs too much memory".to_owned()),
        Some(_) | None => ReadError::Crashed,
    }
}

fn start(mut reader: Command, socket: UnixStream) -> io::Result<Child> {
    let answers = socket.try_clone()?;
    reader
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
                return Err(ErrorKind::FileTooLarge.into());
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

    /// Whatever it is at.
    fn kill(&mut self) -> io::Result<()> {
        self.0.kill()
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::atomic::AtomicBool;
    use std::time::{Duration, Instant};

    use postrider_documents::{Document, ReadError};

    use super::ask;

    /// A reader that a shell stands in for: it has the same pipes, and does what no parser should.
    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    fn asked(script: &str, limit: Duration) -> std::io::Result<Result<Document, ReadError>> {
        ask(shell(script), limit, "a.csv", &vec![b'x'; 1_000_000], &AtomicBool::new(false))
    }

    fn answered(script: &str) -> ReadError {
        asked(script, Duration::from_secs(30)).unwrap().unwrap_err()
    }

    #[test]
    fn whatever_ends_a_reader_is_an_answer() {
        let memory = ReadError::TooLarge("reading it needs too much memory".to_owned());
        assert_eq!(answered("kill -SEGV $$"), ReadError::Crashed);
        assert_eq!(answered("kill -ABRT $$"), memory);
        assert_eq!(answered("kill -KILL $$"), memory);
        assert_eq!(answered("kill -XCPU $$"), ReadError::TooLong);
        assert_eq!(answered("exit 1"), ReadError::Crashed);
        assert_eq!(answered("cat >/dev/null; echo nonsense"), ReadError::Crashed);
        assert_eq!(answered("cat >/dev/null"), ReadError::Crashed);
        assert_eq!(answered("cat >/dev/null; echo '{\"Err\":\"Encrypted\"}'"), ReadError::Encrypted);
    }

    #[test]
    fn an_answer_without_end_is_cut() {
        let too_much = ReadError::TooLarge("there is too much in it".to_owned());
        assert_eq!(answered("cat >/dev/null; while true; do printf '%1000000s' x; done"), too_much);
    }

    #[test]
    fn a_reader_that_says_nothing_is_ended_at_its_deadline() {
        let limit = Duration::from_millis(300);
        for script in ["exec sleep 600", "cat >/dev/null; exec sleep 600", "exec >&- <&-; exec sleep 600"] {
            let begun = Instant::now();
            let answer = asked(script, limit).unwrap();
            // One that closed its ends said all it had to say, which is nothing, and is killed a little later.
            assert!(matches!(answer, Err(ReadError::TooLong | ReadError::TooLarge(_))), "{script}: {answer:?}");
            assert!(begun.elapsed() < Duration::from_secs(20), "{script} took {:?}", begun.elapsed());
        }
    }

    #[test]
    fn a_reader_that_nobody_waits_for_is_ended() {
        let error = ask(shell("exec sleep 600"), Duration::from_secs(30), "a", b"x", &AtomicBool::new(true));
        assert_eq!(error.unwrap_err().kind(), std::io::ErrorKind::Interrupted);
    }
}
