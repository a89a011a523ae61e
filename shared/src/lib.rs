//! What two or more processes must agree on: the job catalogue, the rules and rows of the business, configuration, clock, ids, sealing
//! of secrets, telemetry. No I/O to third parties.

pub mod api_keys;
pub mod clock;
pub mod config;
pub mod database;
pub mod ids;
pub mod jobs;
pub mod objects;
pub mod pricing;
pub mod seal;
mod stop;
pub mod telemetry;
pub mod words;
