//! The HTTP API: it checks, stores and enqueues; it never does a job's work and never calls a provider.

pub mod app;
pub mod audit;
pub mod auth;
pub mod callback;
pub mod cors;
pub mod deadline;
pub mod decimal;
pub mod decision;
pub mod failures;
pub mod first_key;
pub mod gauges;
pub mod headers;
pub mod health;
pub mod idempotency;
pub mod json;
pub mod leftover;
pub mod limits;
pub mod observe;
pub mod openapi;
pub mod page;
pub mod parameters;
pub mod problem;
pub mod request_id;
pub mod router;
pub mod serve;
pub mod v1;
