use chrono::{DateTime, Utc};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, ExprTrait, QueryFilter, sea_query::Expr};
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;

use super::{
    CodePurpose, OneTimeCode, OneTimeCodes,
    row::{ActiveModel, Column, Entity},
};
use crate::{
    audit,
    database::{StoreError, Transaction},
    ids::{CodeId, UserId},
};

/// How often a code may be guessed.
pub(super) const TRIES: i32 = 5;

impl OneTimeCodes {
    /// Takes a code back, once. `None` if it is wrong, over, used, for something else or was guessed too often: nobody is told which.
    pub async fn redeem(
        &self,
        id: CodeId,
        purpose: CodePurpose,
        code: &str,
    ) -> Result<Option<OneTimeCode>, StoreError> {
        let tx = self.database.write().await?;
        let taken = self.redeem_in(&tx, id, purpose, code).await?;
        // A wrong guess is counted, too.
        tx.commit().await?;
        Ok(taken)
    }

    /// Whose code this is, if it is one that was mailed to somebody.
    pub(crate) async fn owner(&self, tx: &Transaction, id: CodeId) -> Result<Option<UserId>, StoreError> {
        Ok(Entity::find_by_id(id).one(tx.connection()).await?.and_then(|row| row.user_id))
    }

    /// [`redeem`](Self::redeem) of this person's code only. Another's is neither taken nor counted.
    pub(crate) async fn redeem_own(
        &self,
        tx: &Transaction,
        (user, id): (UserId, CodeId),
        purpose: CodePurpose,
        code: &str,
    ) -> Result<Option<OneTimeCode>, StoreError> {
        let found = Entity::find_by_id(id).one(tx.connection()).await?;
        match found.filter(|row| row.user_id == Some(user)) {
            Some(_) => self.redeem_in(tx, id, purpose, code).await,
            None => Ok(None),
        }
    }

    /// None of a person's codes is good any more.
    pub(crate) async fn void_all(&self, tx: &Transaction, user: UserId) -> Result<(), StoreError> {
        let now = self.clock.now();
        let over = ActiveModel { expires_at: Set(now), code_sealed: Set(String::new()), ..ActiveModel::default() };
        let good = Entity::update_many().set(over).filter(Column::UserId.eq(user)).filter(Column::ExpiresAt.gt(now));
        good.exec(tx.connection()).await?;
        Ok(())
    }

    pub(super) async fn redeem_in(
        &self,
        tx: &Transaction,
        id: CodeId,
        purpose: CodePurpose,
        code: &str,
    ) -> Result<Option<OneTimeCode>, StoreError> {
        let now = self.clock.now();
        if !counted(tx, id, purpose, now).await? {
            return Ok(None);
        }
        // The row is ours until the transaction ends.
        let Some(row) = Entity::find_by_id(id).one(tx.connection()).await? else { return Ok(None) };
        let sealed = self.open(&row)?;
        if !bool::from(sealed.expose_secret().as_bytes().ct_eq(code.as_bytes())) {
            if let Some(user) = row.user_id {
                audit::claims_to_be(user);
            }
            return Ok(None);
        }
        let used = ActiveModel { used_at: Set(Some(now)), code_sealed: Set(String::new()), ..ActiveModel::default() };
        Entity::update_many().set(used).filter(Column::Id.eq(id)).exec(tx.connection()).await?;
        Ok(Some(row))
    }
}

/// Counts a guess before it is looked at; false if there is none left.
async fn counted(tx: &Transaction, id: CodeId, purpose: CodePurpose, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let done = Entity::update_many()
        .col_expr(Column::Tries, Expr::col(Column::Tries).add(1))
        .filter(Column::Id.eq(id))
        .filter(Column::Purpose.eq(purpose))
        .filter(Column::Tries.lt(TRIES))
        .filter(Column::UsedAt.is_null())
        .filter(Column::ExpiresAt.gt(now))
        .exec(tx.connection())
        .await?;
    Ok(done.rows_affected == 1)
}
