//! Drafts, messages and threads of each mailbox.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::letter::Letter;
use super::quota::Quota;
use crate::clock;
use crate::ledger::Headings;
use crate::mailboxes::Mailboxes;

const INBOX: &str = "INBOX";
pub(super) const DRAFT: &str = "DRAFT";
pub(super) const SENT: &str = "SENT";

/// One mailbox.
#[derive(Debug, Default)]
pub(super) struct Postbox {
    /// By draft id, oldest first.
    pub(super) drafts: BTreeMap<String, Letter>,
    /// By message id, without drafts.
    pub(super) letters: BTreeMap<String, Letter>,
    /// Threads by their ids: ids of messages and drafts.
    pub(super) threads: HashMap<String, Vec<String>>,
    /// Message ids by RFC Message-ID.
    pub(super) by_rfc: HashMap<String, String>,
    /// How far INBOX is taken in.
    seen_uid: u32,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) boxes: HashMap<String, Postbox>,
    pub(super) quota: Quota,
    pub(super) keeps_message_ids: bool,
    last_id: u64,
}

#[derive(Debug, Default)]
pub struct Gmail(Mutex<State>);

impl Gmail {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn clear(&self) {
        *self.lock() = State::default();
    }
}

impl State {
    /// The mailbox, with all that has come in meanwhile.
    pub(super) fn postbox(&mut self, mailboxes: &Mailboxes, address: &str) -> &mut Postbox {
        let seen = self.boxes.entry(address.to_owned()).or_default().seen_uid;
        let new = mailboxes.read(address, |mailbox| {
            let messages = mailbox.folder(INBOX).map(|folder| folder.messages.as_slice()).unwrap_or_default();
            messages.iter().filter(|message| message.uid > seen).cloned().collect::<Vec<_>>()
        });
        for message in new.unwrap_or_default() {
            let id = self.next_id();
            let postbox = self.boxes.entry(address.to_owned()).or_default();
            postbox.seen_uid = message.uid;
            let thread = postbox.thread_of(&Headings::of(&message.raw), None).unwrap_or_else(|| id.clone());
            postbox.add(Letter { id, thread, label: INBOX, at: message.received_at, raw: message.raw });
        }
        self.boxes.entry(address.to_owned()).or_default()
    }

    pub(super) fn next_id(&mut self) -> String {
        self.last_id += 1;
        format!("{:016x}", 0x18c0_0000_0000_0000 + self.last_id)
    }

    /// A new draft; `None` if there is no such thread.
    pub(super) fn draft(
        &mut self,
        mailboxes: &Mailboxes,
        address: &str,
        raw: Bytes,
        thread: Option<&str>,
    ) -> Option<(String, Letter)> {
        let (id, number) = (self.next_id(), self.last_id);
        let postbox = self.postbox(mailboxes, address);
        if thread.is_some_and(|thread| !postbox.threads.contains_key(thread)) {
            return None;
        }
        let thread = postbox.thread_of(&Headings::of(&raw), thread).filter(|_| thread.is_some());
        let letter = Letter { thread: thread.unwrap_or_else(|| id.clone()), id, label: DRAFT, at: clock::now(), raw };
        let draft_id = format!("r{number:019}");
        postbox.drafts.insert(draft_id.clone(), letter.clone());
        postbox.threads.entry(letter.thread.clone()).or_default().push(letter.id.clone());
        Some((draft_id, letter))
    }
}

impl Postbox {
    /// The thread that its references and its subject lead to, if it is the wanted one.
    fn thread_of(&self, headings: &Headings, wanted: Option<&str>) -> Option<String> {
        let subject = plain(headings.subject.as_deref());
        let related = headings.in_reply_to.iter().chain(&headings.references);
        related.filter_map(|id| self.by_rfc.get(id)).filter_map(|id| self.letters.get(id)).find_map(|letter| {
            let agrees = plain(letter.headings().subject.as_deref()) == subject
                && wanted.is_none_or(|wanted| wanted == letter.thread);
            agrees.then(|| letter.thread.clone())
        })
    }

    pub(super) fn add(&mut self, letter: Letter) {
        if let Some(rfc) = letter.headings().message_id {
            self.by_rfc.insert(rfc, letter.id.clone());
        }
        self.threads.entry(letter.thread.clone()).or_default().push(letter.id.clone());
        self.letters.insert(letter.id.clone(), letter);
    }

    pub(super) fn remove_draft(&mut self, draft_id: &str) -> Option<Letter> {
        let letter = self.drafts.remove(draft_id)?;
        if let Some(thread) = self.threads.get_mut(&letter.thread) {
            thread.retain(|id| *id != letter.id);
        }
        Some(letter)
    }

    pub(super) fn find(&self, id: &str) -> Option<&Letter> {
        self.letters.get(id).or_else(|| self.drafts.values().find(|letter| letter.id == id))
    }
}

/// A subject without the marks of replies.
fn plain(subject: Option<&str>) -> String {
    let mut subject = subject.unwrap_or_default().trim();
    while let Some((mark, rest)) = subject.split_once(':') {
        if !["re", "aw", "fwd", "fw", "wg"].contains(&mark.trim().to_lowercase().as_str()) {
            break;
        }
        subject = rest.trim();
    }
    subject.to_lowercase()
}
