//! What a redriven job has of the one that died: its priority, its recipient, how long it holds its unique key, its links.

use sea_orm_migration::prelude::{
    Alias, ColumnDef, DbErr, DeriveMigrationName, MigrationTrait, SchemaManager, Table, async_trait,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Letters that are there already did not keep them.
        let columns = [
            ColumnDef::new(Alias::new("priority")).text().not_null().default("normal").take(),
            ColumnDef::new(Alias::new("recipient")).text().take(),
            ColumnDef::new(Alias::new("unique_for")).text().take(),
            ColumnDef::new(Alias::new("links")).text().take(),
        ];
        for column in columns {
            manager.alter_table(Table::alter().table("dead_letters").add_column(column).take()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in ["links", "unique_for", "recipient", "priority"] {
            manager.alter_table(Table::alter().table("dead_letters").drop_column(Alias::new(column)).take()).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
