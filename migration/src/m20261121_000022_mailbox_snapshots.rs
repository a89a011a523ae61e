//! What lay in a folder when we began to read it, so that a folder that is numbered anew or restored from a copy shows by itself
//! which of its mails are old; and the ids that providers themselves give to mails.

use sea_orm_migration::{
    prelude::{DbErr, DeriveMigrationName, Index, MigrationTrait, SchemaManager, Table, async_trait},
    schema::{blob, integer, text, text_null, timestamp_with_time_zone, uuid},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let snapshots = Table::create()
            .table("mailbox_snapshots")
            .col(uuid("account_id"))
            .col(text("folder"))
            .col(integer("part"))
            .col(uuid("tenant_id"))
            .col(text("coverage"))
            .col(blob("prints"))
            .col(timestamp_with_time_zone("taken_at"))
            .primary_key(Index::create().col("account_id").col("folder").col("part"))
            .take();
        manager.create_table(snapshots).await?;
        let cursors = Table::alter().table("mailbox_cursors").add_column(text("snapshot").default("none")).take();
        manager.alter_table(cursors).await?;
        manager.alter_table(Table::alter().table("inbound_mails").add_column(text_null("provider_id")).take()).await?;
        let by_provider_id = Index::create()
            .name("inbound_mails_by_provider_id")
            .table("inbound_mails")
            .col("account_id")
            .col("provider_id")
            .take();
        manager.create_index(by_provider_id).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let index = Index::drop().name("inbound_mails_by_provider_id").table("inbound_mails").to_owned();
        manager.drop_index(index).await?;
        manager.alter_table(Table::alter().table("inbound_mails").drop_column("provider_id").take()).await?;
        manager.alter_table(Table::alter().table("mailbox_cursors").drop_column("snapshot").take()).await?;
        manager.drop_table(Table::drop().table("mailbox_snapshots").take()).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
