//! What narrows and ends an API key: scopes, an expiry, and a replaced text that opens for a while.

use sea_orm_migration::{
    prelude::{DbErr, DeriveMigrationName, Index, MigrationTrait, SchemaManager, Table, async_trait},
    schema::{json_binary_null, text_null, timestamp_with_time_zone_null},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [
            json_binary_null("scopes"),
            timestamp_with_time_zone_null("expires_at"),
            text_null("previous_prefix"),
            text_null("previous_hash"),
            timestamp_with_time_zone_null("previous_until"),
        ] {
            manager.alter_table(Table::alter().table("api_keys").add_column(column).take()).await?;
        }
        let by_previous = Index::create()
            .name("api_keys_by_previous_prefix")
            .table("api_keys")
            .col("previous_prefix")
            .unique()
            .take();
        manager.create_index(by_previous).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let by_previous = Index::drop().name("api_keys_by_previous_prefix").table("api_keys").to_owned();
        manager.drop_index(by_previous).await?;
        for column in ["previous_until", "previous_hash", "previous_prefix", "expires_at", "scopes"] {
            manager.alter_table(Table::alter().table("api_keys").drop_column(column).take()).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
