//! The providers' side of the street: an IMAP server, an SMTP server, the Gmail API and an OpenAI-compatible endpoint in one process.
//!
//! They speak the real protocols on real sockets, so that the product under test differs in nothing but a URL. What they
//! accepted is recorded with a clock and, given a data folder, is on disk before the client hears so: the ledger here is
//! the outside witness against which "no reply lost, none twice" is counted. Faults are ordered over `/control`.

pub mod client;
pub mod clock;
pub mod control;
pub mod faults;
pub mod gmail;
pub mod google;
pub mod imap;
pub mod journal;
pub mod ledger;
pub mod llm;
pub mod mailboxes;
pub mod office;
pub mod oidc;
pub mod sandbox;
pub mod smtp;
pub mod tls;
pub mod wire;

pub use client::Client;
pub use sandbox::{Addresses, Options, Sandbox};
