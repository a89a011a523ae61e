//! The post office behind the counters: what IMAP, SMTP, the LLM endpoint and the control API share.

use std::io;
use std::path::Path;

use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::faults::Faults;
use crate::gmail::Gmail;
use crate::google::Google;
use crate::ledger::{Accepted, Ledger};
use crate::llm::LlmLog;
use crate::mailboxes::{Delivery, Mailboxes};
use crate::oidc::Issuers;

#[derive(Debug)]
pub struct Office {
    pub mailboxes: Mailboxes,
    pub ledger: Ledger,
    pub faults: Faults,
    pub llm: LlmLog,
    pub google: Google,
    pub gmail: Gmail,
    pub oidc: Issuers,
    begun: TaskTracker,
}

impl Office {
    /// Opens the office; with a folder, mailboxes and ledger are those of the last run.
    pub fn open(data: Option<&Path>) -> io::Result<Self> {
        if let Some(folder) = data {
            std::fs::create_dir_all(folder)?;
        }
        let mailboxes = Mailboxes::open(data.map(|folder| folder.join("mailboxes.journal")).as_deref())?;
        let ledger = Ledger::open(data.map(|folder| folder.join("accepted.journal")).as_deref())?;
        let (faults, llm) = (Faults::default(), LlmLog::default());
        let office = Self {
            mailboxes,
            ledger,
            faults,
            llm,
            google: Google::default(),
            gmail: Gmail::default(),
            oidc: Issuers::default(),
            begun: TaskTracker::new(),
        };
        // A crash between the ledger's sync and the local delivery is repaired here; the key makes repeats harmless.
        for (accepted, raw) in office.ledger.all_with_raw() {
            office.deliver_locally(&accepted, &raw);
        }
        Ok(office)
    }

    /// Puts an accepted message into the INBOX of every recipient who has a mailbox here.
    pub fn deliver_locally(&self, accepted: &Accepted, raw: &Bytes) {
        for recipient in &accepted.rcpt_to {
            let delivery = Delivery {
                key: Some(format!("accepted-{}", accepted.seq)),
                received_at: Some(accepted.accepted_at),
                ..Delivery::default()
            };
            let _ = self.mailboxes.deliver(recipient, delivery, raw.clone());
        }
    }

    /// Begins something that is carried out to its end, whether or not its caller waits for it.
    pub(crate) fn begin<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.begun.spawn(work)
    }

    /// Forgets everything, on disk too.
    pub fn reset(&self) {
        self.mailboxes.clear();
        self.ledger.clear();
        self.faults.clear();
        self.llm.clear();
        self.google.clear();
        self.gmail.clear();
        self.oidc.clear();
    }
}
