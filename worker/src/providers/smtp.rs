//! Submitting one message over SMTP, with lettre's connection driven step by step.
//!
//! lettre's transport answers with one error for the whole conversation. Sending exactly once needs to know on
//! which side of the point of no return it arose: before the final dot was written nothing can have been
//! accepted; after it, only the server's answer tells, and a lost answer is [`SmtpError::Ambiguous`].

mod carrier;
mod error;
mod message;

use std::time::Duration;

use lettre::address::Address;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use secrecy::{ExposeSecret, SecretString};

pub use self::error::{SmtpError, Stage};
pub use self::message::{Attachment, Draft, MessageError};
use super::credential::{Credential, xoauth2_encoded};
use super::told::Told;
use super::transport::{Dialer, Endpoint, Security};

/// The slowest server worth handing a message to.
const BYTES_PER_SECOND: u64 = 64 * 1024;
const CHUNK: usize = 64 * 1024;

/// Who submits where.
#[derive(Debug, Clone)]
pub struct Login {
    pub endpoint: Endpoint,
    pub username: String,
    pub credential: Credential,
    pub dialer: Dialer,
}

/// A message ready for the wire: one sender, exactly one recipient.
#[derive(Debug, Clone)]
pub struct Submission {
    pub from: Address,
    pub to: Address,
    /// RFC 5322 bytes with CRLF line ends.
    pub raw: Vec<u8>,
}

/// The server took responsibility for the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The text of the final 250, which usually names the server's queue id.
    pub response: String,
}

/// Hands one message to the server. `may_start` is awaited right before DATA, the last moment at which a run that
/// was overtaken by another worker can stop without doubt; if it says no, nothing is sent.
pub async fn submit(
    login: &Login,
    submission: &Submission,
    may_start: impl Future<Output = bool> + Send,
) -> Result<Receipt, SmtpError> {
    let mut connection = connect(login).await?;
    let sent = converse(&mut connection, login, submission, may_start).await;
    let sent = sent.map_err(|error| error.without(&Told::login(&login.username, &login.credential)));
    // Politeness only: whatever QUIT answers changes nothing about the message.
    let _ = tokio::time::timeout(Duration::from_secs(2), connection.abort()).await;
    sent
}

async fn converse(
    connection: &mut AsyncSmtpConnection,
    login: &Login,
    submission: &Submission,
    may_start: impl Future<Output = bool> + Send,
) -> Result<Receipt, SmtpError> {
    let limit = login.dialer.limits.command;
    authenticate(connection, login).await?;
    if !submission.raw.is_ascii() {
        return Err(SmtpError::Unsendable { detail: "the message holds bytes outside ASCII".into() });
    }
    let mail = Mail::new(Some(submission.from.clone()), vec![]);
    step(Stage::Mail, limit, connection.command(mail)).await?;
    let recipient = Rcpt::new(submission.to.clone(), vec![]);
    step(Stage::Recipient, limit, connection.command(recipient)).await?;
    if !may_start.await {
        return Err(SmtpError::Overtaken);
    }
    step(Stage::Data, limit, connection.command(Data)).await?;
    content(connection, &submission.raw, login.dialer.limits.answer).await
}

async fn connect(login: &Login) -> Result<AsyncSmtpConnection, SmtpError> {
    let (endpoint, limits) = (&login.endpoint, login.dialer.limits);
    let hello = ClientId::default();
    let stream = carrier::open(&login.dialer, endpoint).await?;
    let greeting = AsyncSmtpConnection::connect_with_transport(stream, &hello);
    let mut connection = step(Stage::Connect, limits.command, greeting).await?;
    if endpoint.security == Security::Starttls {
        let parameters = login.dialer.trust.smtp_parameters(&endpoint.host);
        let parameters = parameters.map_err(|error| SmtpError::of(Stage::Tls, &error))?;
        step(Stage::Tls, limits.command, connection.starttls(parameters, &hello)).await?;
    }
    Ok(connection)
}

/// A server that offers no AUTH at all (a local relay) is used without; one that offers it must accept.
async fn authenticate(connection: &mut AsyncSmtpConnection, login: &Login) -> Result<(), SmtpError> {
    let mechanisms = [Mechanism::Plain, Mechanism::Login];
    if login.username.is_empty() {
        return Ok(());
    }
    let limit = login.dialer.limits.command;
    match &login.credential {
        Credential::Password(password) => {
            let credentials = Credentials::new(login.username.clone(), password.expose_secret().to_owned());
            step(Stage::Login, limit, connection.auth(&mechanisms, &credentials)).await?;
            Ok(())
        }
        Credential::Bearer(token) => step(Stage::Login, limit, xoauth2(connection, &login.username, token)).await,
    }
}

/// XOAUTH2, step by step: lettre's own takes the challenge that says why a token is refused for a mistake of the client's. It is
/// answered with an empty line, and then the server says no.
async fn xoauth2(
    connection: &mut AsyncSmtpConnection,
    username: &str,
    token: &SecretString,
) -> Result<(), lettre::transport::smtp::Error> {
    let answer = connection.command(format!("AUTH XOAUTH2 {}\r\n", xoauth2_encoded(username, token))).await?;
    if answer.has_code(334) {
        connection.command("\r\n").await?;
    }
    Ok(())
}

/// Writes the message and the final dot. lettre asks for the next chunk only after the last was written, so the
/// iterator's end marks the moment from which the server may have the whole message.
async fn content(
    connection: &mut AsyncSmtpConnection,
    raw: &[u8],
    answer_limit: Duration,
) -> Result<Receipt, SmtpError> {
    let limit = answer_limit + Duration::from_secs(raw.len() as u64 / BYTES_PER_SECOND);
    let mut ended = false;
    let mut chunks = raw.chunks(CHUNK);
    let parts = std::iter::from_fn(|| {
        let next = chunks.next();
        ended |= next.is_none();
        next
    });
    let answer = tokio::time::timeout(limit, connection.message_iter(parts)).await;
    match answer {
        Ok(Ok(response)) => Ok(Receipt { response: response.message().collect::<Vec<_>>().join(" ") }),
        Ok(Err(error)) if error.status().is_some() || !ended => Err(SmtpError::of(Stage::Content, &error)),
        Ok(Err(error)) => Err(SmtpError::Ambiguous { detail: error.to_string() }),
        Err(_elapsed) if ended => {
            Err(SmtpError::Ambiguous { detail: format!("no answer within {} s", limit.as_secs()) })
        }
        Err(_elapsed) => Err(SmtpError::Timeout { stage: Stage::Content, limit }),
    }
}

async fn step<T>(
    stage: Stage,
    limit: Duration,
    action: impl Future<Output = Result<T, lettre::transport::smtp::Error>>,
) -> Result<T, SmtpError> {
    match tokio::time::timeout(limit, action).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(SmtpError::of(stage, &error)),
        Err(_elapsed) => Err(SmtpError::Timeout { stage, limit }),
    }
}
