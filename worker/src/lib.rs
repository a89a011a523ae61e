//! The worker: takes jobs off the queues and does them.
//!
//! `jobs` holds the handlers, `providers` the clients of outside services; `runtime`, `dispatch` and `registry`
//! bring the two together on apalis.

pub mod access;
pub mod context;
pub mod dispatch;
pub mod documents;
pub mod extraction;
mod gmail_mailbox;
pub mod jobs;
mod lease;
pub mod links;
pub mod mail;
pub mod memory;
pub mod providers;
pub mod quarantine;
pub mod registry;
pub mod render;
pub mod reply;
pub mod run_ledger;
pub mod runtime;
pub mod system_mail;
pub mod watching;
