//! What can happen to mailboxes: the records of their journal.

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::folder::{Folder, Message};
use super::mailbox::Mailbox;
use crate::clock;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    Opened {
        address: String,
        password: String,
    },
    FolderCreated {
        address: String,
        folder: String,
        uid_validity: u32,
    },
    FolderDeleted {
        address: String,
        folder: String,
    },
    Delivered {
        address: String,
        folder: String,
        uid: u32,
        received_at: DateTime<Utc>,
        flags: Vec<String>,
        key: Option<String>,
    },
    Flagged {
        address: String,
        folder: String,
        uid: u32,
        flags: Vec<String>,
    },
    Expunged {
        address: String,
        folder: String,
        uids: Vec<u32>,
    },
    /// A new UIDVALIDITY; the messages are numbered from 1 again.
    Renumbered {
        address: String,
        folder: String,
        uid_validity: u32,
    },
}

impl Change {
    /// A new folder; its UIDVALIDITY is the second of its making.
    pub fn folder_created(address: &str, folder: &str) -> Self {
        let uid_validity = u32::try_from(clock::now().timestamp()).unwrap_or(1);
        Self::FolderCreated { address: address.to_owned(), folder: folder.to_owned(), uid_validity }
    }

    /// Carries the change out. What names something that is gone does nothing.
    pub(super) fn apply(self, state: &mut BTreeMap<String, Mailbox>, body: &Bytes) {
        match self {
            Self::Opened { address, password } => state.entry(address).or_default().password = password,
            Self::FolderCreated { address, folder, uid_validity } => {
                if let Some(mailbox) = state.get_mut(&address) {
                    mailbox.folders.insert(folder, Folder::new(uid_validity));
                }
            }
            Self::FolderDeleted { address, folder } => {
                if let Some(mailbox) = state.get_mut(&address) {
                    mailbox.folders.remove(&folder);
                }
            }
            Self::Delivered { address, folder, uid, received_at, flags, key } => {
                let message = Message { uid, received_at, flags, raw: body.clone() };
                with(state, &address, &folder, |folder| folder.add(message, key));
            }
            Self::Flagged { address, folder, uid, flags } => {
                with(state, &address, &folder, |folder| folder.set_flags(uid, flags));
            }
            Self::Expunged { address, folder, uids } => {
                with(state, &address, &folder, |folder| folder.messages.retain(|message| !uids.contains(&message.uid)));
            }
            Self::Renumbered { address, folder, uid_validity } => {
                with(state, &address, &folder, |folder| folder.renumber(uid_validity));
            }
        }
    }
}

fn with(state: &mut BTreeMap<String, Mailbox>, address: &str, folder: &str, change: impl FnOnce(&mut Folder)) {
    if let Some(folder) = state.get_mut(address).and_then(|mailbox| mailbox.folders.get_mut(folder)) {
        change(folder);
    }
}
