//! What keeps database and queue in step: the outbox, planned occurrences, dead letters.

use sea_orm_migration::{
    prelude::{DbErr, DeriveMigrationName, Index, MigrationTrait, SchemaManager, Table, async_trait},
    schema::{
        big_integer, blob, blob_null, integer, pk_uuid, text, text_null, timestamp_with_time_zone,
        timestamp_with_time_zone_null, uuid,
    },
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        outbox(manager).await?;
        occurrences(manager).await?;
        dead_letters(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("dead_letters").take()).await?;
        manager.drop_table(Table::drop().table("occurrences").take()).await?;
        manager.drop_table(Table::drop().table("outbox").take()).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

async fn outbox(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("outbox")
                .col(pk_uuid("id"))
                .col(uuid("tenant_id"))
                .col(text("job"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone_null("relayed_at"))
                .col(text_null("refusal"))
                .take(),
        )
        .await?;
    manager
        .create_index(
            Index::create().name("outbox_by_relay").table("outbox").col("relayed_at").col("created_at").take(),
        )
        .await
}

async fn occurrences(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("occurrences")
                .col(text("schedule"))
                .col(timestamp_with_time_zone("planned_at"))
                .col(uuid("tenant_id"))
                .col(timestamp_with_time_zone("run_at"))
                .col(text("job_id"))
                .col(timestamp_with_time_zone_null("enqueued_at"))
                .primary_key(Index::create().col("schedule").col("planned_at"))
                .take(),
        )
        .await?;
    manager
        .create_index(
            Index::create()
                .name("occurrences_by_enqueue")
                .table("occurrences")
                .col("enqueued_at")
                .col("planned_at")
                .take(),
        )
        .await
}

async fn dead_letters(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("dead_letters")
                .col(pk_uuid("id"))
                .col(uuid("tenant_id"))
                .col(text("job_id"))
                .col(big_integer("death_number"))
                .col(text("kind"))
                .col(text("queue"))
                .col(text("lane"))
                .col(blob("payload"))
                .col(integer("attempts"))
                .col(integer("max_attempts"))
                .col(text_null("unique_key"))
                .col(text("error"))
                .col(timestamp_with_time_zone("died_at"))
                .col(text("state"))
                .col(blob_null("redrive_payload"))
                .col(text_null("redriven_job_id"))
                .col(text_null("note"))
                .col(timestamp_with_time_zone("updated_at"))
                .take(),
        )
        .await?;
    for index in [
        Index::create()
            .name("dead_letters_once")
            .table("dead_letters")
            .col("job_id")
            .col("death_number")
            .unique()
            .take(),
        Index::create().name("dead_letters_by_tenant").table("dead_letters").col("tenant_id").col("died_at").take(),
        Index::create().name("dead_letters_by_state").table("dead_letters").col("state").col("updated_at").take(),
    ] {
        manager.create_index(index).await?;
    }
    Ok(())
}
