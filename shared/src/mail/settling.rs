//! What a mail came to, noted once.

use chrono::{DateTime, Utc};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};

use super::{ActiveModel, Column, Entity, MailState, Reading, store::own};
use crate::{
    database::{StoreError, Transaction},
    ids::{MailId, QuoteId, TenantId},
};

/// Whether a step changed a row, or found it settled before.
#[derive(Debug, Clone, PartialEq)]
pub enum Settled<T> {
    /// This call changed it.
    Now(T),
    /// It was in a later state; nothing changed.
    Before(T),
}

/// What a mail came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settlement {
    pub(crate) state: MailState,
    pub(crate) reading: Reading,
    pub(crate) reason: Option<String>,
    /// The quote it is about, and the revision of it that it made or decided.
    pub(crate) quote: Option<(QuoteId, Option<i32>)>,
    pub(crate) duplicate_of: Option<MailId>,
}

impl Settlement {
    /// Settled for this reason, without having been read.
    pub(crate) fn because(state: MailState, reason: &str) -> Self {
        let reading = Reading::default();
        Self { state, reading, reason: Some(reason.to_owned()), quote: None, duplicate_of: None }
    }
}

/// Moves a mail on from `received`; false if it was moved before. Whoever moves it is the one that acts on it.
pub(crate) async fn settle(
    tx: &Transaction,
    now: DateTime<Utc>,
    (tenant, id): (TenantId, MailId),
    settlement: Settlement,
) -> Result<bool, StoreError> {
    let reading = settlement.reading;
    let changes = ActiveModel {
        state: Set(settlement.state),
        intent: Set(reading.intent),
        language: Set(reading.language),
        confidence: Set(reading.confidence),
        reason: Set(settlement.reason),
        quote_id: Set(settlement.quote.map(|(quote, _)| quote)),
        quote_revision: Set(settlement.quote.and_then(|(_, revision)| revision)),
        duplicate_of: Set(settlement.duplicate_of),
        updated_at: Set(now),
        ..ActiveModel::default()
    };
    let waiting = own(tenant, id).add(Column::State.eq(MailState::Received));
    let done = Entity::update_many().set(changes).filter(waiting).exec(tx.connection()).await?;
    Ok(done.rows_affected == 1)
}

/// Notes that a person dealt with a mail that waited for one; false if it was resolved before.
pub(super) async fn resolve(
    tx: &Transaction,
    now: DateTime<Utc>,
    (tenant, id): (TenantId, MailId),
) -> Result<bool, StoreError> {
    let changes = ActiveModel { state: Set(MailState::Resolved), updated_at: Set(now), ..ActiveModel::default() };
    let waiting = own(tenant, id).add(Column::State.is_in([MailState::NeedsReview, MailState::Failed]));
    let done = Entity::update_many().set(changes).filter(waiting).exec(tx.connection()).await?;
    Ok(done.rows_affected == 1)
}
