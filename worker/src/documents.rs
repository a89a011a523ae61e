//! Reads documents of strangers, each in a child process that may use little memory, little time and nothing else.
//!
//! A parser that is led to eat all memory, to run for ever or to crash costs that child, and its attachment counts as unread with the
//! reason. The child is this program once more: it has no environment (so no secrets), no files but the socket to its parent,
//! sets its own limits before it reads the first byte, and dies with its parent.

mod child;
mod scanner;
mod service;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use postrider_documents::{Document, ReadError};
use postrider_queue::Stop;
use tokio::sync::Semaphore;

pub use self::scanner::{NoVerdict, Scanner, Verdict};
pub use self::service::{is_child, serve};

/// Children at a time in this process; each may use [`service::MEMORY`].
const CHILDREN: usize = 4;

/// Reads documents for all jobs of the process.
#[derive(Debug, Clone)]
pub struct Documents(Arc<Semaphore>);

impl Default for Documents {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(CHILDREN)))
    }
}

impl Documents {
    /// What is in the file, or why that cannot be known. Fails only for what a later attempt may mend. Dropped, it ends its
    /// child.
    pub async fn read(&self, name: &str, content: Bytes) -> Result<Result<Document, ReadError>, Stop> {
        let permit = Arc::clone(&self.0).acquire_owned().await.map_err(|_| Stop::retry("the worker is stopping"))?;
        let dropped = Cut::default();
        let (cut, name) = (Arc::clone(&dropped.0), name.to_owned());
        // The thread stays until the child is gone: Linux ends a child with the thread that made it.
        let read = tokio::task::spawn_blocking(move || {
            let read = child::read(&name, &content, &cut);
            drop(permit);
            read
        });
        let read = read.await.map_err(io::Error::other).and_then(|read| read);
        read.map_err(|error| Stop::retry(format_args!("no child process could read a document: {error}")))
    }
}

/// Tells the thread that nobody waits any more.
#[derive(Default)]
struct Cut(Arc<AtomicBool>);

impl Drop for Cut {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
