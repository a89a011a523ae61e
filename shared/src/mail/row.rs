use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::{
    ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter, PrimaryKeyTrait,
};

use super::{Intent, MailState};
use crate::{
    database::Texts,
    ids::{AccountId, MailId, QuoteId, TenantId, ThreadId},
};

/// A mail that came in.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "inbound_mails")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: MailId,
    pub tenant_id: TenantId,
    pub account_id: AccountId,
    pub thread_id: ThreadId,
    pub dedupe_key: String,
    /// Without angle brackets.
    pub rfc_message_id: Option<String>,
    pub in_reply_to: Option<String>,
    /// See [`NewMail`](super::NewMail).
    pub provider_id: Option<String>,
    /// Oldest first, without angle brackets.
    pub references: Texts,
    pub from_address: String,
    pub from_name: Option<String>,
    pub subject: String,
    /// What the sender's Date header says.
    pub sent_at: Option<DateTime<Utc>>,
    /// When the mail server got it.
    pub received_at: DateTime<Utc>,
    /// Name of the raw mail in the object store.
    pub raw_key: String,
    /// Bytes of the raw mail.
    pub size: i64,
    /// What a person would read in it.
    pub text: String,
    pub folder: String,
    pub uid_validity: i64,
    pub uid: i64,
    pub state: MailState,
    pub intent: Option<Intent>,
    /// ISO 639-1.
    pub language: Option<String>,
    /// 0 to 1.
    pub confidence: Option<f64>,
    /// Why it was ignored, failed, or needs a person.
    pub reason: Option<String>,
    /// The quote that it asked for, changed, decided, or is about.
    pub quote_id: Option<QuoteId>,
    /// That quote's revision which it led to, or which it decided.
    pub quote_revision: Option<i32>,
    /// The mail that it repeats.
    pub duplicate_of: Option<MailId>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
