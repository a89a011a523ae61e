//! How the worker meets outside servers: where they may be, whom it trusts, and how long it waits.

use std::{path::PathBuf, time::Duration};

use super::{Reader, Section};
use crate::egress::Egress;

/// Trust and patience towards outside servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingConfig {
    /// Where hosts may be that the operator does not name.
    pub egress: Egress,
    /// PEM file of certificate authorities that are trusted besides the system's. Whether it holds any is found out when it is read.
    pub extra_ca_certs: Option<PathBuf>,
    /// For one command of a mail protocol.
    pub mail_timeout: Duration,
    /// For the answer to a message that was handed over whole.
    pub smtp_answer_timeout: Duration,
    /// How many connections to one mailbox all workers together have open at once.
    pub mailbox_connections: u32,
    /// How many mailboxes one process watches over IDLE connections; 0 watches none.
    pub idle_connections: u32,
    /// How long an IDLE goes on before it is begun anew on the same connection, which shows that the connection lives.
    pub idle_renewal: Duration,
}

impl Section for OutgoingConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let egress = Egress::read(reader);
        let extra_ca_certs = reader.text("EXTRA_CA_CERTS").map(PathBuf::from);
        if extra_ca_certs.as_deref().is_some_and(|path| !path.is_file()) {
            reader.problem("EXTRA_CA_CERTS", "there is no such file");
        }
        let mail_timeout = reader.number("MAIL_TIMEOUT_SECONDS", 1..=120).map(Duration::from_secs);
        let smtp_answer_timeout = reader.number("SMTP_ANSWER_TIMEOUT_SECONDS", 1..=240).map(Duration::from_secs);
        let mailbox_connections = reader.number("MAILBOX_CONNECTIONS", 1..=100);
        let idle_connections = reader.number("MAILBOX_IDLE_CONNECTIONS", 0..=20_000);
        let idle_renewal = reader.number("MAILBOX_IDLE_RENEWAL_SECONDS", 1..=1_680).map(Duration::from_secs);
        Some(Self {
            egress: egress?,
            extra_ca_certs,
            mail_timeout: mail_timeout?,
            smtp_answer_timeout: smtp_answer_timeout?,
            mailbox_connections: mailbox_connections?,
            idle_connections: idle_connections?,
            idle_renewal: idle_renewal?,
        })
    }
}
