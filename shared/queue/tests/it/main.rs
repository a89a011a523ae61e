//! The queue against a real Redis, one private server per test.

mod first_job;
mod server;
