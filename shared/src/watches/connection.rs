//! How many connections to a mailbox are open at once. Servers count them for each login (Dovecot allows 10 by default, Gmail 15), and
//! the owner's own programs need theirs, so all workers together stay below a small number.
//!
//! A connection is a row with a number below the limit; the primary key decides who has it, so no two processes can both take the
//! last one. A reading job's row ends by itself when the job is long over; a watcher's ends with the watcher.

use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};
use postrider_queue::JobId;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter,
    entity::prelude::{
        ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EnumIter, PrimaryKeyTrait,
    },
    sea_query::OnConflict,
};

use super::Watches;
use crate::{
    accounts::Account,
    database::StoreError,
    ids::{AccountId, TenantId, WatcherId},
};

/// Who opens a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opener {
    /// A job that reads the mailbox; whatever becomes of it, its connection is counted no longer than this.
    Job(JobId, Duration),
    /// A watcher. It leaves one connection to jobs.
    Watcher(WatcherId),
}

/// A connection that is open, or may be.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mailbox_connections")]
pub struct Model {
    /// Who the server takes us for.
    #[sea_orm(primary_key, auto_increment = false)]
    pub login: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub slot: i32,
    pub account_id: AccountId,
    pub tenant_id: TenantId,
    pub job_id: Option<String>,
    pub watcher_id: Option<WatcherId>,
    pub ends_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Watches {
    /// Counts a connection that is to be opened. False if `most` are open: it must not be opened now. Asked again by the same
    /// opener it is the same connection.
    pub async fn open(&self, account: &Account, opener: Opener, most: u32) -> Result<bool, StoreError> {
        let login = login(account);
        let now = self.clock.now().trunc_subsecs(6);
        let (job_id, watcher_id, ends_at, most) = match opener {
            Opener::Job(job, lasts) => (Some(job.to_string()), None, Some(now + lasts), most.max(1)),
            Opener::Watcher(watcher) => (None, Some(watcher), None, most.saturating_sub(1)),
        };
        let tx = self.database.write().await?;
        let over = of(&login).add(Column::EndsAt.lt(now));
        Entity::delete_many().filter(over).exec(tx.connection()).await?;
        let open = Entity::find().filter(of(&login)).all(tx.connection()).await?;
        let own = open
            .iter()
            .find(|row| row.account_id == account.id && row.job_id == job_id && row.watcher_id == watcher_id);
        if let Some(own) = own {
            let changes = ActiveModel { ends_at: Set(ends_at), ..ActiveModel::default() };
            let same = of(&login).add(Column::Slot.eq(own.slot));
            Entity::update_many().set(changes).filter(same).exec(tx.connection()).await?;
            tx.commit().await?;
            return Ok(true);
        }
        let slots = i32::try_from(most).unwrap_or(i32::MAX);
        let taken = open.len() >= most as usize;
        let mut inserted = 0;
        // Another process may take a number at this moment: then the next one is tried.
        for slot in (0..slots).filter(|slot| !taken && open.iter().all(|row| row.slot != *slot)) {
            let row = Model {
                login: login.clone(),
                slot,
                account_id: account.id,
                tenant_id: account.tenant_id,
                job_id: job_id.clone(),
                watcher_id,
                ends_at,
            };
            inserted = insert(tx.connection(), row).await?;
            if inserted == 1 {
                break;
            }
        }
        tx.commit().await?;
        Ok(inserted == 1)
    }

    /// The connection is closed.
    pub async fn closed(&self, account: &Account, opener: Opener) -> Result<(), StoreError> {
        let own = Condition::all().add(Column::AccountId.eq(account.id)).add(match opener {
            Opener::Job(job, _) => Column::JobId.eq(job.to_string()),
            Opener::Watcher(watcher) => Column::WatcherId.eq(watcher),
        });
        let tx = self.database.write().await?;
        Entity::delete_many().filter(own.add(Column::Login.eq(login(account)))).exec(tx.connection()).await?;
        tx.commit().await
    }
}

/// Whatever the watcher has open for the account.
pub(super) async fn close_watched(
    connection: &impl ConnectionTrait,
    watcher: WatcherId,
    account: AccountId,
) -> Result<(), StoreError> {
    let own = Condition::all().add(Column::WatcherId.eq(watcher)).add(Column::AccountId.eq(account));
    Entity::delete_many().filter(own).exec(connection).await?;
    Ok(())
}

async fn insert(connection: &impl ConnectionTrait, row: Model) -> Result<u64, StoreError> {
    Ok(Entity::insert(row.into_active_model())
        .on_conflict(OnConflict::columns([Column::Login, Column::Slot]).do_nothing().to_owned())
        .exec_without_returning(connection)
        .await?)
}

/// One mailbox that is connected twice is one login to its server.
fn login(account: &Account) -> String {
    format!("{}@{}", account.imap_username, account.imap_host).to_lowercase()
}

fn of(login: &str) -> Condition {
    Condition::all().add(Column::Login.eq(login))
}
