//! How far each folder of a mailbox was read.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, IntoActiveModel, QueryFilter, QuerySelect,
    entity::prelude::{
        ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EnumIter, PrimaryKeyTrait,
    },
    sea_query::{Expr, OnConflict},
};

use super::{
    row,
    snapshot::{self, Coverage},
};
use crate::{
    accounts::Account,
    database::{StoreError, Transaction},
    ids::{AccountId, TenantId},
};

/// How much earlier than our last look a mail's own time may be although we did not see it then: clocks differ, and servers file
/// late. What was seen is known by its dedupe key.
const SLACK: TimeDelta = TimeDelta::hours(1);

/// A UIDVALIDITY that no server tells; 0 stands for servers that tell none.
const NO_SERVERS: i64 = -1;

/// The place in one folder.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mailbox_cursors")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: AccountId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub folder: String,
    pub tenant_id: TenantId,
    /// UIDs of another validity mean other mails.
    pub uid_validity: i64,
    /// Raised when the mails are numbered anew, or another mailbox may stand behind the account: whoever began to read before moves
    /// nothing, also where the server tells the same UIDVALIDITY again.
    pub epoch: i64,
    /// All mails up to this UID were seen.
    pub last_uid: i64,
    /// Mail that the server got before this is old mail, and none of ours.
    pub since: DateTime<Utc>,
    /// When the last look began that came to its end.
    pub last_polled_at: Option<DateTime<Utc>>,
    /// Mails below this UID were there when the server was found to number its mails anew: each may be old. 0 once all of them
    /// were looked at. Mail from here on came later, whatever its dates say.
    pub doubt_below: i64,
    /// Whether we know what lay in the folder when we began to read it.
    pub snapshot: Coverage,
    /// The mail that could not be fetched last; 0 for none.
    pub failed_uid: i64,
    /// When it could not be for the first time.
    pub failed_since: Option<DateTime<Utc>>,
    /// Runs that could not fetch it although their server handed over another mail.
    pub failures: i32,
}

/// How often and how long a mail could not be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failing {
    pub since: DateTime<Utc>,
    /// Runs that could not fetch it although their server handed over another mail.
    pub failures: u32,
}

/// How a server numbers the mails of a folder, as it says now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbering {
    pub uid_validity: u32,
    /// The UID that the next mail gets, if the server tells.
    pub uid_next: Option<u32>,
}

/// Which numbering of a folder a run reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch {
    pub uid_validity: u32,
    pub epoch: i64,
}

impl From<u32> for Epoch {
    /// The first that was ever read.
    fn from(uid_validity: u32) -> Self {
        Self { uid_validity, epoch: 0 }
    }
}

impl From<u32> for Numbering {
    fn from(uid_validity: u32) -> Self {
        Self { uid_validity, uid_next: None }
    }
}

impl Numbering {
    /// Whether it goes on where that place was. UIDs that went back under the same UIDVALIDITY are those of a folder that was
    /// restored from a copy.
    fn continues(self, cursor: &Model) -> bool {
        let went_back = self.uid_next.is_some_and(|next| next != 0 && i64::from(next) <= cursor.last_uid);
        cursor.uid_validity == i64::from(self.uid_validity) && !went_back
    }

    /// Above all that is there now; above everything where the server does not tell.
    fn end(self) -> i64 {
        self.uid_next.filter(|next| *next != 0).map_or(i64::MAX, i64::from)
    }
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// What opening a folder found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// It was never read: read what came since the mailbox was connected.
    First(Model),
    /// Go on after `last_uid`.
    Continues(Model),
    /// The server numbers its mails anew. Where there is no whole snapshot, mail from before the last look is not read again:
    /// `now.since` says so.
    Reset { before: Model, now: Model },
}

impl Opened {
    /// Where to go on.
    pub fn cursor(&self) -> &Model {
        match self {
            Self::First(cursor) | Self::Continues(cursor) | Self::Reset { now: cursor, .. } => cursor,
        }
    }
}

/// Where a folder goes on that needs no change: what most looks find.
pub(super) async fn peek(
    connection: &impl ConnectionTrait,
    tenant: TenantId,
    account: AccountId,
    folder: &str,
    numbering: Numbering,
) -> Result<Option<Opened>, StoreError> {
    let own = place(account, folder).add(Column::TenantId.eq(tenant));
    let found = Entity::find().filter(own).one(connection).await?;
    Ok(found.filter(|cursor| numbering.continues(cursor)).map(unchanged))
}

pub(super) async fn open(
    tx: &Transaction,
    account: &Account,
    folder: &str,
    numbering: Numbering,
) -> Result<Opened, StoreError> {
    let found = Entity::find().filter(place(account.id, folder)).lock_exclusive().one(tx.connection()).await?;
    let Some(before) = found else {
        // If mail was recorded, or a snapshot taken, our place was lost: what lies there is in doubt as if it were numbered anew.
        let recorded = row::Entity::find().filter(row::Column::AccountId.eq(account.id)).limit(1);
        let snapshot = snapshot::coverage(tx.connection(), account.id, folder).await?;
        let is_lost = snapshot != Coverage::Nothing || recorded.one(tx.connection()).await?.is_some();
        let cursor = Model {
            account_id: account.id,
            folder: folder.to_owned(),
            tenant_id: account.tenant_id,
            uid_validity: i64::from(numbering.uid_validity),
            epoch: 0,
            last_uid: 0,
            since: account.connected_at,
            last_polled_at: None,
            doubt_below: if is_lost { numbering.end() } else { 0 },
            snapshot,
            failed_uid: 0,
            failed_since: None,
            failures: 0,
        };
        Entity::insert(cursor.clone().into_active_model())
            .on_conflict(OnConflict::columns([Column::AccountId, Column::Folder]).do_nothing().to_owned())
            .exec_without_returning(tx.connection())
            .await?;
        return Ok(Opened::First(cursor));
    };
    if numbering.continues(&before) {
        return Ok(unchanged(before));
    }
    let since = match before.snapshot {
        Coverage::Whole => before.since,
        Coverage::Newest | Coverage::Nothing => {
            before.last_polled_at.map_or(before.since, |time| std::cmp::max(before.since, time - SLACK))
        }
    };
    let now = Model {
        uid_validity: i64::from(numbering.uid_validity),
        epoch: before.epoch + 1,
        last_uid: 0,
        since,
        doubt_below: numbering.end(),
        failed_uid: 0,
        failed_since: None,
        failures: 0,
        ..before.clone()
    };
    let changes = ActiveModel {
        uid_validity: Set(now.uid_validity),
        epoch: Set(now.epoch),
        last_uid: Set(0),
        since: Set(now.since),
        doubt_below: Set(now.doubt_below),
        failed_uid: Set(now.failed_uid),
        failed_since: Set(now.failed_since),
        failures: Set(now.failures),
        ..ActiveModel::default()
    };
    Entity::update_many().set(changes).filter(place(account.id, folder)).exec(tx.connection()).await?;
    Ok(Opened::Reset { before, now })
}

fn unchanged(cursor: Model) -> Opened {
    if cursor.last_polled_at.is_none() && cursor.last_uid == 0 {
        Opened::First(cursor)
    } else {
        Opened::Continues(cursor)
    }
}

/// Another server numbers the account's mails from now on. That it tells the same UIDVALIDITY means nothing then, many begin with 1:
/// whatever it tells, the next look finds the folder numbered anew. The rows stay, because they know when the last look was.
pub(crate) async fn distrust(connection: &impl ConnectionTrait, account: AccountId) -> Result<(), StoreError> {
    let changes = ActiveModel { uid_validity: Set(NO_SERVERS), ..ActiveModel::default() };
    let update = Entity::update_many().set(changes).col_expr(Column::Epoch, Expr::col(Column::Epoch).add(1));
    update.filter(Column::AccountId.eq(account)).exec(connection).await?;
    Ok(())
}

/// Whether the folder is still numbered so; it stays so until the transaction ends.
pub(super) async fn is_current(
    tx: &Transaction,
    account: AccountId,
    folder: &str,
    epoch: Epoch,
) -> Result<bool, StoreError> {
    let found = Entity::find().filter(in_epoch(account, folder, epoch)).lock_exclusive().one(tx.connection()).await?;
    Ok(found.is_some())
}

/// The folder has a snapshot that knows so much.
pub(super) async fn note_snapshot(
    connection: &impl ConnectionTrait,
    account: AccountId,
    folder: &str,
    coverage: Coverage,
) -> Result<(), StoreError> {
    let changes = ActiveModel { snapshot: Set(coverage), ..ActiveModel::default() };
    Entity::update_many().set(changes).filter(place(account, folder)).exec(connection).await?;
    Ok(())
}

/// Every mail that was in doubt was looked at.
pub(super) async fn settle_doubts(
    connection: &impl ConnectionTrait,
    account: AccountId,
    folder: &str,
    epoch: Epoch,
) -> Result<(), StoreError> {
    let same = in_epoch(account, folder, epoch);
    let changes = ActiveModel { doubt_below: Set(0), ..ActiveModel::default() };
    Entity::update_many().set(changes).filter(same).exec(connection).await?;
    Ok(())
}

/// A run could not fetch this mail; it counts if the server handed over another.
pub(super) async fn failed_at(
    tx: &Transaction,
    now: DateTime<Utc>,
    (account, folder): (AccountId, &str),
    (epoch, uid): (Epoch, u32),
    counts: bool,
) -> Result<Failing, StoreError> {
    let same = in_epoch(account, folder, epoch);
    let Some(before) = Entity::find().filter(same.clone()).lock_exclusive().one(tx.connection()).await? else {
        // Numbered anew since: that number is another mail's.
        return Ok(Failing { since: now, failures: 0 });
    };
    let (since, failures) = match before.failed_since {
        Some(since) if before.failed_uid == i64::from(uid) => (since, before.failures),
        Some(_) | None => (now, 0),
    };
    let failures = failures.saturating_add(i32::from(counts));
    let changes = ActiveModel {
        failed_uid: Set(i64::from(uid)),
        failed_since: Set(Some(since)),
        failures: Set(failures),
        ..ActiveModel::default()
    };
    Entity::update_many().set(changes).filter(same).exec(tx.connection()).await?;
    Ok(Failing { since, failures: u32::try_from(failures).unwrap_or_default() })
}

/// Moves the place forward, and the time of the last look, never back, and only in the epoch it was read in.
pub(super) async fn advance(
    connection: &impl ConnectionTrait,
    account: AccountId,
    folder: &str,
    epoch: Epoch,
    uid: u32,
    looked_at: Option<DateTime<Utc>>,
) -> Result<(), StoreError> {
    let same = in_epoch(account, folder, epoch);
    let later = same.clone().add(Column::LastUid.lt(i64::from(uid)));
    Entity::update_many().col_expr(Column::LastUid, Expr::val(i64::from(uid))).filter(later).exec(connection).await?;
    if let Some(time) = looked_at {
        let changes = ActiveModel { last_polled_at: Set(Some(time)), ..ActiveModel::default() };
        let earlier = Condition::any().add(Column::LastPolledAt.is_null()).add(Column::LastPolledAt.lt(time));
        Entity::update_many().set(changes).filter(same.add(earlier)).exec(connection).await?;
    }
    Ok(())
}

pub(super) async fn find(
    connection: &impl ConnectionTrait,
    tenant: TenantId,
    account: AccountId,
) -> Result<Vec<Model>, StoreError> {
    let own = Condition::all().add(Column::AccountId.eq(account)).add(Column::TenantId.eq(tenant));
    Ok(Entity::find().filter(own).all(connection).await?)
}

fn in_epoch(account: AccountId, folder: &str, epoch: Epoch) -> Condition {
    place(account, folder).add(Column::UidValidity.eq(i64::from(epoch.uid_validity))).add(Column::Epoch.eq(epoch.epoch))
}

fn place(account: AccountId, folder: &str) -> Condition {
    Condition::all().add(Column::AccountId.eq(account)).add(Column::Folder.eq(folder))
}
