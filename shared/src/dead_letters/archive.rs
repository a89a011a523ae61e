use chrono::{DateTime, SubsecRound, Utc};
use sea_orm::{EntityTrait, IntoActiveModel, sea_query::OnConflict};
use serde::Serialize;
use uuid::Uuid;

use super::{DeadLetter, DeadLetterState, Entity, group, history, subject};
use crate::{
    database::{StoreError, Transaction},
    ids::{DeadLetterId, TenantId},
};

/// Rows of one statement: a database takes 32,766 values at most.
const TOGETHER: usize = 500;

/// Writes rows for dead letters that have none, and marks what their jobs were to do as failed; repeats change nothing. All of them
/// have their row when this is committed.
pub(super) async fn archive(
    tx: &Transaction,
    now: DateTime<Utc>,
    letters: &[postrider_queue::DeadLetter],
) -> Result<(), StoreError> {
    for letters in letters.chunks(TOGETHER) {
        let both = letters.iter().map(|letter| {
            let row = row(now, letter)?;
            let history = history(row.id, letter)?;
            Ok(((row.id, letter), row, history))
        });
        let mut both: Vec<_> = both.collect::<Result<_, StoreError>>()?;
        // In one order, so that two archives of the same letters do not wait for each other.
        both.sort_unstable_by_key(|(_, row, _)| row.id);
        let (letters, rows, histories): (Vec<_>, Vec<_>, Vec<_>) = both.into_iter().collect();
        // The number of the death is unique as well: a repeat at the same moment may meet either index first.
        Entity::insert_many(rows.into_iter().map(IntoActiveModel::into_active_model))
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(tx.connection())
            .await?;
        history::write(tx.connection(), histories).await?;
        Box::pin(subject::archived(tx, now, &letters)).await?;
    }
    Ok(())
}

fn history(letter_id: DeadLetterId, letter: &postrider_queue::DeadLetter) -> Result<history::Model, StoreError> {
    let attempts =
        serde_json::to_string(&letter.record.history).map_err(|error| invalid(&error))?.replace("\\u0000", "");
    Ok(history::Model { letter_id, attempts })
}

fn invalid(error: &serde_json::Error) -> StoreError {
    StoreError::invalid("job", error.to_string())
}

fn row(now: DateTime<Utc>, letter: &postrider_queue::DeadLetter) -> Result<DeadLetter, StoreError> {
    let record = &letter.record;
    let job_id = record.id.to_string();
    Ok(DeadLetter {
        id: DeadLetterId::derived(&[&job_id, &letter.death_number.to_string()]),
        // To the engine a tenant is any text. One that is none of ours must not keep the others in Redis.
        tenant_id: record.tenant.as_str().parse().unwrap_or(TenantId(Uuid::nil())),
        job_id,
        death_number: i64::try_from(letter.death_number).unwrap_or(i64::MAX),
        kind: record.kind.to_string(),
        queue: record.queue.to_string(),
        lane: serde_json::to_string(&record.lane).map_err(|error| invalid(&error))?,
        payload: record.payload.clone(),
        attempts: i32::try_from(letter.attempts).unwrap_or(i32::MAX),
        max_attempts: i32::try_from(record.max_attempts).unwrap_or(i32::MAX),
        unique_key: record.unique_key.as_ref().map(|key| key.0.replace('\0', "")),
        error: letter.error.replace('\0', ""),
        died_at: letter.died_at.trunc_subsecs(6),
        state: DeadLetterState::Dead,
        redrive_payload: None,
        redriven_job_id: None,
        note: None,
        updated_at: now,
        error_group: group::fingerprint(record.kind.as_str(), &letter.error),
        history: history::ELSEWHERE.to_owned(),
        priority: record.priority.to_string(),
        recipient: record.recipient.map(|key| key.to_string()),
        unique_for: other_than_default(&record.unique_for).map_err(|error| invalid(&error))?,
        links: other_than_default(&record.links).map_err(|error| invalid(&error))?,
    })
}

/// As JSON. Few jobs have it.
fn other_than_default<T: Default + PartialEq + Serialize>(value: &T) -> Result<Option<String>, serde_json::Error> {
    (*value != T::default()).then(|| serde_json::to_string(value)).transpose()
}
