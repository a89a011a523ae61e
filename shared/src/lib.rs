//! What two or more processes must agree on: the job catalogue, the rules and rows of the business, configuration, clock, ids, sealing
//! of secrets, telemetry. No I/O to third parties.

pub mod accounts;
pub mod actor;
pub mod api_keys;
pub mod attachments;
pub mod clock;
pub mod config;
pub mod database;
pub mod dead_letters;
pub mod google;
pub mod ids;
pub mod invitations;
pub mod jobs;
pub mod language;
pub mod mail;
pub mod messages;
pub mod objects;
pub mod occurrences;
pub mod one_time_codes;
pub mod outbox;
pub mod payloads;
pub mod pricing;
pub mod products;
pub mod quotes;
pub mod requests;
pub mod roles;
pub mod scopes;
pub mod seal;
pub mod sessions;
mod stop;
pub mod stores;
pub mod telemetry;
pub mod tenants;
pub mod time_zone;
pub mod users;
pub mod watches;
pub mod words;
