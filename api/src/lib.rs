//! The HTTP API: it checks, stores and enqueues; it never does a job's work and never calls a provider.

pub mod deadline;
pub mod headers;
pub mod json;
pub mod observe;
pub mod openapi;
pub mod page;
pub mod parameters;
pub mod problem;
pub mod request_id;
