use chrono::{DateTime, Utc};
use sea_orm::{EntityTrait, IntoActiveModel, sea_query::OnConflict};

use super::{Column, Entity, Message, MessageState};
use crate::{
    accounts::{self, Account},
    database::{StoreError, Texts, Transaction},
    ids::{AccountId, MessageId, QuoteId, TenantId, ThreadId},
    mail::thread,
};

/// A message to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedMessage {
    /// Derived from what it is, so that it cannot be planned twice.
    pub id: MessageId,
    pub account_id: AccountId,
    pub quote_id: Option<QuoteId>,
    pub thread_id: Option<ThreadId>,
    pub to_address: String,
    pub subject: String,
    pub rfc_message_id: String,
    pub in_reply_to: Option<String>,
    pub references: Vec<String>,
    pub body_text: String,
    pub attachment_key: Option<String>,
    pub attachment_name: Option<String>,
}

impl PlannedMessage {
    /// One without words so far. It answers nothing, belongs to no quote, carries nothing, and its Message-ID is of the account's domain.
    pub fn alone(id: MessageId, account: &Account, to_address: &str) -> Self {
        Self {
            id,
            account_id: account.id,
            quote_id: None,
            thread_id: None,
            to_address: to_address.to_owned(),
            subject: String::new(),
            rfc_message_id: format!("{id}@{}", account.domain()),
            in_reply_to: None,
            references: Vec::new(),
            body_text: String::new(),
            attachment_key: None,
            attachment_name: None,
        }
    }
}

/// Plans a message unless it was planned before. Answers to it will find its thread. One that is `automatic` must be
/// [allowed](super::circles::refused) first.
pub(crate) async fn plan(
    tx: &Transaction,
    now: DateTime<Utc>,
    tenant: TenantId,
    planned: PlannedMessage,
    automatic: bool,
) -> Result<(), StoreError> {
    accounts::find(tx.connection(), tenant, planned.account_id).await?;
    if let Some(thread) = planned.thread_id {
        let own = (tenant, planned.account_id, thread);
        thread::join(tx, own, std::slice::from_ref(&planned.rfc_message_id)).await?;
    }
    let message = Message {
        id: planned.id,
        tenant_id: tenant,
        account_id: planned.account_id,
        quote_id: planned.quote_id,
        thread_id: planned.thread_id,
        correspondent: Some(accounts::correspondent_of(&planned.to_address)),
        automatic,
        to_address: planned.to_address,
        subject: planned.subject,
        rfc_message_id: planned.rfc_message_id,
        in_reply_to: planned.in_reply_to,
        references: Texts(planned.references),
        body_text: planned.body_text,
        attachment_key: planned.attachment_key,
        attachment_name: planned.attachment_name,
        state: MessageState::Planned,
        attempt: 0,
        scope: None,
        window: None,
        attempt_started_at: None,
        data_started_at: None,
        accepted_at: None,
        provider_id: None,
        draft_id: None,
        provider_thread_id: None,
        sent_message_id: None,
        reason: None,
        created_at: now,
        updated_at: now,
    };
    Entity::insert(message.into_active_model())
        .on_conflict(OnConflict::column(Column::Id).do_nothing().to_owned())
        .exec_without_returning(tx.connection())
        .await?;
    Ok(())
}
