//! The mail server through which the installation itself writes to people who sign in.

use secrecy::SecretString;

use super::{Reader, google::server};
use crate::{accounts::MailServer, users::Email};

/// Where mail about signing in is handed in, and from whom it is.
#[derive(Debug, Clone)]
pub struct SystemMailConfig {
    /// The user name is empty where the server asks for none.
    pub server: MailServer,
    pub password: SecretString,
    pub from: String,
}

impl SystemMailConfig {
    /// `None` where no such server is configured, and after a problem was noted.
    pub fn read_if_set(reader: &mut Reader<'_>) -> Option<Self> {
        reader.text("SYSTEM_SMTP_SERVER")?;
        let server = server(reader, "SYSTEM_SMTP_SERVER");
        let username = reader.text("SYSTEM_SMTP_USERNAME").unwrap_or_default();
        let password = reader.text("SYSTEM_SMTP_PASSWORD").unwrap_or_default();
        let from = reader.text("SYSTEM_MAIL_FROM").and_then(|text| Email::parse(&text).ok());
        if from.is_none() {
            reader.problem("SYSTEM_MAIL_FROM", "must be an e-mail address, and set with SYSTEM_SMTP_SERVER");
        }
        Some(Self { server: MailServer { username, ..server? }, password: password.into(), from: from?.into() })
    }
}
