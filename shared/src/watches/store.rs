use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, ExprTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait,
    sea_query::{Expr, OnConflict},
};

use super::{
    Watcher, Way, connection, lease,
    setback::{self, delay},
    watcher,
};
use crate::{
    accounts::{self, Account, AccountState},
    clock::Clock,
    database::{AllTenants, Database, StoreError},
    ids::{AccountId, TenantId, WatcherId},
    tenants::{self, TenantState},
};

/// Longest text of an error that is kept.
const MOST_ERROR: usize = 500;

/// A mailbox that a watcher holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub account_id: AccountId,
    pub tenant_id: TenantId,
    /// When its settings changed last; `None` if it is not to be watched any more.
    pub settled_at: Option<DateTime<Utc>>,
}

/// The tables of watchers, leases and setbacks.
#[derive(Clone)]
pub struct Watches {
    pub(super) database: Database,
    pub(super) clock: Clock,
}

impl Watches {
    pub fn new(database: Database, clock: Clock) -> Self {
        Self { database, clock }
    }

    /// A watcher that can hold so many mailboxes begins.
    pub async fn join(&self, _: AllTenants, id: WatcherId, capacity: u32) -> Result<(), StoreError> {
        let capacity = i32::try_from(capacity).unwrap_or(i32::MAX);
        let watcher = Watcher { id, capacity, beat: 0, joined_at: self.clock.now() };
        let tx = self.database.write().await?;
        watcher::Entity::insert(watcher.into_active_model()).exec_without_returning(tx.connection()).await?;
        tx.commit().await
    }

    /// It lives. False if the others took it for dead: then it holds nothing any more.
    pub async fn beat(&self, _: AllTenants, id: WatcherId) -> Result<bool, StoreError> {
        let tx = self.database.write().await?;
        let raised = Expr::col(watcher::Column::Beat).add(1);
        let done = watcher::Entity::update_many()
            .col_expr(watcher::Column::Beat, raised)
            .filter(watcher::Column::Id.eq(id))
            .exec(tx.connection())
            .await?;
        tx.commit().await?;
        Ok(done.rows_affected == 1)
    }

    /// All watchers.
    pub async fn watchers(&self, _: AllTenants) -> Result<Vec<Watcher>, StoreError> {
        Ok(watcher::Entity::find().order_by_asc(watcher::Column::Id).all(self.database.reader()).await?)
    }

    /// Removes a watcher that did not beat since it was seen like this, and with it its leases. False if it did.
    pub async fn bury(&self, _: AllTenants, seen: &Watcher) -> Result<bool, StoreError> {
        let same = Condition::all().add(watcher::Column::Id.eq(seen.id)).add(watcher::Column::Beat.eq(seen.beat));
        let tx = self.database.write().await?;
        let done = watcher::Entity::delete_many().filter(same).exec(tx.connection()).await?;
        tx.commit().await?;
        Ok(done.rows_affected == 1)
    }

    /// A watcher ends and gives back what it holds.
    pub async fn leave(&self, _: AllTenants, id: WatcherId) -> Result<(), StoreError> {
        let tx = self.database.write().await?;
        watcher::Entity::delete_by_id(id).exec(tx.connection()).await?;
        tx.commit().await
    }

    /// How many mailboxes may be watched now, held or not.
    pub async fn watchable(&self, _: AllTenants) -> Result<u64, StoreError> {
        Ok(accounts::Entity::find().filter(self.worth_watching()).count(self.database.reader()).await?)
    }

    /// Takes up to `limit` mailboxes that nobody holds. Fails if the watcher was taken for dead.
    pub async fn claim(&self, _: AllTenants, id: WatcherId, limit: u64) -> Result<Vec<Account>, StoreError> {
        let held = lease::Entity::find().select_only().column(lease::Column::AccountId);
        let free = self.worth_watching().add(accounts::Column::Id.not_in_subquery(held.into_query()));
        let free = accounts::Entity::find().filter(free).order_by_asc(accounts::Column::Id).limit(limit);
        let free = free.all(self.database.reader()).await?;
        if free.is_empty() {
            return Ok(free);
        }
        let tx = self.database.write().await?;
        let leases = free.iter().map(|account| {
            let lease = lease::Model { account_id: account.id, tenant_id: account.tenant_id, watcher_id: id };
            lease.into_active_model()
        });
        // Another watcher may have taken some of them since; the row that is there decides.
        lease::Entity::insert_many(leases)
            .on_conflict(OnConflict::column(lease::Column::AccountId).do_nothing().to_owned())
            .exec_without_returning(tx.connection())
            .await?;
        let ours = Condition::all()
            .add(lease::Column::WatcherId.eq(id))
            .add(lease::Column::AccountId.is_in(free.iter().map(|account| account.id)));
        let ours = lease::Entity::find().filter(ours).all(tx.connection()).await?;
        tx.commit().await?;
        Ok(free.into_iter().filter(|account| ours.iter().any(|lease| lease.account_id == account.id)).collect())
    }

    /// What a watcher holds.
    pub async fn held(&self, _: AllTenants, id: WatcherId) -> Result<Vec<Held>, StoreError> {
        let leases = lease::Entity::find().filter(lease::Column::WatcherId.eq(id)).all(self.database.reader()).await?;
        let own = lease::Entity::find().filter(lease::Column::WatcherId.eq(id));
        let own = own.select_only().column(lease::Column::AccountId).into_query();
        let active: Vec<(AccountId, DateTime<Utc>)> = accounts::Entity::find()
            .filter(accounts::Column::Id.in_subquery(own))
            .filter(accounts::Column::State.eq(AccountState::Active))
            .select_only()
            .column(accounts::Column::Id)
            .column(accounts::Column::UpdatedAt)
            .into_tuple()
            .all(self.database.reader())
            .await?;
        let active: std::collections::HashMap<AccountId, DateTime<Utc>> = active.into_iter().collect();
        let held = leases.into_iter().map(|lease| Held {
            account_id: lease.account_id,
            tenant_id: lease.tenant_id,
            settled_at: active.get(&lease.account_id).copied(),
        });
        Ok(held.collect())
    }

    /// Gives a mailbox back, if the watcher holds it, with the connection that it counted.
    pub async fn release(&self, _: AllTenants, id: WatcherId, account: AccountId) -> Result<(), StoreError> {
        let own = Condition::all().add(lease::Column::WatcherId.eq(id)).add(lease::Column::AccountId.eq(account));
        let tx = self.database.write().await?;
        lease::Entity::delete_many().filter(own).exec(tx.connection()).await?;
        connection::close_watched(tx.connection(), id, account).await?;
        tx.commit().await
    }

    /// Until when the mailbox is left alone in this way, if it is.
    pub async fn left_alone(&self, account: &Account, way: Way) -> Result<Option<(DateTime<Utc>, String)>, StoreError> {
        let holds = setback::hold(self.clock.now());
        let found = setback::Entity::find().filter(place(account, way)).filter(holds);
        let found = found.one(self.database.reader()).await?;
        Ok(found.map(|setback| (setback.retry_at, setback.error)))
    }

    /// The mailbox's server gave trouble: it is left alone in this way for a time that grows with each failure in a row.
    pub async fn failed(&self, account: &Account, way: Way, error: &str) -> Result<DateTime<Utc>, StoreError> {
        let tx = self.database.write().await?;
        let before = setback::Entity::find().filter(place(account, way)).lock_exclusive().one(tx.connection()).await?;
        let failures = before.map_or(0, |setback| setback.failures).saturating_add(1);
        let pause = TimeDelta::from_std(delay(failures)).unwrap_or(TimeDelta::MAX);
        let retry_at = self.clock.now() + pause;
        self.set_back(tx, account, way, failures, retry_at, error).await
    }

    /// Nothing is wrong with the mailbox, but this way is not open; it is tried again then.
    pub async fn not_offered(
        &self,
        account: &Account,
        way: Way,
        retry_after: TimeDelta,
        why: &str,
    ) -> Result<DateTime<Utc>, StoreError> {
        let tx = self.database.write().await?;
        self.set_back(tx, account, way, 0, self.clock.now() + retry_after, why).await
    }

    async fn set_back(
        &self,
        tx: crate::database::Transaction,
        account: &Account,
        way: Way,
        failures: i32,
        retry_at: DateTime<Utc>,
        error: &str,
    ) -> Result<DateTime<Utc>, StoreError> {
        let error: String = error.chars().filter(|c| *c != '\0').take(MOST_ERROR).collect();
        let (account_id, tenant_id, retry_at) = (account.id, account.tenant_id, retry_at.trunc_subsecs(6));
        let way = way.as_str().to_owned();
        let row = setback::Model { account_id, way, tenant_id, failures, retry_at, error };
        let again = OnConflict::columns([setback::Column::AccountId, setback::Column::Way])
            .update_columns([setback::Column::Failures, setback::Column::RetryAt, setback::Column::Error])
            .to_owned();
        setback::Entity::insert(row.into_active_model())
            .on_conflict(again)
            .exec_without_returning(tx.connection())
            .await?;
        tx.commit().await?;
        Ok(retry_at)
    }

    /// It went well for long enough: the next failure is a first one. Writes only if there was one.
    pub async fn recovered(&self, account: &Account, way: Way) -> Result<(), StoreError> {
        let found = setback::Entity::find().filter(place(account, way)).one(self.database.reader()).await?;
        if found.is_none() {
            return Ok(());
        }
        let tx = self.database.write().await?;
        setback::Entity::delete_many().filter(place(account, way)).exec(tx.connection()).await?;
        tx.commit().await
    }

    /// Active mailboxes of active tenants, whose servers are not left alone.
    fn worth_watching(&self) -> Condition {
        let left_alone = setback::Entity::find()
            .filter(setback::Column::Way.eq(Way::Idle.as_str()))
            .filter(setback::hold(self.clock.now()))
            .select_only()
            .column(setback::Column::AccountId)
            .into_query();
        let at_rest = tenants::Entity::find()
            .filter(tenants::Column::State.ne(TenantState::Active))
            .select_only()
            .column(tenants::Column::Id)
            .into_query();
        Condition::all()
            .add(accounts::Column::State.eq(AccountState::Active))
            .add(accounts::Column::TenantId.not_in_subquery(at_rest))
            .add(accounts::Column::Id.not_in_subquery(left_alone))
    }
}

fn place(account: &Account, way: Way) -> Condition {
    Condition::all()
        .add(setback::Column::AccountId.eq(account.id))
        .add(setback::Column::TenantId.eq(account.tenant_id))
        .add(setback::Column::Way.eq(way.as_str()))
}
