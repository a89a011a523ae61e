//! Fewer indexes on dead letters: every change of a letter's state costs an entry in each of them, and a redrive changes it twice.
//!
//! `dead_letters_by_tenant` served lists of all states, which are put together from those of each. Only what is not `dead` any
//! more is ever looked for by its last change.

use sea_orm_migration::prelude::{
    ConnectionTrait, DbErr, DeriveMigrationName, Index, MigrationTrait, SchemaManager, async_trait,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in ["dead_letters_by_tenant", "dead_letters_by_state"] {
            manager.drop_index(Index::drop().name(name).table("dead_letters").to_owned()).await?;
        }
        manager
            .get_connection()
            .execute_unprepared(
                "CREATE INDEX dead_letters_by_change ON dead_letters (state, updated_at) WHERE state <> 'dead'",
            )
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name("dead_letters_by_change").table("dead_letters").to_owned()).await?;
        for index in [
            Index::create().name("dead_letters_by_tenant").table("dead_letters").col("tenant_id").col("died_at").take(),
            Index::create().name("dead_letters_by_state").table("dead_letters").col("state").col("updated_at").take(),
        ] {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
