use std::cmp::Reverse;

use chrono::{DateTime, Utc};
use postrider_queue::JobId;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect, sea_query::Expr,
};

use super::{
    ActiveModel, Column, DeadLetter, DeadLetterFilter, DeadLetterState, Entity, Place, archive, history, subject,
};
use crate::{
    clock::Clock,
    database::{AllTenants, Cursor, Database, MAX_PAGE, Page, StoreError, page::newest_first},
    ids::{DeadLetterId, TenantId},
};

/// Whether this call may enqueue the job again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BegunRedrive {
    /// It may: the row is `redriving`.
    Begun(DeadLetter),
    /// A redrive began before and did not end yet; to enqueue the same job again does no harm.
    Underway(DeadLetter),
    /// The row is settled: redriven or discarded.
    Settled(DeadLetter),
}

/// The table of dead letters.
#[derive(Clone)]
pub struct DeadLetters {
    database: Database,
    clock: Clock,
}

impl DeadLetters {
    pub fn new(database: Database, clock: Clock) -> Self {
        Self { database, clock }
    }

    pub(super) fn database(&self) -> &Database {
        &self.database
    }

    pub(super) fn reader(&self) -> &DatabaseConnection {
        self.database.reader()
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Takes over dead letters from the queue. The answer is what to tell the queue: these have their row now. Repeats change nothing.
    pub async fn archive(
        &self,
        _: AllTenants,
        letters: &[postrider_queue::DeadLetter],
    ) -> Result<Vec<(JobId, u64)>, StoreError> {
        let tx = self.database.write().await?;
        archive::archive(&tx, self.clock.now(), letters).await?;
        tx.commit().await?;
        Ok(letters.iter().map(|letter| (letter.record.id, letter.death_number)).collect())
    }

    pub async fn get(&self, tenant: TenantId, id: DeadLetterId) -> Result<DeadLetter, StoreError> {
        find(self.database.reader(), tenant, id).await
    }

    /// The letter of a job that died; of its latest death, if there were several.
    pub async fn of_job(&self, tenant: TenantId, job: &str) -> Result<Option<DeadLetter>, StoreError> {
        let own = Entity::find().filter(Column::JobId.eq(job)).filter(Column::TenantId.eq(tenant));
        Ok(own.order_by_desc(Column::DeathNumber).one(self.database.reader()).await?)
    }

    /// A tenant's dead letters, the latest death first.
    pub async fn list(
        &self,
        tenant: TenantId,
        filter: &DeadLetterFilter,
        cursor: Option<Cursor>,
        limit: u64,
    ) -> Result<Page<DeadLetter>, StoreError> {
        let key = |row: &DeadLetter| Cursor::after(row.died_at, row.id.0);
        let order = (Column::DiedAt, Column::Id);
        // The index goes by state: letters of all states are put together from those of each.
        let states = filter.state.map_or_else(|| DeadLetterState::ALL.to_vec(), |state| vec![state]);
        let (mut items, mut more) = (Vec::new(), false);
        for state in states {
            let filter = DeadLetterFilter { state: Some(state), ..filter.clone() };
            let select = Entity::find().filter(filter.condition(tenant));
            let page = newest_first(self.database.reader(), select, order, cursor, limit, key).await?;
            more |= page.next.is_some();
            items.extend(page.items);
        }
        items.sort_by_key(|row| Reverse((row.died_at, row.id)));
        let most = usize::try_from(limit.clamp(1, MAX_PAGE)).unwrap_or(usize::MAX);
        more |= items.len() > most;
        items.truncate(most);
        let next = items.last().filter(|_| more).map(key);
        history::fill(self.database.reader(), &mut items).await?;
        Ok(Page { items, next })
    }

    /// `dead` → `redriving`, with another payload if one is given.
    pub async fn begin_redrive(
        &self,
        tenant: TenantId,
        id: DeadLetterId,
        payload: Option<Vec<u8>>,
    ) -> Result<BegunRedrive, StoreError> {
        let changes = ActiveModel {
            state: Set(DeadLetterState::Redriving),
            redrive_payload: Set(payload),
            note: Set(None),
            ..ActiveModel::default()
        };
        let (begun, letter) = self.step(tenant, id, DeadLetterState::Dead, changes).await?;
        Ok(match letter.state {
            DeadLetterState::Redriving if begun => BegunRedrive::Begun(letter),
            DeadLetterState::Redriving | DeadLetterState::Dead => BegunRedrive::Underway(letter),
            DeadLetterState::Redriven | DeadLetterState::Discarded => BegunRedrive::Settled(letter),
        })
    }

    /// `redriving` → `redriven`: the job is in the queue. Also from `dead`, if another call was refused meanwhile.
    pub async fn redriven(&self, tenant: TenantId, id: DeadLetterId, job: JobId) -> Result<DeadLetter, StoreError> {
        let changes = ActiveModel {
            state: Set(DeadLetterState::Redriven),
            redriven_job_id: Set(Some(job.to_string())),
            note: Set(None),
            ..ActiveModel::default()
        };
        let (moved, letter) = self.step(tenant, id, DeadLetterState::Redriving, changes.clone()).await?;
        if moved || letter.state != DeadLetterState::Dead {
            return Ok(letter);
        }
        Ok(self.step(tenant, id, DeadLetterState::Dead, changes).await?.1)
    }

    /// `redriving` → `dead`: the queue did not take the job, for this reason.
    pub async fn redrive_refused(
        &self,
        tenant: TenantId,
        id: DeadLetterId,
        reason: &str,
    ) -> Result<DeadLetter, StoreError> {
        Ok(self.step(tenant, id, DeadLetterState::Redriving, self.refusal(reason.to_owned())).await?.1)
    }

    /// What a refusal changes.
    pub(super) fn refusal(&self, reason: String) -> ActiveModel {
        ActiveModel {
            state: Set(DeadLetterState::Dead),
            redrive_payload: Set(None),
            note: Set(Some(reason)),
            updated_at: Set(self.now()),
            ..ActiveModel::default()
        }
    }

    /// `dead` → `discarded`. [`StoreError::Conflict`] if it was redriven.
    pub async fn discard(&self, tenant: TenantId, id: DeadLetterId) -> Result<DeadLetter, StoreError> {
        let changes = ActiveModel { state: Set(DeadLetterState::Discarded), ..ActiveModel::default() };
        let (_, letter) = self.step(tenant, id, DeadLetterState::Dead, changes).await?;
        if letter.state == DeadLetterState::Discarded {
            return Ok(letter);
        }
        Err(StoreError::conflict("dead letter", format!("is {}, so it cannot be discarded", letter.state)))
    }

    /// Redrives that began before `before` and did not end: a process ended in between. In the order in which they began, from after
    /// the one that began then under that id.
    pub async fn redriving(
        &self,
        _: AllTenants,
        before: DateTime<Utc>,
        after: Option<Place>,
        limit: u64,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let mut select = Entity::find()
            .filter(changed())
            .filter(Column::State.eq(DeadLetterState::Redriving))
            .filter(Column::UpdatedAt.lt(before));
        if let Some((at, id)) = after {
            let same = Condition::all().add(Column::UpdatedAt.eq(at)).add(Column::Id.gt(id));
            select = select.filter(Condition::any().add(Column::UpdatedAt.gt(at)).add(same));
        }
        let order = select.order_by_asc(Column::UpdatedAt).order_by_asc(Column::Id);
        Ok(order.limit(limit).all(self.database.reader()).await?)
    }

    /// Removes settled rows last changed before `before`, at most `limit`; returns how many.
    pub async fn prune(&self, _: AllTenants, before: DateTime<Utc>, limit: u64) -> Result<u64, StoreError> {
        let old = Entity::find()
            .filter(changed())
            .filter(Column::State.is_in([DeadLetterState::Redriven, DeadLetterState::Discarded]))
            .filter(Column::UpdatedAt.lt(before))
            .limit(limit)
            .all(self.database.reader())
            .await?;
        if old.is_empty() {
            return Ok(0);
        }
        let tx = self.database.write().await?;
        let ids: Vec<_> = old.into_iter().map(|letter| letter.id).collect();
        history::remove(tx.connection(), &ids).await?;
        let done = Entity::delete_many().filter(Column::Id.is_in(ids)).exec(tx.connection()).await?;
        tx.commit().await?;
        Ok(done.rows_affected)
    }

    /// The compare-and-set: whether this call changed the row, and the row as it is now.
    async fn step(
        &self,
        tenant: TenantId,
        id: DeadLetterId,
        from: DeadLetterState,
        changes: ActiveModel,
    ) -> Result<(bool, DeadLetter), StoreError> {
        let changes = ActiveModel { updated_at: Set(self.clock.now()), ..changes };
        let tx = self.database.write().await?;
        tx.watch(Entity::find().filter(own(tenant, id))).await?;
        let current = own(tenant, id).add(Column::State.eq(from));
        let done = Entity::update_many().set(changes).filter(current).exec(tx.connection()).await?;
        let letter = find(tx.connection(), tenant, id).await?;
        if done.rows_affected == 1 {
            Box::pin(subject::follow(&tx, self.clock.now(), &letter)).await?;
        }
        tx.commit().await?;
        Ok((done.rows_affected == 1, letter))
    }
}

/// Says what the state says, in the words of the index, so that it serves.
fn changed() -> Expr {
    Expr::cust("state <> 'dead'")
}

fn own(tenant: TenantId, id: DeadLetterId) -> Condition {
    Condition::all().add(Column::Id.eq(id)).add(Column::TenantId.eq(tenant))
}

async fn find(connection: &impl ConnectionTrait, tenant: TenantId, id: DeadLetterId) -> Result<DeadLetter, StoreError> {
    let found = Entity::find().filter(own(tenant, id)).one(connection).await?;
    let mut letter = found.ok_or(StoreError::NotFound { what: "dead letter" })?;
    history::fill(connection, std::slice::from_mut(&mut letter)).await?;
    Ok(letter)
}
