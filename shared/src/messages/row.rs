use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::{
    ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter, PrimaryKeyTrait,
};

use super::{MessageState, settle::JOB_CANCELLED};
use crate::{
    database::Texts,
    ids::{AccountId, MessageId, QuoteId, TenantId, ThreadId},
};

/// An outgoing message.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "messages")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: MessageId,
    pub tenant_id: TenantId,
    pub account_id: AccountId,
    pub quote_id: Option<QuoteId>,
    pub thread_id: Option<ThreadId>,
    pub to_address: String,
    /// Who that is, for counting; none of messages from before it was noted.
    pub correspondent: Option<String>,
    /// No person saw it before it went out.
    pub automatic: bool,
    pub subject: String,
    /// Ours, the same in every attempt; without angle brackets.
    pub rfc_message_id: String,
    pub in_reply_to: Option<String>,
    /// Oldest first, without angle brackets.
    pub references: Texts,
    pub body_text: String,
    /// Name of the attachment in the object store.
    pub attachment_key: Option<String>,
    /// What the recipient sees it called.
    pub attachment_name: Option<String>,
    pub state: MessageState,
    pub attempt: i32,
    /// The scope whose cap the current attempt is charged to.
    pub scope: Option<String>,
    /// The start of the cap's window that the current attempt is charged to.
    pub window: Option<DateTime<Utc>>,
    /// Set while an attempt is open.
    pub attempt_started_at: Option<DateTime<Utc>>,
    /// From here on the server may have taken it.
    pub data_started_at: Option<DateTime<Utc>>,
    pub accepted_at: Option<DateTime<Utc>>,
    /// What the server called it.
    pub provider_id: Option<String>,
    /// The provider's draft of it: the only one of this message that is ever sent. Empty where no drafts are used.
    pub draft_id: Option<String>,
    /// What the provider calls the thread it lies in, in our mailbox.
    pub provider_thread_id: Option<String>,
    /// The Message-ID under which a draft went out, which may be the provider's instead of ours; without angle brackets.
    pub sent_message_id: Option<String>,
    pub reason: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// The current attempt; counts from 1, 0 before the first.
    pub fn attempt(&self) -> u32 {
        u32::try_from(self.attempt).unwrap_or_default()
    }

    /// Whether it failed only because its job did: nothing was handed over, and a redrive may send it.
    pub fn was_buried(&self) -> bool {
        self.state == MessageState::Failed && self.attempt_started_at.is_none()
    }

    /// Whether it is in doubt about a draft: whoever can look whether that still stands may send it.
    pub fn has_draft_in_doubt(&self) -> bool {
        let is_doubtful = self.state == MessageState::Unknown && self.data_started_at.is_some();
        is_doubtful && self.draft_id.is_some() && !self.was_withdrawn()
    }

    /// Whether somebody withdrew it when its draft may have been sent: nobody sends that any more, and whoever looks after drafts
    /// finds out what it became.
    pub fn was_withdrawn(&self) -> bool {
        self.state == MessageState::Unknown && self.attempt_started_at.is_none()
    }

    /// Whether somebody withdrew it while its data was under way: if the server does not take that, it is not tried again.
    pub(super) fn is_wanted_no_more(&self) -> bool {
        self.state == MessageState::Sending && self.reason.as_deref() == Some(JOB_CANCELLED)
    }

    /// Whether no run of its job will change it, but for one that [looks after its draft](Self::has_draft_in_doubt).
    pub fn is_settled(&self) -> bool {
        self.state.is_settled() && !self.was_buried()
    }
}
