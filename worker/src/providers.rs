//! Clients of outside services. Each classifies its errors exhaustively, and none ever sleeps: a wait is a snooze.
//!
//! Nothing in here touches the database. What an error means for the job is decided once, in the error type's
//! conversion into `Stop`, so that handlers just use `?`.

mod class;
pub mod credential;
pub mod gmail;
pub mod google;
pub mod imap;
pub mod llm;
mod network;
pub mod oidc;
mod outcome;
pub mod smtp;
mod told;
pub mod transport;

pub use self::class::Classed;
