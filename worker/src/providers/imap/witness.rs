//! Whether a server lists mail at all, and hands it over.

use async_imap::imap_proto::Response;

use super::listing::{message, uid_of};
use super::{ImapError, SMALL_ANSWER, Session, Stage};

impl Session {
    /// Whether the beginning of the message with this number (not UID; the oldest has 1) can be had. False if that is the one
    /// with the UID `but`, which is not asked for.
    pub async fn hands_over(&mut self, number: u32, but: u32) -> Result<bool, ImapError> {
        let limit = self.limits.connect;
        let Some(uid) = self.uid_of(number).await?.filter(|uid| *uid != but) else { return Ok(false) };
        let mut given = false;
        let command = format!("UID FETCH {uid} (UID BODY.PEEK[]<0.1024>)");
        self.command(Stage::Fetch, &command, limit, SMALL_ANSWER, |response| {
            if let Response::Fetch(_, attributes) = response
                && uid_of(attributes) == Some(uid)
            {
                given |= message(attributes).is_some();
            }
        })
        .await?;
        Ok(given)
    }
    /// The same of what a listing says of it.
    pub async fn lists(&mut self, number: u32, but: u32) -> Result<bool, ImapError> {
        let Some(uid) = self.uid_of(number).await?.filter(|uid| *uid != but) else { return Ok(false) };
        Ok(self.entries(&[uid]).await?.contains_key(&uid))
    }

    async fn uid_of(&mut self, number: u32) -> Result<Option<u32>, ImapError> {
        let mut uid = None;
        let command = format!("FETCH {number} (UID)");
        self.command(Stage::List, &command, self.limits.connect, SMALL_ANSWER, |response| {
            if let Response::Fetch(answered, attributes) = response
                && *answered == number
            {
                uid = uid_of(attributes).or(uid);
            }
        })
        .await?;
        Ok(uid)
    }
}
