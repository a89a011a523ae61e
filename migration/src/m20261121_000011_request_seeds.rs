//! What the ids of things made by a repeatable request derive from, so that a repeat after a lost answer finds what was made.

use sea_orm_migration::{
    prelude::{DbErr, DeriveMigrationName, MigrationTrait, SchemaManager, Table, async_trait},
    schema::uuid_null,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("idempotent_requests").add_column(uuid_null("seed")).take()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("idempotent_requests").drop_column("seed").take()).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
