use chrono::{DateTime, SubsecRound, Utc};
use postrider_queue::JobId;
use sea_orm::{EntityTrait, IntoActiveModel, sea_query::OnConflict};
use uuid::Uuid;

use super::{Column, DeadLetter, DeadLetterState, Entity, group};
use crate::{
    database::{StoreError, Transaction},
    ids::{DeadLetterId, TenantId},
};

/// Writes rows for dead letters that have none; repeats change nothing. All of them have their row when this is committed.
pub(super) async fn archive(
    tx: &Transaction,
    now: DateTime<Utc>,
    letters: &[postrider_queue::DeadLetter],
) -> Result<Vec<(JobId, u64)>, StoreError> {
    let mut archived = Vec::with_capacity(letters.len());
    for letter in letters {
        Entity::insert(row(now, letter)?.into_active_model())
            .on_conflict(OnConflict::column(Column::Id).do_nothing().to_owned())
            .exec_without_returning(tx.connection())
            .await?;
        archived.push((letter.record.id, letter.death_number));
    }
    Ok(archived)
}

fn row(now: DateTime<Utc>, letter: &postrider_queue::DeadLetter) -> Result<DeadLetter, StoreError> {
    let record = &letter.record;
    let job_id = record.id.to_string();
    let invalid = |error: serde_json::Error| StoreError::invalid("lane", error.to_string());
    Ok(DeadLetter {
        id: DeadLetterId::derived(&[&job_id, &letter.death_number.to_string()]),
        // To the engine a tenant is any text. One that is none of ours must not keep the others in Redis.
        tenant_id: record.tenant.as_str().parse().unwrap_or(TenantId(Uuid::nil())),
        job_id,
        death_number: i64::try_from(letter.death_number).unwrap_or(i64::MAX),
        kind: record.kind.to_string(),
        queue: record.queue.to_string(),
        lane: serde_json::to_string(&record.lane).map_err(invalid)?,
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
        history: serde_json::to_string(&record.history).map_err(invalid)?.replace("\\u0000", ""),
    })
}
