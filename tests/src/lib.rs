//! The harness: it starts Redis, a database, the providers' sandbox and the product's own programs on free ports, lets a
//! test talk to them as any client would, kills and restarts them when asked, and leaves nothing behind.
//!
//! ```no_run
//! # async fn example() {
//! use postrider_tests::{DatabaseKind, Platform};
//!
//! let platform = Platform::with(DatabaseKind::Sqlite).workers(2).start().await;
//! let job = platform.api().submit("diagnostic.echo", &serde_json::json!({ "data": 1 })).await;
//! platform.api().finished(&job.id).await;
//! platform.worker(0).kill();
//! platform.finish().await;
//! # }
//! ```
//!
//! Two rules. A wait is for a condition, with a deadline ([`wait`]), never for a time. And every test ends with
//! [`Platform::finish`], which fails if the test left jobs behind; a platform dropped without it fails the test.
//!
//! Every program is started through `setpriv --pdeathsig`, so it dies with the harness even if that is killed.
#![allow(clippy::missing_panics_doc, reason = "a harness reports by panicking: that is what fails the test")]

pub mod binaries;
pub mod canaries;
pub mod certificate;
pub mod clamd;
pub mod client;
pub mod corpus;
pub mod database;
pub mod disk;
pub mod documents;
pub mod dovecot;
pub mod mails;
pub mod network;
pub mod pdf;
pub mod platform;
pub mod ports;
pub mod postfix;
pub mod postgres;
pub mod pretender;
pub mod process;
pub mod redis_sentinel;
pub mod redis_server;
pub mod report;
pub mod runs;
pub mod sandbox;
pub mod settings;
pub mod wait;

pub use certificate::Authority;
pub use clamd::Clamd;
pub use client::{Api, Job, Submitted};
pub use database::{DatabaseKind, TestDatabase};
pub use dovecot::Dovecot;
pub use network::Network;
pub use platform::{Builder, Platform};
pub use postfix::Postfix;
pub use process::Process;
pub use redis_server::RedisServer;
pub use report::Report;
pub use sandbox::Sandbox;
pub use wait::eventually;
