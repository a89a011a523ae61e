//! What a client says about a mailbox.

use postrider_shared::accounts::{AccountSettings, MailServer, Security, Transport};
use postrider_shared::time_zone::TimeZone;
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

/// Longest password; OAuth tokens of some providers are long.
pub(super) const MAX_PASSWORD_BYTES: usize = 4096;

/// A mailbox to be connected.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    /// The mail address.
    #[schema(min_length = 3, max_length = 254, example = "quotes@example.com")]
    address: String,
    /// The name mail is sent under; the address if absent.
    #[schema(min_length = 1, max_length = 200)]
    display_name: Option<String>,
    /// Where mail is read: a name or an address, in a network that the installation allows.
    #[schema(min_length = 1, max_length = 253)]
    imap_host: String,
    /// Its port: 993 with `tls` (the default), 143 else.
    #[schema(minimum = 1, maximum = 65535)]
    imap_port: Option<u16>,
    /// How that connection is protected; `tls` if absent.
    imap_security: Option<Security>,
    /// The name to log in with there; the address if absent.
    #[schema(min_length = 1, max_length = 254)]
    imap_username: Option<String>,
    /// Where mail is sent: a name or an address, in a network that the installation allows.
    #[schema(min_length = 1, max_length = 253)]
    smtp_host: String,
    /// Its port: 465 with `tls` (the default), 587 else.
    #[schema(minimum = 1, maximum = 65535)]
    smtp_port: Option<u16>,
    /// How that connection is protected; `tls` if absent.
    smtp_security: Option<Security>,
    /// The name to log in with there; the address if absent.
    #[schema(min_length = 1, max_length = 254)]
    smtp_username: Option<String>,
    /// For both servers. It is sealed, and never shown.
    #[schema(value_type = String, format = Password, min_length = 1, max_length = 4096)]
    password: SecretString,
    /// Most mails sent per calendar day; 250 if absent.
    #[schema(minimum = 0, maximum = 1_000_000)]
    daily_cap: Option<u32>,
    /// Where that day begins; the tenant's time zone if absent.
    time_zone: Option<TimeZone>,
    /// How often it is read, in seconds; 600 if absent.
    #[schema(minimum = 1, maximum = 86400)]
    poll_interval_seconds: Option<u32>,
}

impl NewAccount {
    /// The settings with their defaults, and the password.
    pub(super) fn into_parts(self, zone: TimeZone) -> (AccountSettings, SecretString) {
        let imap_security = self.imap_security.unwrap_or(Security::Tls);
        let smtp_security = self.smtp_security.unwrap_or(Security::Tls);
        let imap_port = if imap_security == Security::Tls { 993 } else { 143 };
        let smtp_port = if smtp_security == Security::Tls { 465 } else { 587 };
        let settings = AccountSettings {
            display_name: self.display_name.unwrap_or_else(|| self.address.clone()),
            imap: MailServer {
                host: self.imap_host,
                port: self.imap_port.unwrap_or(imap_port),
                security: imap_security,
                username: self.imap_username.unwrap_or_else(|| self.address.clone()),
            },
            smtp: MailServer {
                host: self.smtp_host,
                port: self.smtp_port.unwrap_or(smtp_port),
                security: smtp_security,
                username: self.smtp_username.unwrap_or_else(|| self.address.clone()),
            },
            address: self.address,
            daily_cap: self.daily_cap.unwrap_or(AccountSettings::DAILY_CAP),
            time_zone: self.time_zone.unwrap_or(zone),
            poll_interval_seconds: self.poll_interval_seconds.unwrap_or(AccountSettings::POLL_INTERVAL_SECONDS),
        };
        (settings, self.password)
    }
}

/// What is to be different. What is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountChange {
    /// The mail address.
    #[schema(min_length = 3, max_length = 254)]
    address: Option<String>,
    /// The name mail is sent under.
    #[schema(min_length = 1, max_length = 200)]
    display_name: Option<String>,
    /// Where mail is read: a name or an address, in a network that the installation allows.
    #[schema(min_length = 1, max_length = 253)]
    imap_host: Option<String>,
    /// Its port.
    #[schema(minimum = 1, maximum = 65535)]
    imap_port: Option<u16>,
    /// How that connection is protected.
    imap_security: Option<Security>,
    /// The name to log in with there.
    #[schema(min_length = 1, max_length = 254)]
    imap_username: Option<String>,
    /// Where mail is sent: a name or an address, in a network that the installation allows.
    #[schema(min_length = 1, max_length = 253)]
    smtp_host: Option<String>,
    /// Its port.
    #[schema(minimum = 1, maximum = 65535)]
    smtp_port: Option<u16>,
    /// How that connection is protected.
    smtp_security: Option<Security>,
    /// The name to log in with there.
    #[schema(min_length = 1, max_length = 254)]
    smtp_username: Option<String>,
    /// For both servers. It is sealed, and never shown.
    #[schema(value_type = Option<String>, format = Password, min_length = 1, max_length = 4096)]
    password: Option<SecretString>,
    /// Most mails sent per calendar day.
    #[schema(minimum = 0, maximum = 1_000_000)]
    daily_cap: Option<u32>,
    /// Where that day begins.
    time_zone: Option<TimeZone>,
    /// How often it is read, in seconds.
    #[schema(minimum = 1, maximum = 86400)]
    poll_interval_seconds: Option<u32>,
    /// How its mail is handed over. `gmail` is only for Google accounts, which begin with it.
    pub(super) transport: Option<Transport>,
}

impl AccountChange {
    /// The settings after the change, and the new password.
    pub(super) fn applied(self, old: AccountSettings) -> (AccountSettings, Option<SecretString>) {
        let settings = AccountSettings {
            address: self.address.unwrap_or(old.address),
            display_name: self.display_name.unwrap_or(old.display_name),
            imap: MailServer {
                host: self.imap_host.unwrap_or(old.imap.host),
                port: self.imap_port.unwrap_or(old.imap.port),
                security: self.imap_security.unwrap_or(old.imap.security),
                username: self.imap_username.unwrap_or(old.imap.username),
            },
            smtp: MailServer {
                host: self.smtp_host.unwrap_or(old.smtp.host),
                port: self.smtp_port.unwrap_or(old.smtp.port),
                security: self.smtp_security.unwrap_or(old.smtp.security),
                username: self.smtp_username.unwrap_or(old.smtp.username),
            },
            daily_cap: self.daily_cap.unwrap_or(old.daily_cap),
            time_zone: self.time_zone.unwrap_or(old.time_zone),
            poll_interval_seconds: self.poll_interval_seconds.unwrap_or(old.poll_interval_seconds),
        };
        (settings, self.password)
    }
}
