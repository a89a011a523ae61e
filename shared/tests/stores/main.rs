//! The stores on both databases: every test runs on a SQLite file and on a private PostgreSQL server.

mod access;
mod dead_letters;
mod mail;
mod messages;
mod migrations;
mod occurrences;
mod outbox;
mod postgres;
mod products;
mod quotes;
mod requests;
mod scene;
