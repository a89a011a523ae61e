//! The first answer to each `Idempotency-Key`, so that a repeated request gets the same one.

use sea_orm_migration::{
    prelude::{DbErr, DeriveMigrationName, Index, MigrationTrait, SchemaManager, Table, async_trait},
    schema::{blob_null, integer_null, text, text_null, timestamp_with_time_zone, uuid},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("idempotent_requests")
                    .col(text("scope"))
                    .col(text("key"))
                    .col(text("fingerprint"))
                    .col(uuid("holder"))
                    .col(integer_null("status"))
                    .col(text_null("headers"))
                    .col(blob_null("body"))
                    .col(timestamp_with_time_zone("created_at"))
                    .primary_key(Index::create().col("scope").col("key"))
                    .take(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("idempotent_requests_by_age")
                    .table("idempotent_requests")
                    .col("created_at")
                    .take(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("idempotent_requests").take()).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
