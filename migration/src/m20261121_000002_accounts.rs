//! Mailboxes that are read and sent from, and how far each folder was read.

use sea_orm_migration::{
    prelude::{DbErr, DeriveMigrationName, ForeignKey, Index, MigrationTrait, SchemaManager, Table, async_trait},
    schema::{
        big_integer, integer, pk_uuid, text, text_null, timestamp_with_time_zone, timestamp_with_time_zone_null, uuid,
    },
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("accounts")
                    .col(pk_uuid("id"))
                    .col(uuid("tenant_id"))
                    .col(text("address"))
                    .col(text("display_name"))
                    .col(text("identity"))
                    .col(text("imap_host"))
                    .col(integer("imap_port"))
                    .col(text("imap_security"))
                    .col(text("imap_username"))
                    .col(text("smtp_host"))
                    .col(integer("smtp_port"))
                    .col(text("smtp_security"))
                    .col(text("smtp_username"))
                    .col(text("password_sealed"))
                    .col(integer("daily_cap"))
                    .col(text("time_zone"))
                    .col(integer("poll_interval_seconds"))
                    .col(text("state"))
                    .col(text_null("pause_reason"))
                    .col(timestamp_with_time_zone("connected_at"))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone("updated_at"))
                    .foreign_key(ForeignKey::create().from("accounts", "tenant_id").to("tenants", "id"))
                    .take(),
            )
            .await?;
        manager
            .create_index(
                Index::create().name("accounts_by_tenant").table("accounts").col("tenant_id").col("created_at").take(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("mailbox_cursors")
                    .col(uuid("account_id"))
                    .col(text("folder"))
                    .col(uuid("tenant_id"))
                    .col(big_integer("uid_validity"))
                    .col(big_integer("last_uid"))
                    .col(timestamp_with_time_zone("since"))
                    .col(timestamp_with_time_zone_null("last_polled_at"))
                    .primary_key(Index::create().col("account_id").col("folder"))
                    .foreign_key(ForeignKey::create().from("mailbox_cursors", "account_id").to("accounts", "id"))
                    .take(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("mailbox_cursors").take()).await?;
        manager.drop_table(Table::drop().table("accounts").take()).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
