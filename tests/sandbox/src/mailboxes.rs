//! Mailboxes and what lies in them. Every change is a record of the journal, and reading the journal is applying the
//! same changes again, so what a restart finds is what the clients saw.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio::sync::{oneshot, watch};

mod change;
mod folder;
mod mailbox;

pub use change::Change;
pub use folder::{Folder, Message};
pub use mailbox::Mailbox;

use crate::clock;
use crate::journal::Journal;

/// How a message is filed; the default is unread in INBOX, now.
#[derive(Debug, Clone, Default)]
pub struct Delivery {
    /// `None` is INBOX.
    pub folder: Option<String>,
    /// The same key into the same folder again changes nothing, even after the message was deleted.
    pub key: Option<String>,
    pub received_at: Option<DateTime<Utc>>,
    pub flags: Vec<String>,
}

/// Where a message lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filed {
    pub uid: u32,
    pub uid_validity: u32,
    /// False if its key was known already.
    pub created: bool,
}

#[derive(Debug)]
pub struct Mailboxes {
    state: Mutex<BTreeMap<String, Mailbox>>,
    changes: watch::Sender<u64>,
    /// How many connections wait for mail, by address.
    idling: Arc<Mutex<BTreeMap<String, usize>>>,
    journal: Journal,
}

/// A connection that waits for mail, for as long as it is kept.
#[derive(Debug)]
pub struct Idling {
    address: String,
    all: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Drop for Idling {
    fn drop(&mut self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.address) {
            *count -= 1;
        }
    }
}

impl Mailboxes {
    pub fn open(path: Option<&Path>) -> io::Result<Self> {
        let (journal, records) = match path {
            Some(path) => Journal::open(path)?,
            None => (Journal::in_memory(), Vec::new()),
        };
        let mut state = BTreeMap::new();
        for record in records {
            let change: Change = serde_json::from_value(record.head)?;
            change.apply(&mut state, &record.body);
        }
        Ok(Self { state: Mutex::new(state), changes: watch::Sender::new(0), idling: Arc::default(), journal })
    }

    /// Makes a mailbox with the usual folders, or changes the password of an existing one. True if it is new.
    pub fn create(&self, address: &str, password: &str) -> bool {
        let mut state = self.lock();
        let address = address.to_lowercase();
        let new = !state.contains_key(&address);
        self.make(&mut state, Change::Opened { address: address.clone(), password: password.to_owned() }, Bytes::new());
        if new {
            for folder in mailbox::USUAL_FOLDERS {
                self.make(&mut state, Change::folder_created(&address, folder), Bytes::new());
            }
        }
        new
    }

    /// The mailbox's address as it is kept, if login and password are right.
    pub fn login(&self, login: &str, password: &str) -> Option<String> {
        let address = login.trim().to_lowercase();
        (self.lock().get(&address)?.password == password).then_some(address)
    }

    pub fn exists(&self, address: &str) -> bool {
        self.lock().contains_key(&address.to_lowercase())
    }

    pub fn addresses(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// Files a message; `None` if there is no such mailbox or folder.
    pub fn deliver(&self, address: &str, delivery: Delivery, raw: Bytes) -> Option<Filed> {
        let mut state = self.lock();
        let address = address.to_lowercase();
        let mailbox = state.get(&address)?;
        let name = mailbox.folder_name(delivery.folder.as_deref().unwrap_or(mailbox::INBOX))?;
        let folder = &mailbox.folders[&name];
        let uid_validity = folder.uid_validity;
        if let Some(uid) = delivery.key.as_ref().and_then(|key| folder.uid_of_key(key)) {
            return Some(Filed { uid, uid_validity, created: false });
        }
        let uid = folder.uid_next;
        let change = Change::Delivered {
            address,
            folder: name,
            uid,
            received_at: delivery.received_at.unwrap_or_else(clock::now),
            flags: delivery.flags,
            key: delivery.key,
        };
        self.make(&mut state, change, raw);
        Some(Filed { uid, uid_validity, created: true })
    }

    /// Waits until everything so far is on disk; at once without a data folder. False if it cannot be written.
    pub async fn settled(&self) -> bool {
        let (told, done) = oneshot::channel();
        self.journal.sync(move || _ = told.send(()));
        done.await.is_ok()
    }

    /// Changes one mailbox; the function says what is to happen after looking at it.
    pub fn change<T>(&self, address: &str, decide: impl FnOnce(&Mailbox) -> (Vec<Change>, T)) -> Option<T> {
        let mut state = self.lock();
        let (changes, answer) = decide(state.get(address)?);
        for change in changes {
            self.make(&mut state, change, Bytes::new());
        }
        Some(answer)
    }

    /// Looks at one mailbox.
    pub fn read<T>(&self, address: &str, look: impl FnOnce(&Mailbox) -> T) -> Option<T> {
        self.lock().get(&address.to_lowercase()).map(look)
    }

    /// Changes with every change of any mailbox.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Counts a connection that waits for mail.
    pub fn idles(&self, address: &str) -> Idling {
        *self.idling.lock().unwrap_or_else(PoisonError::into_inner).entry(address.to_owned()).or_default() += 1;
        Idling { address: address.to_owned(), all: Arc::clone(&self.idling) }
    }

    /// How many connections wait for mail of this address now.
    pub fn idling(&self, address: &str) -> usize {
        self.idling.lock().unwrap_or_else(PoisonError::into_inner).get(address).copied().unwrap_or_default()
    }

    pub fn clear(&self) {
        self.lock().clear();
        self.journal.clear();
        self.changes.send_modify(|count| *count += 1);
    }

    fn make(&self, state: &mut BTreeMap<String, Mailbox>, change: Change, body: Bytes) {
        change.clone().apply(state, &body);
        self.journal.append(serde_json::to_value(change).unwrap_or_default(), body, || ());
        self.changes.send_modify(|count| *count += 1);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Mailbox>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
