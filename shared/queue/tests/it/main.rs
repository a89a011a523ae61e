//! The queue against a real Redis, one private server per test.

mod caps;
mod fairness;
mod first_job;
mod keys;
mod lifecycle;
mod picture;
mod server;
