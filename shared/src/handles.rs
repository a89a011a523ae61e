//! File handles of the process.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Takes as many file handles as the system gives: the usual soft limit of 1,024 is soon reached by clients that wait, or by mailboxes
/// that are watched.
pub fn raise() -> io::Result<()> {
    let most = getrlimit(Resource::Nofile).maximum;
    Ok(setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most })?)
}
