//! Redriving and discarding many dead letters, a bounded step at a time.

use chrono::{DateTime, Utc};
use postrider_queue::{Enqueued, NewJob, QueueError};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{LockBehavior, LockType},
};

use super::{
    ActiveModel, Column, DeadLetter, DeadLetterFilter, DeadLetterState, DeadLetters, Entity, Redriven,
    redrive::Redriver,
};
use crate::{
    database::StoreError,
    ids::{DeadLetterId, TenantId},
    outbox::{Enqueue, RelayError},
};

/// Where the next step begins: after the letter that died then, under that id.
pub type Place = (DateTime<Utc>, DeadLetterId);

/// What one step did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BulkStep {
    /// Letters that were redriven or discarded.
    pub settled: u64,
    /// Letters that stay dead, each with a note that says why.
    pub refused: u64,
    /// Where the next step begins; none after the last one.
    pub next: Option<Place>,
}

impl DeadLetters {
    /// Moves up to `limit` dead letters of the filter on to `state`, oldest death first, from `after` on. Two processes that do
    /// this at once move different ones.
    pub(super) async fn take(
        &self,
        tenant: TenantId,
        filter: &DeadLetterFilter,
        after: Option<Place>,
        limit: u64,
        changes: ActiveModel,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let dead = DeadLetterFilter { state: Some(DeadLetterState::Dead), ..filter.clone() };
        let mut select = Entity::find().filter(dead.condition(tenant));
        if let Some((at, id)) = after {
            let same_time = Condition::all().add(Column::DiedAt.eq(at)).add(Column::Id.gt(id));
            // The first condition says nothing new, but lets the index begin there instead of at the oldest letter.
            select = select
                .filter(Column::DiedAt.gte(at))
                .filter(Condition::any().add(Column::DiedAt.gt(at)).add(same_time));
        }
        let tx = self.database().write().await?;
        let taken = select
            .order_by_asc(Column::DiedAt)
            .order_by_asc(Column::Id)
            .limit(limit)
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .all(tx.connection())
            .await?;
        if !taken.is_empty() {
            let changes = ActiveModel { updated_at: Set(self.now()), ..changes };
            let ids = taken.iter().map(|letter| letter.id);
            Entity::update_many()
                .set(changes)
                .filter(Column::Id.is_in(ids))
                .filter(Column::State.eq(DeadLetterState::Dead))
                .exec(tx.connection())
                .await?;
        }
        tx.commit().await?;
        Ok(taken)
    }

    /// `redriving` → `redriven` for all of these. Which job took a letter's place follows from the letter.
    async fn redriven_many(&self, tenant: TenantId, ids: &[DeadLetterId]) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let changes = ActiveModel {
            state: Set(DeadLetterState::Redriven),
            updated_at: Set(self.now()),
            ..ActiveModel::default()
        };
        let tx = self.database().write().await?;
        Entity::update_many()
            .set(changes)
            .filter(Column::TenantId.eq(tenant))
            .filter(Column::Id.is_in(ids.iter().copied()))
            .filter(Column::State.eq(DeadLetterState::Redriving))
            .exec(tx.connection())
            .await?;
        tx.commit().await
    }

    /// Discards up to `limit` dead letters of the filter.
    pub async fn discard_many(
        &self,
        tenant: TenantId,
        filter: &DeadLetterFilter,
        after: Option<Place>,
        limit: u64,
    ) -> Result<BulkStep, StoreError> {
        let changes = ActiveModel { state: Set(DeadLetterState::Discarded), ..ActiveModel::default() };
        let taken = self.take(tenant, filter, after, limit, changes).await?;
        Ok(BulkStep { settled: taken.len() as u64, refused: 0, next: next(&taken, limit) })
    }
}

fn next(taken: &[DeadLetter], limit: u64) -> Option<Place> {
    let last = taken.last().filter(|_| taken.len() as u64 == limit)?;
    Some((last.died_at, last.id))
}

impl<Q: Enqueue> Redriver<Q> {
    /// Redrives up to `limit` dead letters of the filter, each once, whatever crashes: the same three steps as for a single
    /// one, for all of them together. A letter whose process ended in between is `redriving` and finished by the sweep.
    pub async fn redrive_many(
        &self,
        tenant: TenantId,
        filter: &DeadLetterFilter,
        payload: Option<&[u8]>,
        after: Option<Place>,
        limit: u64,
    ) -> Result<BulkStep, RelayError> {
        let changes = ActiveModel {
            state: Set(DeadLetterState::Redriving),
            redrive_payload: Set(payload.map(<[u8]>::to_vec)),
            note: Set(None),
            ..ActiveModel::default()
        };
        let letters = self.letters().take(tenant, filter, after, limit, changes).await?;
        let mut step = BulkStep { next: next(&letters, limit), ..BulkStep::default() };
        let (mut jobs, mut alone): (Vec<(DeadLetter, NewJob)>, Vec<DeadLetter>) = (Vec::new(), Vec::new());
        for letter in letters {
            let letter = DeadLetter { redrive_payload: payload.map(<[u8]>::to_vec), ..letter };
            match letter.redrive_job() {
                Ok(job) => jobs.push((letter, job)),
                Err(_) => alone.push(letter),
            }
        }
        match self.queue().enqueue_many(jobs.iter().map(|(_, job)| job.clone()).collect()).await {
            Ok(answers) => {
                let mut redriven = Vec::with_capacity(jobs.len());
                for ((letter, _), answer) in jobs.into_iter().zip(answers) {
                    match answer {
                        Enqueued::Created(_) | Enqueued::Exists(_) => redriven.push(letter.id),
                        Enqueued::UniqueTaken(_)
                        | Enqueued::IdempotencyConflict(_)
                        | Enqueued::Replaced(_)
                        | Enqueued::BatchClosed(_) => alone.push(letter),
                    }
                }
                self.letters().redriven_many(tenant, &redriven).await?;
                step.settled += redriven.len() as u64;
            }
            // The queue refuses one of them for ever and said so before it took any: each for itself.
            Err(QueueError::Invalid { .. }) => alone.extend(jobs.into_iter().map(|(letter, _)| letter)),
            Err(error) => return Err(error.into()),
        }
        for letter in alone {
            match self.enqueue(letter).await? {
                Redriven::Enqueued { .. } => step.settled += 1,
                Redriven::UniqueTaken { .. } | Redriven::Refused(_) | Redriven::Discarded(_) => step.refused += 1,
            }
        }
        Ok(step)
    }
}
