use super::{Account, LoginMethod};
use crate::words::words;

words! {
    /// How an account's mail is handed over.
    "transport"
    enum Transport {
        /// To the account's SMTP server.
        Smtp = "smtp",
        /// Through the Gmail API: only for Google accounts.
        Gmail = "gmail",
    }
}

impl Account {
    /// Whether its mail goes through the Gmail API.
    pub fn sends_by_gmail(&self) -> bool {
        self.transport == Transport::Gmail && self.login == LoginMethod::Google
    }

    /// Whether there may be drafts of ours in it: its mail goes through the Gmail API, or did so before it was switched to SMTP.
    pub fn may_have_drafts(&self) -> bool {
        self.login == LoginMethod::Google
    }
}
