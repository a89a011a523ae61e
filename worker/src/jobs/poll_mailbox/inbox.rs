use super::folder::FOLDER;
use crate::providers::imap::{ImapError, Login, Selected, Session, Stage};

/// A session in the folder, opened again where a message made it useless. There is never more than one, and its UIDs mean the same
/// messages from the first to the last.
pub(super) struct Inbox<'a> {
    login: &'a Login,
    uid_validity: Option<u32>,
    exists: u32,
    session: Option<Session>,
}

impl<'a> Inbox<'a> {
    pub(super) async fn open(login: &'a Login) -> Result<(Self, Selected), ImapError> {
        let mut session = Session::open(login).await?;
        let selected = session.select_numbered(FOLDER).await?;
        let exists = selected.exists.unwrap_or_default();
        Ok((Self { login, uid_validity: selected.uid_validity, exists, session: Some(session) }, selected))
    }

    pub(super) async fn session(&mut self) -> Result<&mut Session, ImapError> {
        let session = match self.session.take() {
            Some(session) => session,
            None => self.open_again().await?,
        };
        Ok(self.session.insert(session))
    }

    async fn open_again(&mut self) -> Result<Session, ImapError> {
        let mut session = Session::open(self.login).await?;
        let selected = session.select(FOLDER).await?;
        if let (Some(before), Some(now)) = (self.uid_validity, selected.uid_validity)
            && before != now
        {
            let detail = "it numbers its messages anew".to_owned();
            return Err(ImapError::Protocol { stage: Stage::Select, detail });
        }
        self.exists = selected.exists.unwrap_or_default();
        Ok(session)
    }

    /// How many messages the folder had when it was opened last.
    pub(super) fn exists(&self) -> u32 {
        self.exists
    }

    /// The session is of no further use.
    pub(super) fn spoiled(&mut self) {
        self.session = None;
    }

    pub(super) async fn close(self) {
        if let Some(session) = self.session {
            session.close().await;
        }
    }
}
