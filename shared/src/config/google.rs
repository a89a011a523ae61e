//! Google accounts: whose client we are, and where Google is. Without `GOOGLE_CLIENT_ID` there are none.

use secrecy::SecretString;

use super::Reader;
use crate::accounts::{MailServer, Security};

/// What asking owners for their consent takes; read by the API, which never calls Google itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentConfig {
    pub client_id: String,
    /// Google's page that asks for consent.
    pub auth_url: String,
    /// Where that page sends the owner afterwards: our own callback, as Google knows it.
    pub redirect_url: String,
    /// Where the mail of these accounts is read. The user name is left empty.
    pub imap: MailServer,
    /// Where it is sent.
    pub smtp: MailServer,
}

impl ConsentConfig {
    /// `None` where Google accounts are not configured, and after a problem was noted.
    pub fn read_if_set(reader: &mut Reader<'_>) -> Option<Self> {
        let client_id = reader.text("GOOGLE_CLIENT_ID")?;
        let auth_url = url(reader, "GOOGLE_AUTH_URL");
        let redirect_url = redirect(reader);
        let imap = server(reader, "GMAIL_IMAP_SERVER");
        let smtp = server(reader, "GMAIL_SMTP_SERVER");
        Some(Self { client_id, auth_url: auth_url?, redirect_url: redirect_url?, imap: imap?, smtp: smtp? })
    }
}

/// What getting, renewing and giving back tokens takes; read by the worker.
#[derive(Debug, Clone)]
pub struct GoogleConfig {
    pub client_id: String,
    pub client_secret: SecretString,
    pub redirect_url: String,
    pub token_url: String,
    pub revoke_url: String,
    /// Without a slash at the end; the paths are `/gmail/v1/…` and `/upload/gmail/v1/…`.
    pub gmail_url: String,
}

impl GoogleConfig {
    /// `None` where Google accounts are not configured, and after a problem was noted.
    pub fn read_if_set(reader: &mut Reader<'_>) -> Option<Self> {
        let client_id = reader.text("GOOGLE_CLIENT_ID")?;
        let client_secret = client_secret(reader);
        let redirect_url = redirect(reader);
        let token_url = url(reader, "GOOGLE_TOKEN_URL");
        let revoke_url = url(reader, "GOOGLE_REVOKE_URL");
        let gmail_url = url(reader, "GMAIL_API_URL");
        Some(Self {
            client_id,
            client_secret: client_secret?,
            redirect_url: redirect_url?,
            token_url: token_url?,
            revoke_url: revoke_url?,
            gmail_url: gmail_url?,
        })
    }
}

fn client_secret(reader: &mut Reader<'_>) -> Option<SecretString> {
    if let Some(secret) = reader.text("GOOGLE_CLIENT_SECRET") {
        return Some(secret.into());
    }
    if !reader.is_wrong("GOOGLE_CLIENT_SECRET") {
        reader.problem("GOOGLE_CLIENT_SECRET", "must be set with GOOGLE_CLIENT_ID");
    }
    None
}

fn redirect(reader: &mut Reader<'_>) -> Option<String> {
    if reader.text("GOOGLE_REDIRECT_URL").is_none() {
        reader.problem("GOOGLE_REDIRECT_URL", "must be set with GOOGLE_CLIENT_ID, as Google knows it");
        return None;
    }
    url(reader, "GOOGLE_REDIRECT_URL")
}

fn url(reader: &mut Reader<'_>, name: &str) -> Option<String> {
    let url = reader.text(name)?.trim_end_matches('/').to_owned();
    if url.starts_with("http://") || url.starts_with("https://") {
        return Some(url);
    }
    reader.problem(name, "must start with https:// or http://");
    None
}

/// `tls://imap.gmail.com:993`; the scheme is how the connection is protected.
pub(super) fn server(reader: &mut Reader<'_>, name: &str) -> Option<MailServer> {
    let text = reader.text(name)?;
    let parsed = text.split_once("://").and_then(|(scheme, rest)| {
        let (host, port) = rest.rsplit_once(':')?;
        let security = scheme.parse::<Security>().ok()?;
        let port = port.parse().ok().filter(|port| *port != 0)?;
        (!host.is_empty()).then(|| MailServer { host: host.to_owned(), port, security, username: String::new() })
    });
    if parsed.is_none() {
        reader.problem(name, "must look like tls://imap.gmail.com:993; instead of tls: starttls or plain");
    }
    parsed
}
