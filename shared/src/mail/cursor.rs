//! How far each folder of a mailbox was read.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect,
    entity::prelude::{
        ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EnumIter, PrimaryKeyTrait,
    },
    sea_query::{Expr, OnConflict},
};

use crate::{
    accounts::Account,
    database::{StoreError, Transaction},
    ids::{AccountId, TenantId},
};

/// How much earlier than our last look a mail's own time may be although we did not see it then: clocks differ, and servers file
/// late. What was seen is known by its dedupe key.
const SLACK: TimeDelta = TimeDelta::hours(1);

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
    /// All mails up to this UID were seen.
    pub last_uid: i64,
    /// Mail that the server got before this is old mail, and none of ours.
    pub since: DateTime<Utc>,
    pub last_polled_at: Option<DateTime<Utc>>,
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
    /// The server numbers its mails anew. Mail from before the last look is not read again: `now.since` says so.
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

pub(super) async fn open(
    tx: &Transaction,
    account: &Account,
    folder: &str,
    uid_validity: u32,
) -> Result<Opened, StoreError> {
    let found = Entity::find().filter(place(account.id, folder)).lock_exclusive().one(tx.connection()).await?;
    let Some(before) = found else {
        let cursor = Model {
            account_id: account.id,
            folder: folder.to_owned(),
            tenant_id: account.tenant_id,
            uid_validity: i64::from(uid_validity),
            last_uid: 0,
            since: account.connected_at,
            last_polled_at: None,
        };
        Entity::insert(cursor.clone().into_active_model())
            .on_conflict(OnConflict::columns([Column::AccountId, Column::Folder]).do_nothing().to_owned())
            .exec_without_returning(tx.connection())
            .await?;
        return Ok(Opened::First(cursor));
    };
    if before.uid_validity == i64::from(uid_validity) {
        return Ok(if before.last_polled_at.is_none() && before.last_uid == 0 {
            Opened::First(before)
        } else {
            Opened::Continues(before)
        });
    }
    let last_look = before.last_polled_at.map_or(before.since, |time| time - SLACK);
    let now = Model {
        uid_validity: i64::from(uid_validity),
        last_uid: 0,
        since: std::cmp::max(before.since, last_look),
        ..before.clone()
    };
    let changes = ActiveModel {
        uid_validity: Set(now.uid_validity),
        last_uid: Set(0),
        since: Set(now.since),
        ..ActiveModel::default()
    };
    Entity::update_many().set(changes).filter(place(account.id, folder)).exec(tx.connection()).await?;
    Ok(Opened::Reset { before, now })
}

/// Moves the place forward, never back, and only under the validity it was read with.
pub(super) async fn advance(
    connection: &impl ConnectionTrait,
    account: AccountId,
    folder: &str,
    uid_validity: u32,
    uid: u32,
    polled_at: Option<DateTime<Utc>>,
) -> Result<(), StoreError> {
    let same = place(account, folder).add(Column::UidValidity.eq(i64::from(uid_validity)));
    let later = same.clone().add(Column::LastUid.lt(i64::from(uid)));
    Entity::update_many().col_expr(Column::LastUid, Expr::val(i64::from(uid))).filter(later).exec(connection).await?;
    if let Some(time) = polled_at {
        let changes = ActiveModel { last_polled_at: Set(Some(time)), ..ActiveModel::default() };
        Entity::update_many().set(changes).filter(same).exec(connection).await?;
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

fn place(account: AccountId, folder: &str) -> Condition {
    Condition::all().add(Column::AccountId.eq(account)).add(Column::Folder.eq(folder))
}
