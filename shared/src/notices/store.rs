use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect};

use super::{
    Notice, NoticeKind,
    row::{ActiveModel, Column, Entity},
};
use crate::{
    clock::Clock,
    database::{AllTenants, Database, StoreError, Transaction},
    ids::{NoticeId, OutboxId, TenantId},
    jobs::MailNotice,
    outbox,
    users::User,
};

/// For how long it is news.
const VALID: TimeDelta = TimeDelta::hours(12);
/// How long it is kept.
const REMEMBERED: TimeDelta = TimeDelta::days(1);

/// The table of notices.
#[derive(Clone)]
pub struct Notices {
    database: Database,
    clock: Clock,
}

impl Notices {
    pub fn new(database: Database, clock: Clock) -> Self {
        Self { database, clock }
    }

    /// The notice, while it is news and was not mailed.
    pub async fn waiting(&self, _: AllTenants, id: NoticeId) -> Result<Option<Notice>, StoreError> {
        let found = Entity::find_by_id(id).one(self.database.reader()).await?;
        Ok(found.filter(|notice| notice.mailed_at.is_none() && notice.created_at > self.clock.now() - VALID))
    }

    /// Whether the mail may be handed to the server now: once, while it is news. Who got a yes and did not hand it over takes it back
    /// with [`not_mailed`](Self::not_mailed).
    pub async fn mailing(&self, _: AllTenants, id: NoticeId) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let changes = ActiveModel { mailed_at: Set(Some(now)), ..ActiveModel::default() };
        let tx = self.database.write().await?;
        let done = Entity::update_many()
            .set(changes)
            .filter(Column::Id.eq(id))
            .filter(Column::MailedAt.is_null())
            .filter(Column::CreatedAt.gt(now - VALID))
            .exec(tx.connection())
            .await?;
        tx.commit().await?;
        Ok(done.rows_affected == 1)
    }

    /// The server certainly does not have it.
    pub async fn not_mailed(&self, _: AllTenants, id: NoticeId) -> Result<(), StoreError> {
        let changes = ActiveModel { mailed_at: Set(None), ..ActiveModel::default() };
        let tx = self.database.write().await?;
        Entity::update_many().set(changes).filter(Column::Id.eq(id)).exec(tx.connection()).await?;
        tx.commit().await
    }

    /// Forgets those that are a day old, at most `limit`; returns how many.
    pub async fn prune(&self, _: AllTenants, limit: u64) -> Result<u64, StoreError> {
        let old = Entity::find().filter(Column::CreatedAt.lt(self.clock.now() - REMEMBERED)).limit(limit);
        let ids: Vec<NoticeId> = old.all(self.database.reader()).await?.into_iter().map(|notice| notice.id).collect();
        if ids.is_empty() {
            return Ok(0);
        }
        let tx = self.database.write().await?;
        let done = Entity::delete_many().filter(Column::Id.is_in(ids)).exec(tx.connection()).await?;
        tx.commit().await?;
        Ok(done.rows_affected)
    }
}

/// Has somebody told, with the change, at the address that they have in `user`. Nobody waits for it, so the scheduler's sweep brings the
/// job to the queue.
pub(crate) async fn tell(
    tx: &Transaction,
    now: DateTime<Utc>,
    user: &User,
    kind: NoticeKind,
    issuer: Option<&str>,
) -> Result<OutboxId, StoreError> {
    let notice = Notice {
        id: NoticeId::random(),
        user_id: user.id,
        kind,
        email: user.email.clone(),
        issuer: issuer.map(ToOwned::to_owned),
        mailed_at: None,
        created_at: now,
    };
    let job = MailNotice { notice_id: notice.id };
    Entity::insert(notice.into_active_model()).exec_without_returning(tx.connection()).await?;
    outbox::enqueue(tx, now, TenantId::platform(), &job).await
}
