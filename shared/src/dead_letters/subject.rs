//! What a dead job was to do, where that has a state of its own: clients look at a message, not at the job that was to send it.

use chrono::{DateTime, Utc};
use postrider_queue::Job;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{Column, DeadLetter, DeadLetterState, Entity, origin::Origin};
use crate::{
    database::{StoreError, Transaction},
    ids::{DeadLetterId, TenantId},
    jobs::SendEmail,
    messages::{self, OpenAttempt},
};

fn reason(error: &str) -> String {
    format!("its job failed for good: {error}")
}

/// Letters have their rows: what their jobs were to do has failed, unless somebody has redriven or discarded one since.
pub(super) async fn archived(
    tx: &Transaction,
    now: DateTime<Utc>,
    rows: &[(DeadLetterId, &postrider_queue::DeadLetter)],
) -> Result<(), StoreError> {
    let of = |letter: &postrider_queue::DeadLetter| {
        let record = &letter.record;
        let tenant: TenantId = record.tenant.as_str().parse().ok()?;
        Some((
            SendEmail::message_of(record.kind.as_str(), &record.payload)?,
            tenant,
            reason(&letter.error).replace('\0', ""),
        ))
    };
    let mut subjects: Vec<_> = rows.iter().filter_map(|(id, letter)| Some((*id, of(letter)?))).collect();
    if subjects.is_empty() {
        return Ok(());
    }
    // Locked, so that no redrive comes in between.
    let dead: Vec<DeadLetterId> = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::Id.is_in(subjects.iter().map(|(id, _)| *id)))
        .filter(Column::State.eq(DeadLetterState::Dead))
        .order_by_asc(Column::Id)
        .lock_exclusive()
        .into_tuple()
        .all(tx.connection())
        .await?;
    subjects.retain(|(id, _)| dead.contains(id));
    subjects.sort_unstable_by_key(|(_, (message, ..))| *message);
    for (_, (message, tenant, reason)) in subjects {
        messages::bury(tx, now, (tenant, message), OpenAttempt::Over, &reason).await?;
    }
    Ok(())
}

/// A letter has moved: what its job is to do goes with it.
pub(super) async fn follow(tx: &Transaction, now: DateTime<Utc>, letter: &DeadLetter) -> Result<(), StoreError> {
    let payload = letter.redrive_payload.as_ref().unwrap_or(&letter.payload);
    let Some(message) = SendEmail::message_of(&letter.kind, payload) else { return Ok(()) };
    let place = (letter.tenant_id, message);
    match letter.state {
        DeadLetterState::Redriving => messages::revive(tx, now, place).await,
        // The queue did not take the job.
        DeadLetterState::Dead => messages::bury(tx, now, place, OpenAttempt::Spared, &reason(&letter.error)).await,
        DeadLetterState::Discarded => messages::abandon(tx, now, place).await,
        DeadLetterState::Redriven => Ok(()),
    }
}

/// The same for many that are `redriving` now.
pub(super) async fn redriving<'a>(
    tx: &Transaction,
    now: DateTime<Utc>,
    origins: impl Iterator<Item = &'a Origin>,
) -> Result<(), StoreError> {
    let of = |origin: &Origin| {
        let payload = origin.redrive_payload.as_ref().unwrap_or(&origin.payload);
        Some((SendEmail::message_of(&origin.kind, payload)?, origin.tenant_id))
    };
    let mut subjects: Vec<_> = origins.filter_map(of).collect();
    subjects.sort_unstable();
    for (message, tenant) in subjects {
        messages::revive(tx, now, (tenant, message)).await?;
    }
    Ok(())
}

/// The same for many.
pub(super) async fn follow_all(tx: &Transaction, now: DateTime<Utc>, ids: &[DeadLetterId]) -> Result<(), StoreError> {
    let letters = Entity::find()
        .filter(Column::Id.is_in(ids.iter().copied()))
        .filter(Column::Kind.eq(SendEmail::KIND.as_str()))
        .order_by_asc(Column::Id);
    for letter in letters.all(tx.connection()).await? {
        follow(tx, now, &letter).await?;
    }
    Ok(())
}
