//! The `IMAP4rev1` server (RFC 3501), with LITERAL+, SASL-IR, IDLE, ID, UIDPLUS, MOVE, NAMESPACE, SPECIAL-USE, UNSELECT.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::office::Office;
use crate::wire::Wire;

mod append;
mod command;
mod envelope;
mod fetch;
mod folders;
mod idle;
mod login;
mod messages;
mod search;
mod section;
mod select;
mod session;
mod set;
mod structure;
mod text;
mod value;

/// Largest literal a client may send, in bytes.
pub const MAX_LITERAL_BYTES: usize = 64 * 1024 * 1024;

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
