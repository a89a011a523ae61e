use super::Security;
use crate::{
    database::{StoreError, check},
    time_zone::TimeZone,
};

/// One of the two servers of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailServer {
    pub host: String,
    pub port: u16,
    pub security: Security,
    pub username: String,
}

/// What a mailbox is to be, apart from its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSettings {
    pub address: String,
    /// The name mail is sent under.
    pub display_name: String,
    pub imap: MailServer,
    pub smtp: MailServer,
    /// Messages per calendar day.
    pub daily_cap: u32,
    /// Where the calendar day begins.
    pub time_zone: TimeZone,
    pub poll_interval_seconds: u32,
}

impl AccountSettings {
    pub const DAILY_CAP: u32 = 250;
    pub const POLL_INTERVAL_SECONDS: u32 = 600;

    pub(super) fn checked(self) -> Result<Self, StoreError> {
        check::number("daily_cap", self.daily_cap, 0, 1_000_000)?;
        check::number("poll_interval_seconds", self.poll_interval_seconds, 1, 86_400)?;
        Ok(Self {
            address: address(&self.address)?,
            display_name: check::line("display_name", &self.display_name, 200)?,
            imap: server("imap", &self.imap)?,
            smtp: server("smtp", &self.smtp)?,
            ..self
        })
    }
}

fn address(text: &str) -> Result<String, StoreError> {
    let address = check::line("address", text, 254)?;
    match address.rsplit_once('@') {
        Some((local, domain)) if !local.is_empty() && !domain.is_empty() && !address.contains(char::is_whitespace) => {
            Ok(address)
        }
        _ => Err(StoreError::invalid("address", "must look like name@example.com")),
    }
}

fn server(field: &'static str, server: &MailServer) -> Result<MailServer, StoreError> {
    if server.port == 0 {
        return Err(StoreError::invalid(field, "the port must not be 0"));
    }
    Ok(MailServer {
        host: check::line(field, &server.host, 253)?,
        username: check::line(field, &server.username, 254)?,
        port: server.port,
        security: server.security,
    })
}
