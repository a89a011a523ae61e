//! The worker: takes jobs off the queues and does them.

pub mod mail;
pub mod providers;
