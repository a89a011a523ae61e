//! The child's part: limits first, then one document.

use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;

use postrider_documents::{Document, ReadError, limits, read};
use rustix::process::{Resource, Rlimit, setrlimit};

/// The first argument of a child; the second is its parent's process id. Standard input and output are the socket.
pub(super) const ARGUMENT: &str = "read-document";

/// Bytes that reading may take besides what the program has when it starts.
pub(super) const MEMORY: u64 = 512 * 1024 * 1024;
/// Seconds on a processor.
const PROCESSOR: u64 = 20;
/// Some parsers call themselves for everything that nests.
const STACK: usize = 64 * 1024 * 1024;
/// Bytes of a name.
const NAME: u32 = 4_096;

/// Whether this process was started to read one document. Called first thing in `main`, before there is anything that a
/// document could get at.
pub fn is_child() -> bool {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() != Some(ARGUMENT) {
        return false;
    }
    #[cfg(target_os = "linux")]
    crate::quarantine::bind_to_parent(arguments.next().as_deref().unwrap_or_default());
    true
}

/// Reads a document from standard input and tells on standard output, as JSON, what is in it or why that cannot be known.
pub fn serve() -> ExitCode {
    let done = restrict().and_then(|()| std::thread::Builder::new().stack_size(STACK).spawn(answer));
    match done.map(std::thread::JoinHandle::join) {
        Ok(Ok(Ok(()))) => ExitCode::SUCCESS,
        Ok(Ok(Err(_)) | Err(_)) | Err(_) => ExitCode::FAILURE,
    }
}

fn answer() -> io::Result<()> {
    let mut input = io::stdin().lock();
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length).min(NAME);
    let mut name = vec![0; length as usize];
    input.read_exact(&mut name)?;
    let mut content = Vec::new();
    // One byte more than is read shows that it is too large.
    input.take(limits::FILE_BYTES as u64 + 1).read_to_end(&mut content)?;
    let document: Result<Document, ReadError> = read(&content, &String::from_utf8_lossy(&name));
    let mut output = io::stdout().lock();
    serde_json::to_writer(&mut output, &document)?;
    output.flush()
}

/// From here on more memory or time ends this process, and it can write no file.
fn restrict() -> io::Result<()> {
    let at_most = |limit: u64| Rlimit { current: Some(limit), maximum: Some(limit) };
    setrlimit(Resource::As, at_most(used_memory()?.saturating_add(MEMORY)))?;
    setrlimit(Resource::Cpu, Rlimit { current: Some(PROCESSOR), maximum: Some(PROCESSOR + 1) })?;
    setrlimit(Resource::Core, at_most(0))?;
    setrlimit(Resource::Fsize, at_most(0))?;
    setrlimit(Resource::Nofile, at_most(16))?;
    Ok(())
}

/// The program itself may be larger than what it is allowed to take.
fn used_memory() -> io::Result<u64> {
    if !cfg!(target_os = "linux") {
        return Ok(0);
    }
    let pages = std::fs::read_to_string("/proc/self/statm")?;
    let pages = pages.split(' ').next().and_then(|pages| pages.parse::<u64>().ok());
    let pages = pages.ok_or_else(|| io::Error::other("the size of this process is not known"))?;
    Ok(pages * rustix::param::page_size() as u64)
}
