//! Payloads too large for the queue: which file in the object store is which job's.

use sea_orm_migration::{
    prelude::{DbErr, DeriveMigrationName, Index, MigrationTrait, SchemaManager, Table, async_trait},
    schema::{big_integer, pk_uuid, text, timestamp_with_time_zone, uuid},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("stored_payloads")
                    .col(pk_uuid("id"))
                    .col(uuid("tenant_id"))
                    .col(text("job_id"))
                    .col(big_integer("size"))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone("look_at"))
                    .take(),
            )
            .await?;
        manager
            .create_index(
                Index::create().name("stored_payloads_by_look").table("stored_payloads").col("look_at").take(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("stored_payloads").take()).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
