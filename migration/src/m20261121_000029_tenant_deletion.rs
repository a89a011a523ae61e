//! When a tenant is to be deleted, if that was asked for.

use sea_orm_migration::{
    prelude::{DbErr, DeriveMigrationName, MigrationTrait, SchemaManager, Table, async_trait},
    schema::timestamp_with_time_zone_null,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let due = timestamp_with_time_zone_null("delete_after");
        manager.alter_table(Table::alter().table("tenants").add_column(due).take()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("tenants").drop_column("delete_after").take()).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
