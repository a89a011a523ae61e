//! Removing a person with everything that is theirs alone.

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, Statement, Value};

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

/// Removes a person who works for nobody, with identities, sessions and codes. What they did stays in the audit log.
pub(crate) async fn erase(tx: &Transaction, user: UserId) -> Result<(), StoreError> {
    for sql in [
        // A refresh that is under way adds a token under its session's lock.
        "UPDATE sessions SET user_id = user_id WHERE user_id = $1",
        "DELETE FROM session_tokens WHERE session_id IN (SELECT id FROM sessions WHERE user_id = $1)",
        "DELETE FROM sessions WHERE user_id = $1",
        "DELETE FROM one_time_codes WHERE user_id = $1",
        "DELETE FROM identities WHERE user_id = $1",
        "DELETE FROM notices WHERE user_id = $1",
    ] {
        execute(tx, sql, user.0.into()).await?;
    }
    Entity::delete_many().filter(Column::Id.eq(user)).exec(tx.connection()).await?;
    Ok(())
}

/// Removes what was mailed to an address: invitations, the accepted ones too, and codes and registrations that nobody finished.
pub(crate) async fn forget_address(tx: &Transaction, email: &str) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM registrations WHERE id IN (SELECT id FROM one_time_codes WHERE email = $1)",
        "DELETE FROM one_time_codes WHERE email = $1",
        "DELETE FROM invitations WHERE email = $1",
    ] {
        execute(tx, sql, email.into()).await?;
    }
    Ok(())
}

async fn execute(tx: &Transaction, sql: &str, value: Value) -> Result<(), StoreError> {
    let statement = Statement::from_sql_and_values(tx.connection().get_database_backend(), sql, [value]);
    tx.connection().execute_raw(statement).await?;
    Ok(())
}
