//! The attempts of dead letters in a table of their own. They are most of a letter, and a database writes a whole row whenever
//! its state changes, which a redrive does twice.
//!
//! Letters that are there already keep theirs in the column, where processes of the version before write them as well.

use sea_orm_migration::{
    prelude::{ConnectionTrait, DbErr, DeriveMigrationName, MigrationTrait, SchemaManager, Table, async_trait},
    schema::{pk_uuid, text},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table =
            Table::create().table("dead_letter_histories").col(pk_uuid("letter_id")).col(text("attempts")).take();
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .get_connection()
            .execute_unprepared(
                "UPDATE dead_letters SET history = \
                 (SELECT attempts FROM dead_letter_histories WHERE letter_id = dead_letters.id) \
                 WHERE id IN (SELECT letter_id FROM dead_letter_histories)",
            )
            .await?;
        manager.drop_table(Table::drop().table("dead_letter_histories").take()).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
