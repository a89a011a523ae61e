//! Deleting a business: asked for and confirmed, waited for, then carried out in bounded steps that may be repeated.
//!
//! What becomes of its rows is decided in [`ERASED`] and [`KEPT`]; a table with a tenant's column that stands in neither fails a test.
//! People who work for nobody else go with it, unless they run the platform: what they could still open is nothing, and their address
//! is theirs to register with again.

use chrono::{DateTime, TimeDelta, Utc};
use postrider_queue::NewJob;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QuerySelect, Statement,
};

use super::{ActiveModel, Column, Entity, Tenant, TenantState, Tenants, find};
use crate::{
    database::{StoreError, Transaction},
    ids::{OutboxId, TenantId, UserId},
    jobs::DeleteTenant,
    outbox, users,
};

/// Tables whose rows of a deleted tenant go, what points at others before those.
pub const ERASED: [&str; 28] = [
    "outbox",
    "occurrences",
    "dead_letters",
    "stored_payloads",
    "quote_lines",
    "quote_events",
    "quote_revisions",
    "made_requests",
    "messages",
    "attachments",
    "quotes",
    "inbound_mails",
    "thread_messages",
    "threads",
    "correspondents",
    "google_grants",
    "google_consents",
    "account_events",
    "mailbox_cursors",
    "mailbox_snapshots",
    "mailbox_leases",
    "mailbox_setbacks",
    "mailbox_connections",
    "accounts",
    "products",
    "invitations",
    "memberships",
    "api_keys",
];

/// Tables whose rows stay: who did what is told until its time is over, whatever became of the tenant.
pub const KEPT: [&str; 1] = ["audit_events"];

/// Rows removed in one step.
const STEP: u64 = 500;
/// Members removed in one step, each perhaps with sessions.
const MEMBERS: u64 = 50;
/// How long one may wait at most.
const LONGEST: TimeDelta = TimeDelta::days(90);

/// A tenant that is to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedDeletion {
    pub tenant: Tenant,
    /// The job that does it, on its way.
    pub entry: OutboxId,
}

/// Whether a deletion may be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BeginDeletion {
    /// Yes, and it cannot be taken back from here on.
    Go,
    /// Not yet.
    NotBefore(DateTime<Utc>),
    /// No: it was taken back, or is done.
    No,
}

impl Tenants {
    /// Notes that a suspended tenant is to be deleted after this delay, in which that can be taken back. Whoever asks says its name, so
    /// that it is not another one. From now on nothing may be sent for it.
    pub async fn ask_deletion(&self, id: TenantId, name: &str, delay: TimeDelta) -> Result<AskedDeletion, StoreError> {
        if delay < TimeDelta::zero() || delay > LONGEST {
            return Err(StoreError::invalid("delay_days", "must be 0 to 90"));
        }
        let tx = self.database.write().await?;
        tx.watch(Entity::find_by_id(id)).await?;
        let before = find(tx.connection(), id).await?;
        if before.name != name {
            return Err(StoreError::invalid("confirm", "must be the tenant's name, letter by letter"));
        }
        let asked = ask_in(&tx, self.clock.now(), (id, TenantState::Suspended), delay).await?;
        tx.commit().await?;
        self.changed(id);
        Ok(asked)
    }

    /// Forgets what this process believes of the tenant's state.
    pub(crate) fn changed(&self, id: TenantId) {
        self.states.forget(|tenant, _| *tenant == id);
    }

    /// Takes a deletion back, as long as it has not begun: the tenant is suspended, whatever it was before.
    pub async fn restore(&self, id: TenantId) -> Result<Tenant, StoreError> {
        let changes = ActiveModel {
            state: Set(TenantState::Suspended),
            delete_after: Set(None),
            updated_at: Set(self.clock.now()),
            ..ActiveModel::default()
        };
        let tx = self.database.write().await?;
        tx.watch(Entity::find_by_id(id)).await?;
        moved(&tx, id, TenantState::Deleting, changes).await?;
        let tenant = find(tx.connection(), id).await?;
        tx.commit().await?;
        self.changed(id);
        Ok(tenant)
    }

    /// Begins the deletion that was asked for with this time, or goes on with it.
    pub async fn begin_deletion(&self, id: TenantId, due: DateTime<Utc>) -> Result<BeginDeletion, StoreError> {
        let now = self.clock.now();
        if now < due {
            return Ok(BeginDeletion::NotBefore(due));
        }
        let changes = ActiveModel { state: Set(TenantState::Deleted), updated_at: Set(now), ..ActiveModel::default() };
        let tx = self.database.write().await?;
        Entity::update_many()
            .set(changes)
            .filter(Column::Id.eq(id))
            .filter(Column::State.eq(TenantState::Deleting))
            .filter(Column::DeleteAfter.eq(due))
            .exec(tx.connection())
            .await?;
        let found = Entity::find_by_id(id).one(tx.connection()).await?;
        tx.commit().await?;
        self.changed(id);
        let begun = found.is_some_and(|tenant| tenant.state == TenantState::Deleted);
        Ok(if begun { BeginDeletion::Go } else { BeginDeletion::No })
    }

    /// One bounded step of removing the rows of a tenant whose deletion has begun; how many went. None are left after a step that
    /// found none.
    pub async fn erase_some(&self, id: TenantId) -> Result<u64, StoreError> {
        let tx = self.database.write().await?;
        if find(tx.connection(), id).await?.state != TenantState::Deleted {
            return Err(StoreError::conflict("tenant", "is not to be deleted"));
        }
        let mut gone = histories(&tx, id).await?;
        for table in ERASED {
            if gone > 0 {
                break;
            }
            gone = if table == "memberships" { people(&tx, id).await? } else { rows(&tx, table, id).await? };
        }
        tx.commit().await?;
        Ok(gone)
    }

    /// Removes the tenant itself, the last step of all.
    pub async fn finish_deletion(&self, id: TenantId) -> Result<(), StoreError> {
        let tx = self.database.write().await?;
        let gone = Entity::delete_many().filter(Column::Id.eq(id)).filter(Column::State.eq(TenantState::Deleted));
        gone.exec(tx.connection()).await?;
        tx.commit().await?;
        self.changed(id);
        Ok(())
    }
}

/// Has a tenant in this state deleted after a delay.
pub(crate) async fn ask_in(
    tx: &Transaction,
    now: DateTime<Utc>,
    (id, from): (TenantId, TenantState),
    delay: TimeDelta,
) -> Result<AskedDeletion, StoreError> {
    // What the database keeps is no finer.
    let due = DateTime::from_timestamp_micros((now + delay).timestamp_micros()).unwrap_or(now);
    let changes = ActiveModel {
        state: Set(TenantState::Deleting),
        delete_after: Set(Some(due)),
        updated_at: Set(now),
        ..ActiveModel::default()
    };
    moved(tx, id, from, changes).await?;
    let platform = TenantId::platform();
    let job = NewJob::of(platform.into(), &DeleteTenant { tenant_id: id, due });
    let job = job.map_err(|error| StoreError::invalid("job", error.to_string()))?.run_at(due);
    let entry = outbox::append(tx, now, platform, &job).await?;
    let tenant = find(tx.connection(), id).await?;
    Ok(AskedDeletion { tenant, entry })
}

/// Refuses what must not be done any more for a tenant whose deletion was asked for.
pub(crate) async fn must_stay(connection: &impl ConnectionTrait, id: TenantId) -> Result<(), StoreError> {
    match find(connection, id).await?.state {
        TenantState::Pending | TenantState::Active | TenantState::Suspended => Ok(()),
        state @ (TenantState::Deleting | TenantState::Deleted) => {
            Err(StoreError::conflict("tenant", format!("is {state}")))
        }
    }
}

async fn moved(tx: &Transaction, id: TenantId, from: TenantState, changes: ActiveModel) -> Result<(), StoreError> {
    let expected = Entity::update_many().set(changes).filter(Column::Id.eq(id)).filter(Column::State.eq(from));
    if expected.exec(tx.connection()).await?.rows_affected == 0 {
        let state = find(tx.connection(), id).await?.state;
        return Err(StoreError::conflict("tenant", format!("is {state}, not {from}")));
    }
    Ok(())
}

async fn rows(tx: &Transaction, table: &str, id: TenantId) -> Result<u64, StoreError> {
    let row = row(tx);
    let sql =
        format!("DELETE FROM {table} WHERE {row} IN (SELECT {row} FROM {table} WHERE tenant_id = $1 LIMIT {STEP})");
    execute(tx, sql, id).await
}

/// Histories of dead letters are known by their letters only.
async fn histories(tx: &Transaction, id: TenantId) -> Result<u64, StoreError> {
    let letters = "SELECT h.letter_id FROM dead_letter_histories h JOIN dead_letters d ON d.id = h.letter_id";
    let sql =
        format!("DELETE FROM dead_letter_histories WHERE letter_id IN ({letters} WHERE d.tenant_id = $1 LIMIT {STEP})");
    execute(tx, sql, id).await
}

/// What a database calls the place of a row.
fn row(tx: &Transaction) -> &'static str {
    if tx.connection().get_database_backend() == DbBackend::Postgres { "ctid" } else { "rowid" }
}

async fn execute(tx: &Transaction, sql: String, id: TenantId) -> Result<u64, StoreError> {
    let statement = Statement::from_sql_and_values(tx.connection().get_database_backend(), sql, [id.0.into()]);
    Ok(tx.connection().execute_raw(statement).await?.rows_affected())
}

async fn people(tx: &Transaction, id: TenantId) -> Result<u64, StoreError> {
    let some = users::member::Entity::find().filter(users::member::Column::TenantId.eq(id)).limit(MEMBERS);
    let some: Vec<UserId> = some.all(tx.connection()).await?.into_iter().map(|member| member.user_id).collect();
    let done = users::member::Entity::delete_many()
        .filter(users::member::Column::TenantId.eq(id))
        .filter(users::member::Column::UserId.is_in(some.iter().copied()))
        .exec(tx.connection())
        .await?;
    for user in some {
        users::erase_if_idle(tx, user).await?;
    }
    Ok(done.rows_affected)
}
