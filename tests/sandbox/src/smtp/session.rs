//! One SMTP conversation.

use std::io;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;

use super::{MAX_MESSAGE_BYTES, auth, data, path};
use crate::faults::{FaultKind, Stage, Target, conversation};
use crate::ledger::{Envelope, Headings};
use crate::office::Office;
use crate::wire::Wire;

const MAX_LINE_BYTES: usize = 16 * 1024;
const MAX_RECIPIENTS: usize = 1000;
/// Commands that are refused in a row before the server hangs up.
const MAX_MISTAKES: usize = 50;

pub(super) struct Session {
    pub(super) office: Arc<Office>,
    pub(super) wire: Wire,
    tls: Option<TlsAcceptor>,
    greeted: bool,
    pub(super) account: Option<String>,
    /// The open transaction: sender and recipients so far.
    mail: Option<Mail>,
    mistakes: usize,
}

struct Mail {
    from: String,
    recipients: Vec<String>,
    utf8: bool,
}

impl Session {
    pub(super) fn new(office: Arc<Office>, wire: Wire, tls: Option<TlsAcceptor>) -> Self {
        Self { office, wire, tls, greeted: false, account: None, mail: None, mistakes: 0 }
    }

    pub(super) async fn run(mut self) -> io::Result<()> {
        if let Some(reply) = self.fault(Stage::Connect, &[]).await? {
            return self.wire.say(reply.as_bytes()).await;
        }
        self.wire.put(b"220 sandbox.postrider.test ESMTP ready\r\n").await?;
        loop {
            // Pipelined commands are answered together.
            if !self.wire.has_input() {
                self.wire.flush().await?;
            }
            let line = match self.wire.line(MAX_LINE_BYTES).await {
                Ok(line) => line,
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    return self.wire.say(b"421 4.4.2 idle for too long\r\n").await;
                }
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    return self.wire.say(b"500 5.5.2 line too long\r\n").await;
                }
                Err(error) => return Err(error),
            };
            let Ok(line) = std::str::from_utf8(&line) else {
                self.reply("500 5.5.2 not UTF-8").await?;
                continue;
            };
            let line = line.trim_end_matches(['\r', '\n']);
            let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
            let verb = verb.to_ascii_uppercase();
            if verb == "QUIT" {
                return self.wire.say(b"221 2.0.0 bye\r\n").await;
            }
            self.command(&verb, rest.trim()).await?;
            if self.mistakes > MAX_MISTAKES {
                return self.wire.say(b"421 4.7.0 too many errors\r\n").await;
            }
        }
    }

    async fn command(&mut self, verb: &str, rest: &str) -> io::Result<()> {
        match verb {
            "EHLO" => self.ehlo(rest).await,
            "HELO" => {
                self.greeted = true;
                self.mail = None;
                self.reply("250 sandbox.postrider.test").await
            }
            "STARTTLS" => self.start_tls().await,
            "AUTH" if self.account.is_some() => self.reply("503 5.5.1 already authenticated").await,
            "AUTH" => auth::authenticate(self, rest).await,
            "MAIL" => self.mail(rest).await,
            "RCPT" => self.rcpt(rest).await,
            "DATA" => self.data().await,
            "RSET" => {
                self.mail = None;
                self.reply("250 2.0.0 reset").await
            }
            "NOOP" => self.reply("250 2.0.0 ok").await,
            "VRFY" => self.reply("252 2.5.0 send some mail and see").await,
            "HELP" => self.reply("214 2.0.0 see RFC 5321").await,
            _ => self.reply("502 5.5.1 command not implemented").await,
        }
    }

    async fn ehlo(&mut self, _name: &str) -> io::Result<()> {
        self.greeted = true;
        self.mail = None;
        let starttls = if self.tls.is_some() && !self.wire.is_encrypted() { "250-STARTTLS\r\n" } else { "" };
        let answer = format!(
            "250-sandbox.postrider.test\r\n250-PIPELINING\r\n250-SIZE {MAX_MESSAGE_BYTES}\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n\
             250-ENHANCEDSTATUSCODES\r\n{starttls}250 AUTH PLAIN LOGIN XOAUTH2\r\n"
        );
        self.wire.put(answer.as_bytes()).await
    }

    async fn start_tls(&mut self) -> io::Result<()> {
        let Some(acceptor) = self.tls.clone().filter(|_| !self.wire.is_encrypted()) else {
            return self.reply("502 5.5.1 no TLS here").await;
        };
        self.wire.say(b"220 2.0.0 go ahead\r\n").await?;
        (self.greeted, self.mail, self.account) = (false, None, None);
        self.wire.start_tls(&acceptor).await
    }

    async fn mail(&mut self, rest: &str) -> io::Result<()> {
        if !self.greeted || self.mail.is_some() {
            return self.reply("503 5.5.1 bad sequence of commands").await;
        }
        let Some((from, parameters)) = path::parse(rest, "FROM:") else {
            return self.reply("501 5.5.4 syntax: MAIL FROM:<address>").await;
        };
        let utf8 = parameters.iter().any(|parameter| parameter.eq_ignore_ascii_case("SMTPUTF8"));
        if !utf8 && !from.is_ascii() {
            return self.reply("553 5.6.7 SMTPUTF8 needed for this sender").await;
        }
        if path::size(&parameters).is_some_and(|size| size > MAX_MESSAGE_BYTES) {
            return self.reply("552 5.3.4 message too big").await;
        }
        if let Some(reply) = self.fault(Stage::Mail, &[&from]).await? {
            return self.reply(&reply).await;
        }
        self.mail = Some(Mail { from, recipients: Vec::new(), utf8 });
        self.reply("250 2.1.0 sender ok").await
    }

    async fn rcpt(&mut self, rest: &str) -> io::Result<()> {
        let Some(mail) = &self.mail else { return self.reply("503 5.5.1 MAIL first").await };
        let (from, utf8, count) = (mail.from.clone(), mail.utf8, mail.recipients.len());
        let Some((recipient, _)) = path::parse(rest, "TO:").filter(|(address, _)| address.contains('@')) else {
            return self.reply("501 5.1.3 syntax: RCPT TO:<address>").await;
        };
        if !utf8 && !recipient.is_ascii() {
            return self.reply("553 5.6.7 SMTPUTF8 needed for this recipient").await;
        }
        if count >= MAX_RECIPIENTS {
            return self.reply("452 4.5.3 too many recipients").await;
        }
        if self.account.is_none() && !self.office.mailboxes.exists(&recipient) {
            return self.reply("530 5.7.0 authentication required to relay").await;
        }
        if let Some(reply) = self.fault(Stage::Rcpt, &[&from, &recipient]).await? {
            return self.reply(&reply).await;
        }
        if let Some(mail) = &mut self.mail {
            mail.recipients.push(recipient);
        }
        self.reply("250 2.1.5 recipient ok").await
    }

    async fn data(&mut self) -> io::Result<()> {
        let Some(mail) = self.mail.take_if(|mail| !mail.recipients.is_empty()) else {
            return self.reply("503 5.5.1 RCPT first").await;
        };
        let envelope = Envelope { account: self.account.clone(), mail_from: mail.from, rcpt_to: mail.recipients };
        if let Some(reply) = self.fault(Stage::Data, &texts(&envelope, None)).await? {
            return self.reply(&reply).await;
        }
        self.wire.say(b"354 end with <CRLF>.<CRLF>\r\n").await?;
        let Some(raw) = data::read(&mut self.wire).await? else {
            return self.reply("552 5.3.4 message too big").await;
        };
        let subject = Headings::of(&raw).subject;
        if let Some(reply) = self.fault(Stage::End, &texts(&envelope, subject.as_deref())).await? {
            return self.reply(&reply).await;
        }
        let Ok(accepted) = self.office.ledger.record(envelope.clone(), raw.clone()).await else {
            return self.reply("451 4.3.0 the ledger could not be written").await;
        };
        self.office.deliver_locally(&accepted, &raw);
        if let Some(reply) = self.fault(Stage::Accepted, &texts(&envelope, subject.as_deref())).await? {
            return self.reply(&reply).await;
        }
        self.mistakes = 0;
        self.reply(&format!("250 2.0.0 accepted as {}", accepted.seq)).await
    }

    /// Lets an ordered fault happen; returns the reply line of a rejection.
    pub(super) async fn fault(&mut self, stage: Stage, texts: &[&str]) -> io::Result<Option<String>> {
        let account = self.account.clone().unwrap_or_default();
        let texts: Vec<&str> = texts.iter().copied().chain([account.as_str()]).collect();
        let strike = self.office.faults.strike(Target::Smtp, stage, &texts);
        let Some(fault) = conversation::suffer(&mut self.wire, strike).await? else { return Ok(None) };
        let usual = match (fault.kind, stage) {
            (FaultKind::DailyLimit, _) => "550 5.4.5 Daily user sending limit exceeded.",
            (FaultKind::Reject5xx, Stage::Auth) => "535 5.7.8 username and password not accepted",
            (FaultKind::Reject5xx, Stage::Connect | Stage::Data) => "554 5.3.0 rejected by order",
            (FaultKind::Reject5xx, _) => "550 5.7.1 rejected by order",
            (_, Stage::Connect) => "421 4.3.2 try again later",
            (_, Stage::Auth) => "454 4.7.0 temporary authentication failure",
            _ => "451 4.3.0 try again later",
        };
        Ok(Some(format!("{}\r\n", fault.reply.as_deref().unwrap_or(usual))))
    }

    pub(super) async fn reply(&mut self, line: &str) -> io::Result<()> {
        if line.starts_with(['4', '5']) {
            self.mistakes += 1;
        }
        self.wire.put(line.trim_end().as_bytes()).await?;
        self.wire.put(b"\r\n").await
    }
}

/// What a fault can match on.
fn texts<'a>(envelope: &'a Envelope, subject: Option<&'a str>) -> Vec<&'a str> {
    let mut texts = vec![envelope.mail_from.as_str()];
    texts.extend(envelope.rcpt_to.iter().map(String::as_str));
    texts.extend(subject);
    texts
}
