//! Files that were made to do harm, and files that were broken by chance. Each is read in bounded time, to an answer.

#![expect(clippy::unwrap_used, reason = "in a test, what was not expected ends it")]

mod archives;
mod hostile;
