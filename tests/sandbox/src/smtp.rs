//! The SMTP server: a submission server for those who log in, a mail exchanger for the mailboxes kept here.
//!
//! Without a login only local mailboxes are accepted as recipients (anything else is relaying). What is accepted is in
//! the ledger, synced, before the 250 is said.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::office::Office;
use crate::wire::Wire;

mod auth;
mod data;
mod path;
mod session;

pub(crate) use auth::plain as plain_credentials;

/// Largest message, in bytes; announced as SIZE.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;

/// Serves one connection until it ends. Errors are the client's going away, which is nobody's business.
pub async fn serve(
    office: Arc<Office>,
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    encrypted: bool,
    patience: Duration,
) -> io::Result<()> {
    let wire = Wire::open(stream, patience, tls.as_ref().filter(|_| encrypted)).await?;
    session::Session::new(office, wire, tls).run().await
}
