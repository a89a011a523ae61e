//! One folder of a mailbox.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::{DateTime, Utc};

/// A message as it lies in a folder; the raw bytes are shared, so a clone is cheap.
#[derive(Debug, Clone)]
pub struct Message {
    pub uid: u32,
    pub received_at: DateTime<Utc>,
    pub flags: Vec<String>,
    pub raw: Bytes,
}

impl Message {
    /// What Gmail calls a mail, whatever its number.
    pub fn gmail_id(&self) -> u64 {
        let mut hash = DefaultHasher::new();
        (self.received_at, &self.raw).hash(&mut hash);
        hash.finish() >> 1
    }

    pub fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|set| set.eq_ignore_ascii_case(flag))
    }
}

/// Messages in ascending order of uid.
#[derive(Debug)]
pub struct Folder {
    pub uid_validity: u32,
    pub uid_next: u32,
    pub messages: Vec<Message>,
    keys: BTreeMap<String, u32>,
}

impl Folder {
    pub(super) fn new(uid_validity: u32) -> Self {
        Self { uid_validity, uid_next: 1, messages: Vec::new(), keys: BTreeMap::new() }
    }

    pub fn get(&self, uid: u32) -> Option<&Message> {
        self.messages.binary_search_by_key(&uid, |message| message.uid).ok().map(|at| &self.messages[at])
    }

    pub fn uids(&self) -> Vec<u32> {
        self.messages.iter().map(|message| message.uid).collect()
    }

    pub(super) fn uid_of_key(&self, key: &str) -> Option<u32> {
        self.keys.get(key).copied()
    }

    /// The key under which a message was delivered.
    pub fn key_of(&self, uid: u32) -> Option<&str> {
        self.keys.iter().find(|(_, filed)| **filed == uid).map(|(key, _)| key.as_str())
    }

    pub(super) fn add(&mut self, message: Message, key: Option<String>) {
        self.uid_next = message.uid + 1;
        if let Some(key) = key {
            self.keys.insert(key, message.uid);
        }
        self.messages.push(message);
    }

    pub(super) fn set_flags(&mut self, uid: u32, flags: Vec<String>) {
        if let Ok(at) = self.messages.binary_search_by_key(&uid, |message| message.uid) {
            self.messages[at].flags = flags;
        }
    }

    pub(super) fn renumber(&mut self, uid_validity: u32) {
        let mut moved = BTreeMap::new();
        for (uid, message) in (1..).zip(&mut self.messages) {
            moved.insert(message.uid, uid);
            message.uid = uid;
            self.uid_next = uid + 1;
        }
        // A key whose message is gone keeps no uid, but must stay known: uid 0 is nobody's.
        self.keys.values_mut().for_each(|uid| *uid = moved.get(uid).copied().unwrap_or(0));
        self.uid_validity = uid_validity;
    }
}
