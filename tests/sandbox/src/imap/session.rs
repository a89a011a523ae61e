//! One IMAP conversation: its state, the order of commands, and telling the client what others changed.

use std::io;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;

use super::command::{Command, Received, receive};
use crate::faults::{Fault, Stage, Target, conversation};
use crate::mailboxes::Folder;
use crate::office::Office;
use crate::wire::Wire;

pub(super) const CAPABILITIES: &str =
    "IMAP4rev1 LITERAL+ SASL-IR AUTH=PLAIN AUTH=XOAUTH2 ID IDLE NAMESPACE UIDPLUS MOVE UNSELECT CHILDREN SPECIAL-USE";

/// The line that ends a command, without its tag: `OK …`, `NO …` or `BAD …`; empty if it is said already.
pub(super) type Answer = String;

pub(super) struct Session {
    pub(super) office: Arc<Office>,
    pub(super) wire: Wire,
    pub(super) tls: Option<TlsAcceptor>,
    /// The mailbox's address once logged in.
    pub(super) login: Option<String>,
    pub(super) selected: Option<Selected>,
}

/// The open folder as the client knows it: sequence number n is `uids[n - 1]`.
#[derive(Debug, Clone)]
pub(super) struct Selected {
    pub(super) folder: String,
    pub(super) read_only: bool,
    pub(super) uid_validity: u32,
    pub(super) uids: Vec<u32>,
}

impl Session {
    pub(super) fn new(office: Arc<Office>, wire: Wire, tls: Option<TlsAcceptor>) -> Self {
        Self { office, wire, tls, login: None, selected: None }
    }

    pub(super) async fn run(mut self) -> io::Result<()> {
        self.fault(Stage::Connect, &[]).await?;
        let greeting = format!("* OK [CAPABILITY {}] sandbox ready\r\n", self.capabilities());
        self.wire.say(greeting.as_bytes()).await?;
        loop {
            let command = match receive(&mut self.wire, self.login.is_some()).await {
                Ok(Received::Command(command)) => command,
                Ok(Received::Refused(line)) => {
                    self.wire.say(format!("{line}\r\n").as_bytes()).await?;
                    continue;
                }
                Err(error) => {
                    let reason = match error.kind() {
                        io::ErrorKind::TimedOut => "idle for too long",
                        io::ErrorKind::InvalidData => "line too long",
                        _ => return Err(error),
                    };
                    return self.wire.say(format!("* BYE {reason}\r\n").as_bytes()).await;
                }
            };
            if command.name == "LOGOUT" {
                let bye = format!("* BYE logging out\r\n{} OK done\r\n", command.tag);
                return self.wire.say(bye.as_bytes()).await;
            }
            let answer = self.carry_out(&command).await?;
            if !answer.is_empty() {
                self.wire.say(format!("{} {answer}\r\n", command.tag).as_bytes()).await?;
            }
        }
    }

    async fn carry_out(&mut self, command: &Command) -> io::Result<Answer> {
        let arguments = &command.arguments[..];
        match (command.name.as_str(), self.login.clone()) {
            ("CAPABILITY", _) => {
                let line = format!("* CAPABILITY {}\r\n", self.capabilities());
                self.wire.put(line.as_bytes()).await?;
                Ok("OK done".into())
            }
            ("NOOP" | "CHECK", _) => {
                self.tell_changes(true).await?;
                Ok("OK done".into())
            }
            ("ID", _) => {
                self.wire.put(b"* ID (\"name\" \"postrider-sandbox\")\r\n").await?;
                Ok("OK done".into())
            }
            ("LOGIN", None) => self.log_in(arguments).await,
            ("AUTHENTICATE", None) => self.authenticate(arguments).await,
            ("STARTTLS", None) => self.start_tls(&command.tag).await,
            ("LOGIN" | "AUTHENTICATE" | "STARTTLS", Some(_)) => Ok("BAD already logged in".into()),
            (_, None) => Ok("NO log in first".into()),
            (name, Some(address)) => self.folder_command(name, &address, arguments).await,
        }
    }

    async fn folder_command(
        &mut self,
        name: &str,
        address: &str,
        arguments: &[super::value::Value],
    ) -> io::Result<Answer> {
        match name {
            "LIST" | "LSUB" | "XLIST" => self.list(name, address, arguments).await,
            "NAMESPACE" => {
                self.wire.put(b"* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n").await?;
                Ok("OK done".into())
            }
            "STATUS" => self.status(address, arguments).await,
            "CREATE" => Ok(self.create(address, arguments)),
            "DELETE" => Ok(self.delete(address, arguments)),
            "SUBSCRIBE" | "UNSUBSCRIBE" => Ok("OK every folder is subscribed".into()),
            "SELECT" | "EXAMINE" => self.select(name == "EXAMINE", address, arguments).await,
            "APPEND" => self.append(address, arguments).await,
            "IDLE" => self.idle().await,
            _ => match self.selected.clone() {
                Some(selected) => self.message_command(name, address, &selected, arguments).await,
                None => Ok("BAD unknown command, or no folder is selected".into()),
            },
        }
    }

    async fn message_command(
        &mut self,
        name: &str,
        address: &str,
        selected: &Selected,
        arguments: &[super::value::Value],
    ) -> io::Result<Answer> {
        let (name, by_uid) = name.strip_prefix("UID ").map_or((name, false), |name| (name, true));
        let answer = match name {
            "SEARCH" => self.search(by_uid, address, selected, arguments).await?,
            "FETCH" => self.fetch(by_uid, address, selected, arguments).await?,
            "STORE" => self.store(by_uid, address, selected, arguments).await?,
            "COPY" | "MOVE" => self.copy(name == "MOVE", by_uid, address, selected, arguments).await?,
            "EXPUNGE" => self.expunge(address, selected, arguments).await?,
            "CLOSE" => self.close(address, selected),
            "UNSELECT" => {
                self.selected = None;
                "OK done".into()
            }
            _ => "BAD unknown command".into(),
        };
        // Sequence numbers must not move under a client that uses them (RFC 3501 7.4.1).
        self.tell_changes(by_uid || !matches!(name, "SEARCH" | "FETCH" | "STORE")).await?;
        Ok(answer)
    }

    /// Mailboxes of Gmail have ids of their own for their mails.
    pub(super) fn is_gmail(&self) -> bool {
        self.login.as_deref().is_some_and(|address| address.ends_with("@gmail.com"))
    }

    pub(super) fn capabilities(&self) -> String {
        let starttls = if self.tls.is_some() && !self.wire.is_encrypted() { " STARTTLS" } else { "" };
        let gmail = if self.is_gmail() { " X-GM-EXT-1" } else { "" };
        format!("{CAPABILITIES}{starttls}{gmail}")
    }

    /// Brings the client's picture of the open folder up to date: EXPUNGE and EXISTS lines.
    pub(super) async fn tell_changes(&mut self, expunges: bool) -> io::Result<()> {
        let (Some(selected), Some(address)) = (&mut self.selected, &self.login) else { return Ok(()) };
        let now = self.office.mailboxes.read(address, |mailbox| {
            mailbox.folder(&selected.folder).map(|folder| (folder.uid_validity, folder.uids()))
        });
        let Some((uid_validity, uids)) = now.flatten().filter(|(validity, _)| *validity == selected.uid_validity)
        else {
            self.wire.say(b"* BYE the folder is no longer the one you opened\r\n").await?;
            return Err(io::ErrorKind::ConnectionAborted.into());
        };
        selected.uid_validity = uid_validity;
        let mut lines = Vec::new();
        if expunges {
            for at in (0..selected.uids.len()).rev() {
                if uids.binary_search(&selected.uids[at]).is_err() {
                    selected.uids.remove(at);
                    lines.push(format!("* {} EXPUNGE\r\n", at + 1));
                }
            }
        }
        let last = selected.uids.last().copied().unwrap_or(0);
        let before = selected.uids.len();
        selected.uids.extend(uids.into_iter().filter(|uid| *uid > last));
        if selected.uids.len() > before {
            lines.push(format!("* {} EXISTS\r\n", selected.uids.len()));
        }
        self.wire.put(lines.concat().as_bytes()).await
    }

    /// Reads from a folder of the mailbox that is logged in.
    pub(super) fn folder<T>(&self, address: &str, name: &str, look: impl FnOnce(&Folder) -> T) -> Option<T> {
        self.office.mailboxes.read(address, |mailbox| mailbox.folder(name).map(look)).flatten()
    }

    /// Lets an ordered fault happen; returns one that the command itself must carry out.
    pub(super) async fn fault(&mut self, stage: Stage, texts: &[&str]) -> io::Result<Option<Fault>> {
        let login = self.login.clone().unwrap_or_default();
        let texts: Vec<&str> = texts.iter().copied().chain([login.as_str()]).collect();
        let strike = self.office.faults.strike(Target::Imap, stage, &texts);
        conversation::suffer(&mut self.wire, strike).await
    }
}
