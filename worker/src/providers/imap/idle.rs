//! IDLE (RFC 2177): the server tells of new mail by itself.
//!
//! `async-imap`'s own handle swallows what comes before the continuation and after `DONE`, where mail may just be announced; here
//! every untagged line of the conversation is looked at.

use std::time::Duration;

use async_imap::imap_proto::{Capability, MailboxDatum, RequestId, Response, Status};

use super::{ImapError, SMALL_ANSWER, Session, Stage, within};

/// An IDLE that has begun.
#[derive(Debug)]
pub struct Idling {
    tag: RequestId,
}

impl Session {
    /// Whether the server offers IDLE, now that we are logged in.
    pub async fn can_idle(&mut self) -> Result<bool, ImapError> {
        self.offers(Stage::Idle, "IDLE").await
    }

    /// Whether the server has this capability, now that we are logged in.
    pub(super) async fn offers(&mut self, stage: Stage, wanted: &str) -> Result<bool, ImapError> {
        let mut offered = false;
        self.command(stage, "CAPABILITY", self.limits.command, SMALL_ANSWER, |response| {
            if let Response::Capabilities(capabilities) = response {
                offered |= capabilities.iter().any(
                    |capability| matches!(capability, Capability::Atom(name) if name.eq_ignore_ascii_case(wanted)),
                );
            }
        })
        .await?;
        Ok(offered)
    }

    /// Begins to wait. True if mail was announced meanwhile.
    pub async fn idle(&mut self) -> Result<(Idling, bool), ImapError> {
        let stage = Stage::Idle;
        self.budget.allow(SMALL_ANSWER);
        let session = &mut self.inner;
        within(stage, self.limits.command, async move {
            let tag = session.run_command("IDLE").await.map_err(|error| ImapError::of(stage, error))?;
            let mut news = false;
            loop {
                let response = session.read_response().await.map_err(|error| ImapError::io(stage, &error))?;
                let Some(response) = response else { return Err(ImapError::Closed { stage }) };
                match response.parsed() {
                    Response::Continue { .. } => return Ok((Idling { tag }, news)),
                    Response::Done { tag: done, .. } if *done == tag => {
                        return Err(ImapError::Refused { stage, detail: "it offers IDLE and does not do it".into() });
                    }
                    other => news |= told(other)?,
                }
            }
        })
        .await
    }

    /// Waits until mail is announced. May be dropped at any moment and called again; it loses nothing.
    pub async fn announced(&mut self) -> Result<(), ImapError> {
        let stage = Stage::Idle;
        loop {
            // Each line has its own allowance: a connection may stay for days.
            self.budget.allow(SMALL_ANSWER);
            let response = self.inner.read_response().await.map_err(|error| ImapError::io(stage, &error))?;
            let Some(response) = response else { return Err(ImapError::Closed { stage }) };
            if told(response.parsed())? {
                return Ok(());
            }
        }
    }

    /// Ends the wait. True if mail was announced meanwhile. A connection that died without a word is noticed here.
    pub async fn done(&mut self, idling: Idling) -> Result<bool, ImapError> {
        let stage = Stage::Idle;
        self.budget.allow(SMALL_ANSWER);
        let session = &mut self.inner;
        within(stage, self.limits.command, async move {
            session.run_command_untagged("DONE").await.map_err(|error| ImapError::of(stage, error))?;
            let mut news = false;
            loop {
                let response = session.read_response().await.map_err(|error| ImapError::io(stage, &error))?;
                let Some(response) = response else { return Err(ImapError::Closed { stage }) };
                match response.parsed() {
                    Response::Done { tag, status: Status::Ok, .. } if *tag == idling.tag => return Ok(news),
                    Response::Done { tag, .. } if *tag == idling.tag => {
                        return Err(ImapError::Protocol { stage, detail: "IDLE did not end well".into() });
                    }
                    other => news |= told(other)?,
                }
            }
        })
        .await
    }

    /// How long one command may take.
    pub fn patience(&self) -> Duration {
        self.limits.command
    }
}

/// Whether a line announces mail. Every EXISTS does: a poll too many costs little, and servers count in different ways.
fn told(response: &Response<'_>) -> Result<bool, ImapError> {
    match response {
        Response::Data { status: Status::Bye, .. } => Err(ImapError::Closed { stage: Stage::Idle }),
        Response::MailboxData(MailboxDatum::Exists(_)) => Ok(true),
        _ => Ok(false),
    }
}
