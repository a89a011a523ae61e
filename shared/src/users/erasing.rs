//! Removing a person with everything that is theirs alone.

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, Statement};

use super::{
    User,
    member::{Column as MemberColumn, Entity as MemberEntity},
    row::{Column, Entity},
};
use crate::{
    database::{StoreError, Transaction},
    ids::UserId,
};

/// Removes somebody who works for nobody any more and does not run the platform; others stay.
pub(crate) async fn erase_if_idle(tx: &Transaction, user: UserId) -> Result<(), StoreError> {
    let works = MemberEntity::find().filter(MemberColumn::UserId.eq(user)).count(tx.connection()).await?;
    let found: Option<User> = Entity::find_by_id(user).one(tx.connection()).await?;
    if works == 0 && found.is_some_and(|user| !user.platform_admin) {
        erase(tx, user).await?;
    }
    Ok(())
}

/// Removes a person who works for nobody: sessions and codes with them. What they did stays in the audit log.
pub(crate) async fn erase(tx: &Transaction, user: UserId) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM session_tokens WHERE session_id IN (SELECT id FROM sessions WHERE user_id = $1)",
        "DELETE FROM sessions WHERE user_id = $1",
        "DELETE FROM one_time_codes WHERE user_id = $1",
    ] {
        let backend = tx.connection().get_database_backend();
        tx.connection().execute_raw(Statement::from_sql_and_values(backend, sql, [user.0.into()])).await?;
    }
    Entity::delete_many().filter(Column::Id.eq(user)).exec(tx.connection()).await?;
    Ok(())
}
