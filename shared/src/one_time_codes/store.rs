use chrono::{DateTime, TimeDelta, Utc};
use rand::RngExt;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect, sea_query::OnConflict,
};
use secrecy::SecretString;
use sha2::{Digest, Sha256};

use super::{
    CodePurpose, OneTimeCode,
    redeeming::TRIES,
    registration,
    row::{ActiveModel, Column, Entity},
};
use crate::{
    clock::Clock,
    database::{AllTenants, Database, StoreError, Transaction},
    ids::{CodeId, OutboxId, TenantId, UserId},
    jobs::MailCode,
    outbox,
    seal::{KeyRing, Place, SealError},
    users::Email,
};

/// How many digits a code has.
pub const CODE_DIGITS: usize = 6;
/// How long a code is good.
const VALID: TimeDelta = TimeDelta::minutes(10);
/// How many codes an address gets in an hour of the clock, for each purpose. Who asks from one place gets fewer, as the API counts, so
/// that a stranger who asks does not use up those of the address's owner.
const IN_AN_HOUR: u32 = 15;
/// So many of them may be guessed as often as [`TRIES`] says, the others [`TRIES_OF_MORE`] times: more codes are more to guess at.
const USUAL: u32 = 5;
const TRIES_OF_MORE: i32 = 2;
/// How long a code that is over is kept.
const REMEMBERED: TimeDelta = TimeDelta::days(1);

/// A code on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Issued {
    pub code: CodeId,
    /// The job that mails it.
    pub entry: OutboxId,
}

/// The tables of codes and registrations.
#[derive(Clone)]
pub struct OneTimeCodes {
    pub(super) database: Database,
    pub(super) clock: Clock,
    keys: Option<KeyRing>,
}

impl OneTimeCodes {
    pub fn new(database: Database, clock: Clock, keys: Option<KeyRing>) -> Self {
        Self { database, clock, keys }
    }

    /// Makes a code under this id and has it mailed to the user. `None` if the address got too many in this hour.
    pub async fn issue(
        &self,
        id: CodeId,
        purpose: CodePurpose,
        (user, email): (UserId, &Email),
    ) -> Result<Option<Issued>, StoreError> {
        let tx = self.database.write().await?;
        let issued = self.issue_in(&tx, id, purpose, Some(user), email).await?;
        tx.commit().await?;
        Ok(issued)
    }

    /// [`issue`](Self::issue) in the transaction of another store.
    pub(crate) async fn issue_in(
        &self,
        tx: &Transaction,
        id: CodeId,
        purpose: CodePurpose,
        user: Option<UserId>,
        email: &Email,
    ) -> Result<Option<Issued>, StoreError> {
        let now = self.clock.now();
        let code = SecretString::from(format!("{:0CODE_DIGITS$}", rand::rng().random_range(0..1_000_000)));
        let mut row = OneTimeCode {
            id,
            slot: String::new(),
            purpose,
            email: email.as_str().to_owned(),
            user_id: user,
            code_sealed: self.keys()?.seal(place(&id.to_string()), &code)?,
            tries: 0,
            expires_at: now + VALID,
            used_at: None,
            mailed_at: None,
            created_at: now,
        };
        // The first free place of the hour. Its name is unique, so that requests at the same moment cannot share one.
        for place in 0..IN_AN_HOUR {
            row.slot = slot(email, purpose, now, place);
            row.tries = if place < USUAL { 0 } else { TRIES - TRIES_OF_MORE };
            let inserted = Entity::insert(row.clone().into_active_model())
                .on_conflict(OnConflict::column(Column::Slot).do_nothing().to_owned())
                .exec_without_returning(tx.connection())
                .await?;
            if inserted == 1 {
                return Ok(Some(Issued { code: id, entry: mail(tx, now, id).await? }));
            }
        }
        Ok(None)
    }

    pub async fn get(&self, _: AllTenants, id: CodeId) -> Result<Option<OneTimeCode>, StoreError> {
        Ok(Entity::find_by_id(id).one(self.database.reader()).await?)
    }

    /// The digits, for the mail.
    pub fn open(&self, code: &OneTimeCode) -> Result<SecretString, StoreError> {
        Ok(self.keys()?.open(place(&code.id.to_string()), &code.code_sealed)?)
    }

    /// Whether the mail may be handed to the server now: once, while the code is good. Who got a yes and did not hand it over takes
    /// it back with [`not_mailed`](Self::not_mailed).
    pub async fn mailing(&self, _: AllTenants, id: CodeId) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let changes = ActiveModel { mailed_at: Set(Some(now)), ..ActiveModel::default() };
        let tx = self.database.write().await?;
        let done = Entity::update_many()
            .set(changes)
            .filter(Column::Id.eq(id))
            .filter(Column::MailedAt.is_null())
            .filter(Column::UsedAt.is_null())
            .filter(Column::ExpiresAt.gt(now))
            .exec(tx.connection())
            .await?;
        tx.commit().await?;
        Ok(done.rows_affected == 1)
    }

    /// The server certainly does not have it.
    pub async fn not_mailed(&self, _: AllTenants, id: CodeId) -> Result<(), StoreError> {
        let changes = ActiveModel { mailed_at: Set(None), ..ActiveModel::default() };
        let tx = self.database.write().await?;
        Entity::update_many().set(changes).filter(Column::Id.eq(id)).exec(tx.connection()).await?;
        tx.commit().await
    }

    /// Forgets codes that were over a day ago, and their registrations; at most `limit`, returns how many.
    pub async fn prune(&self, _: AllTenants, limit: u64) -> Result<u64, StoreError> {
        let over = Column::ExpiresAt.lt(self.clock.now() - REMEMBERED);
        let old = Entity::find().filter(over).limit(limit).all(self.database.reader()).await?;
        let ids: Vec<CodeId> = old.into_iter().map(|code| code.id).collect();
        if ids.is_empty() {
            return Ok(0);
        }
        let tx = self.database.write().await?;
        let of = registration::Column::Id.is_in(ids.iter().copied());
        registration::Entity::delete_many().filter(of).exec(tx.connection()).await?;
        let done = Entity::delete_many().filter(Column::Id.is_in(ids)).exec(tx.connection()).await?;
        tx.commit().await?;
        Ok(done.rows_affected)
    }

    pub(super) fn keys(&self) -> Result<&KeyRing, StoreError> {
        self.keys.as_ref().ok_or(StoreError::Seal(SealError::NoKeys))
    }
}

/// Where a code's digits are sealed for.
pub(super) fn place(row: &str) -> Place<'_> {
    Place { table: "one_time_codes", column: "code", row }
}

fn slot(email: &Email, purpose: CodePurpose, now: DateTime<Utc>, place: u32) -> String {
    let hour = now.timestamp() / 3_600;
    hex::encode(Sha256::digest(format!("{email} {purpose} {hour} {place}")))
}

async fn mail(tx: &Transaction, now: DateTime<Utc>, id: CodeId) -> Result<OutboxId, StoreError> {
    outbox::enqueue(tx, now, TenantId::platform(), &MailCode { code_id: id }).await
}
