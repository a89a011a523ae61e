//! The attempts of dead letters, apart from them: they are most of a letter, and a database writes the whole row whenever a
//! letter's state changes.

use std::collections::HashMap;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, QueryFilter,
    entity::prelude::{
        ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EnumIter, PrimaryKeyTrait,
    },
    sea_query::OnConflict,
};

use super::DeadLetter;
use crate::ids::DeadLetterId;

/// What the column in the letter's own row says. Letters of earlier versions have their attempts there.
pub(super) const ELSEWHERE: &str = "[]";

/// The attempts of one letter that failed.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "dead_letter_histories")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub letter_id: DeadLetterId,
    /// As JSON, oldest first.
    pub attempts: String,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Writes those that are not there yet.
pub(super) async fn write(connection: &impl ConnectionTrait, histories: Vec<Model>) -> Result<(), DbErr> {
    Entity::insert_many(histories.into_iter().map(IntoActiveModel::into_active_model))
        .on_conflict(OnConflict::column(Column::LetterId).do_nothing().to_owned())
        .exec_without_returning(connection)
        .await?;
    Ok(())
}

/// Gives letters their history.
pub(super) async fn fill(connection: &impl ConnectionTrait, letters: &mut [DeadLetter]) -> Result<(), DbErr> {
    let without = letters.iter().filter(|letter| letter.history == ELSEWHERE).map(|letter| letter.id);
    let found = Entity::find().filter(Column::LetterId.is_in(without)).all(connection).await?;
    let mut found: HashMap<_, _> = found.into_iter().map(|history| (history.letter_id, history.attempts)).collect();
    for letter in letters {
        if let Some(attempts) = found.remove(&letter.id) {
            letter.history = attempts;
        }
    }
    Ok(())
}

/// Forgets those of letters that go.
pub(super) async fn remove(connection: &impl ConnectionTrait, letters: &[DeadLetterId]) -> Result<(), DbErr> {
    Entity::delete_many().filter(Column::LetterId.is_in(letters.iter().copied())).exec(connection).await?;
    Ok(())
}
