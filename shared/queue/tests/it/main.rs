//! The queue against a real Redis, one private server per test.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

mod admission;
mod alike;
mod bad_input;
mod bad_servers;
mod batches;
mod bounds;
mod cancelling;
mod caps;
mod crash;
mod enqueueing;
mod fairness;
mod first_job;
mod huge;
mod keys;
mod lanes;
mod later;
mod layers;
mod lifecycle;
mod limits;
mod lone;
mod maintenance;
mod many_lanes;
mod orphans;
mod paused_tenants;
mod picture;
mod ports;
mod process;
mod proxy;
mod rates;
mod reading;
mod recipients;
mod restoring;
mod room;
mod runs;
mod server;
mod servers;
mod silence;
mod slices;
mod suspects;
mod unique;
mod visits;
mod waiting;
mod waking;
