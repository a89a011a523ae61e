//! Reading a mailbox over IMAP: connect, select, list what is new, fetch one message at a time.
//!
//! Commands are run on the session's raw responses, not through `async-imap`'s own `uid_fetch`: that stream ends
//! at the tagged line without looking at its status, so a `NO` would read as "no new mail". Every wait has a time
//! limit and every command a limit of bytes, because servers hang, close and lie.

mod command;
mod error;
mod idle;
mod listing;
mod witness;
mod xoauth2;

use std::time::Duration;

use async_imap::imap_proto::{MailboxDatum, Response, ResponseCode, Status, StatusAttribute};
use secrecy::ExposeSecret;

use self::error::is_busy;
pub use self::error::{ImapError, Stage};
pub use self::idle::Idling;
pub use self::listing::{Listed, Since};
use super::credential::Credential;
use super::told::Told;
use super::transport::{Budget, Dialer, Duplex, Endpoint, Limits, Metered, Security, certificate_refused};

type Stream = Metered<Box<dyn Duplex>>;

/// Bytes a greeting, a login or a SELECT may answer with.
const SMALL_ANSWER: u64 = 256 * 1024;

/// Who reads which mailbox where.
#[derive(Debug, Clone)]
pub struct Login {
    pub endpoint: Endpoint,
    pub username: String,
    pub credential: Credential,
    pub dialer: Dialer,
}

/// What SELECT said. Servers may omit both numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Selected {
    pub uid_validity: Option<u32>,
    pub uid_next: Option<u32>,
    pub exists: Option<u32>,
}

/// An authenticated connection. One mailbox, one job, one connection: closed at the end of the run.
pub struct Session {
    inner: async_imap::Session<Stream>,
    budget: Budget,
    limits: Limits,
}

impl Session {
    /// Connects and logs in.
    pub async fn open(login: &Login) -> Result<Self, ImapError> {
        let opened = async {
            let socket = login.dialer.connect(&login.endpoint).await.map_err(ImapError::unconnected)?;
            Ok::<Box<dyn Duplex>, _>(Box::new(socket))
        };
        Self::begin(login, opened).await
    }

    /// Logs in on a connection that stands already.
    pub async fn over(stream: Box<dyn Duplex>, login: &Login) -> Result<Self, ImapError> {
        Self::begin(login, std::future::ready(Ok(stream))).await
    }

    async fn begin(
        login: &Login,
        opened: impl Future<Output = Result<Box<dyn Duplex>, ImapError>>,
    ) -> Result<Self, ImapError> {
        let budget = Budget::default();
        budget.allow(SMALL_ANSWER);
        let limits = login.dialer.limits;
        let client = async { greeted(login, opened.await?, &budget).await };
        let client = within(Stage::Connect, limits.connect, client).await?;
        let inner = within(Stage::Login, limits.command, log_in(client, login)).await;
        let inner = inner.map_err(|error| error.without(&Told::login(&login.username, &login.credential)))?;
        Ok(Self { inner, budget, limits })
    }

    /// Opens a folder. Nothing in it is marked as read, since messages are fetched with `BODY.PEEK`.
    pub async fn select(&mut self, folder: &str) -> Result<Selected, ImapError> {
        self.open_folder("SELECT", folder).await
    }

    /// Opens a folder, and asks again for what its server left out.
    pub async fn select_numbered(&mut self, folder: &str) -> Result<Selected, ImapError> {
        let mut selected = self.select(folder).await?;
        if selected.uid_validity.is_some() && selected.uid_next.is_some() {
            return Ok(selected);
        }
        let command = format!("STATUS {} (UIDVALIDITY UIDNEXT)", quoted(folder));
        let mut told = Selected::default();
        let asked = self
            .command(Stage::Select, &command, self.limits.command, SMALL_ANSWER, |response| {
                let Response::MailboxData(MailboxDatum::Status { status, .. }) = response else { return };
                for attribute in status {
                    match attribute {
                        StatusAttribute::UidValidity(number) => told.uid_validity = Some(*number),
                        StatusAttribute::UidNext(number) => told.uid_next = Some(*number),
                        _ => {}
                    }
                }
            })
            .await;
        match asked {
            Ok(()) | Err(ImapError::Refused { .. } | ImapError::Protocol { .. }) => {}
            Err(other) => return Err(other),
        }
        selected.uid_validity = selected.uid_validity.or(told.uid_validity);
        selected.uid_next = selected.uid_next.or(told.uid_next);
        Ok(selected)
    }

    /// Opens a folder to watch it: nothing in it changes, not even what counts as recent.
    pub async fn examine(&mut self, folder: &str) -> Result<Selected, ImapError> {
        self.open_folder("EXAMINE", folder).await
    }

    async fn open_folder(&mut self, verb: &str, folder: &str) -> Result<Selected, ImapError> {
        let mut selected = Selected::default();
        let command = format!("{verb} {}", quoted(folder));
        self.command(Stage::Select, &command, self.limits.command, SMALL_ANSWER, |response| match response {
            Response::Data { status: Status::Ok, outcome } => match outcome.code {
                Some(ResponseCode::UidValidity(number)) => selected.uid_validity = Some(number),
                Some(ResponseCode::UidNext(number)) => selected.uid_next = Some(number),
                Some(_) | None => {}
            },
            Response::MailboxData(MailboxDatum::Exists(number)) => selected.exists = Some(*number),
            _ => {}
        })
        .await?;
        Ok(selected)
    }

    /// Says goodbye, briefly: a server that does not answer is left.
    pub async fn close(mut self) {
        self.budget.allow(SMALL_ANSWER);
        let _ = tokio::time::timeout(Duration::from_secs(2), self.inner.logout()).await;
    }
}

async fn log_in(client: async_imap::Client<Stream>, login: &Login) -> Result<async_imap::Session<Stream>, ImapError> {
    let attempt = match &login.credential {
        Credential::Password(password) => client.login(&login.username, password.expose_secret()).await,
        Credential::Bearer(token) => {
            client.authenticate("XOAUTH2", xoauth2::Answers::new(&login.username, token)).await
        }
    };
    attempt.map_err(|(error, _client)| ImapError::of(Stage::Login, error))
}

async fn greeted(
    login: &Login,
    mut stream: Box<dyn Duplex>,
    budget: &Budget,
) -> Result<async_imap::Client<Stream>, ImapError> {
    let endpoint = &login.endpoint;
    if endpoint.security == Security::Tls {
        stream = tls(login, stream).await?;
    }
    let mut client = async_imap::Client::new(Metered::new(stream, budget.clone()));
    greeting(&mut client).await?;
    if endpoint.security == Security::Starttls {
        let upgrade = client.run_command_and_check_ok("STARTTLS", None).await;
        upgrade.map_err(|error| ImapError::of(Stage::Tls, error))?;
        // What a man in the middle may have put behind the answer is dropped with the old client's buffer.
        let stream = tls(login, client.into_inner().into_inner()).await?;
        client = async_imap::Client::new(Metered::new(stream, budget.clone()));
    }
    Ok(client)
}

async fn tls(login: &Login, stream: Box<dyn Duplex>) -> Result<Box<dyn Duplex>, ImapError> {
    let session = login.dialer.wrap_tls(&login.endpoint.host, stream).await;
    session.map_err(|error| match certificate_refused(&error) {
        Some(detail) => ImapError::Insecure { detail },
        None => ImapError::Tls { detail: error.to_string() },
    })
}

async fn greeting(client: &mut async_imap::Client<Stream>) -> Result<(), ImapError> {
    let stage = Stage::Greeting;
    let response = client.read_response().await.map_err(|error| ImapError::io(stage, &error))?;
    match response.as_ref().map(|response| response.parsed()) {
        Some(Response::Data { status: Status::Bye, outcome }) => {
            let said = outcome.information.as_deref().unwrap_or_default();
            Err(if is_busy(said) { ImapError::busy(stage, said) } else { ImapError::Closed { stage } })
        }
        None => Err(ImapError::Closed { stage }),
        Some(Response::Data { status: Status::Ok | Status::PreAuth, .. }) => Ok(()),
        Some(_) => Err(ImapError::Protocol { stage, detail: "the greeting is not IMAP".into() }),
    }
}

async fn within<T>(
    stage: Stage,
    limit: Duration,
    step: impl Future<Output = Result<T, ImapError>>,
) -> Result<T, ImapError> {
    tokio::time::timeout(limit, step).await.unwrap_or(Err(ImapError::Timeout { stage, limit }))
}

/// A folder's name as an IMAP quoted string.
fn quoted(folder: &str) -> String {
    let clean: String = folder.chars().filter(|c| !c.is_control()).collect();
    format!("\"{}\"", clean.replace('\\', "\\\\").replace('"', "\\\""))
}
