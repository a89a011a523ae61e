//! The API through HTTP, with a real Redis and a real database.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends where it stands")]

mod accounts;
mod admission;
mod api;
mod api_keys;
mod audit;
mod audit_strangers;
mod bounds;
mod cursors;
mod doors;
mod follow_jobs;
mod hostile;
mod id_tokens;
mod idempotency;
mod identity;
mod jobs;
mod large_payloads;
mod leases;
mod leaving;
mod limits;
mod lost_answers;
mod matrix;
mod oidc;
mod openapi;
mod operations;
mod outages;
mod profiles;
mod proofs;
mod resources;
mod sessions;
mod slow;
mod smuggling;
mod standing;
mod stopping;
mod wait;
