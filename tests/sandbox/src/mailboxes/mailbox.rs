//! One mailbox: a password and its folders.

use std::collections::BTreeMap;

use super::folder::Folder;

pub(super) const INBOX: &str = "INBOX";

/// Made with every mailbox; mail clients look for them.
pub(super) const USUAL_FOLDERS: [&str; 4] = [INBOX, "Drafts", "Sent", "Trash"];

#[derive(Debug, Default)]
pub struct Mailbox {
    pub password: String,
    pub folders: BTreeMap<String, Folder>,
}

impl Mailbox {
    /// The folder's name as it is kept, if it exists: INBOX is the same in any case.
    pub fn folder_name(&self, name: &str) -> Option<String> {
        let name = if name.eq_ignore_ascii_case(INBOX) { INBOX } else { name };
        self.folders.contains_key(name).then(|| name.to_owned())
    }

    pub fn folder(&self, name: &str) -> Option<&Folder> {
        self.folders.get(name)
    }
}
