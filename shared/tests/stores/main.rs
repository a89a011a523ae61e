//! The stores on both databases: every test runs on a SQLite file and on a private PostgreSQL server.

#![expect(clippy::unwrap_used, reason = "in a test, what was not expected ends it")]
#![expect(clippy::similar_names, reason = "begin and begun, redriver and redriven: the names are the vocabulary's")]

mod accounts;
mod api_keys;
mod attachments;
mod audit;
mod circles;
mod conversation;
mod dead_letters;
mod drafts;
mod full_disk;
mod grants;
mod identities;
mod invitations;
mod long_thread;
mod mail;
mod messages;
mod migrations;
mod occurrences;
mod one_time_codes;
mod outbox;
mod passwords;
mod postgres;
mod products;
mod profiles;
mod quote_life;
mod quotes;
mod requests;
mod scene;
mod secrets;
mod sessions;
mod snapshots;
mod tenant_deletion;
mod tenants;
mod times;
mod users;
mod watches;
